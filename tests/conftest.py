"""Tiny models and photos that several packages' tests share, made once a session."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # Before torch is imported, which reads it once.

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run: random weights, input 64, 3 lesion labels, one head, sigmoid."""
    from tests.tiny_model import make_run, tiny_card

    return make_run(tmp_path_factory.mktemp("tiny") / "run", tiny_card())


@pytest.fixture(scope="session")
def tiny_run_two_heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `tiny_run`, with 4 body sites, softmax and a temperature of 2."""
    from tests.tiny_model import make_run, tiny_card

    card = tiny_card(two_heads=True, activation="softmax", temperature=2.0)
    return make_run(tmp_path_factory.mktemp("tiny_two_heads") / "run", card)


@pytest.fixture(scope="session")
def tiny_model(tiny_run: Path) -> Path:
    """`tiny_run` as model.onnx."""
    from tests.tiny_model import write_model

    return write_model(tiny_run)


@pytest.fixture(scope="session")
def tiny_model_two_heads(tiny_run_two_heads: Path) -> Path:
    """`tiny_run_two_heads` as model.onnx."""
    from tests.tiny_model import write_model

    return write_model(tiny_run_two_heads)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 noisy photos of three colours, two a patient, with body sites and boxes; a manifest CSV."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    rows = []
    for index in range(48):
        label = index // 2 % 3
        image = rng.normal(90, 25, (44, 44, 3))
        image[8:36, 8:36, label] += 90
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{index}.png")
        rows.append(
            {
                "path": f"{index}.png",
                "lesions": ["red", "green", "blue"][label],
                "location": ["arm", "leg", "", "arm"][index % 4],
                "group": index // 2,
                "box": "8 8 36 36",
            }
        )
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder

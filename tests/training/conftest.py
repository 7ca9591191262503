"""Photos that several tests of training share, made once a session."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image


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

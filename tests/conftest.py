"""Tiny models that several packages' tests share, made once a session."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # Before torch is imported, which reads it once.

from pathlib import Path

import pytest


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

"""Runs small enough for a test: a recipe, a run, a trainer that has not begun."""

from pathlib import Path

import torch

from training.engine import Arithmetic
from training.experiment import prepare
from training.recipe import Phase, Recipe
from training.trainer import Trainer, start_run

CPU = Arithmetic(torch.device("cpu"), "fp32")
TINY = Recipe(
    "tiny",
    architecture="resnet18",
    input_size=32,
    batch_size=8,
    learning_rate=0.02,
    validation_share=0.25,
    phases=(Phase("head", (0.0, 0.0, 0.0), cycles=1), Phase("whole network", (0.1, 0.5, 1.0), cycles=2)),
)


def fit(photos: Path, out: Path, recipe: Recipe = TINY) -> Path:
    start_run(recipe, str(photos), out, "cpu", out.parent / "cache", progress=False)
    return out


def make_trainer(photos: Path, tmp_path: Path, recipe: Recipe = TINY) -> Trainer:
    experiment = prepare(recipe, str(photos), CPU, cache=tmp_path / "cache", progress=False)
    return Trainer(experiment, tmp_path / "run", show_progress=False)

"""Imports run one way, and what serves runs where torch is not installed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TORCH_FREE = [
    "capture_app",
    "capture_app.connect.door",
    "capture_app.connect.way",
    "capture_app.page",
    "capture_app.quality",
    "capture_app.server",
    "capture_app.tone",
    "capture_app.words",
    "export.classify",
    "export.describe",
    "export.heatmap",
    "export.runtime",
    "export.targets",
    "training.audit",
    "training.cli",
    "training.data.datasets.phantom",
    "training.data.datasets.registry",
    "training.data.manifest",
    "training.data.photo",
    "training.data.splits",
    "training.label_map",
    "training.reproduction.folds",
    "training.reproduction.imbalance",
    "training.evaluation.calibration",
    "training.evaluation.curves",
    "training.evaluation.confusions",
    "training.evaluation.metrics",
    "training.evaluation.summary",
    "training.models.card",
    "training.recipe",
    "training.schedules",
]

BLOCK_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
"""


def test_what_serves_imports_where_torch_is_not_installed():
    imports = "\n".join(f"import {module}" for module in TORCH_FREE)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BLOCK_TORCH + imports],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["training.fit", "training.evaluate", "training.audit", "training.explain",
                                     "training.curves", "export", "export.classify", "export.describe",
                                     "export.verify", "capture_app", "benchmarks.latency"])  # fmt: skip
def test_every_command_line_teaches_itself(command):
    done = subprocess.run([sys.executable, "-m", command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"python -m {command}" in done.stdout
    assert len(done.stdout.splitlines()) > 8

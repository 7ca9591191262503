"""How long the first answer takes: `python -m export.classify MODEL PHOTO` as a whole process.

    cold = cold_start(Path("model.int8.onnx"))

From the shell's point of view: starting Python, importing, opening the model, decoding a photo of 12 megapixels,
answering, ending. The photo and the file have been read before, so the disk's speed is left out.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
from tqdm import tqdm

from benchmarks.latency_rounds import milliseconds
from benchmarks.latency_variants import drawn_photos
from training.errors import ModelFileError

ROOT = Path(__file__).parents[1]
RUNS = 5
PHOTO_SIZE_HW = (3024, 4032)


@dataclass(frozen=True)
class ColdStart:
    """Seconds from the command to its end."""

    model: str
    target: str
    photo_size_hw: tuple[int, int]
    median_s: float
    seconds: tuple[float, ...]
    """All runs, in their order; one before them is not counted."""
    torch_imported: bool


def cold_start(
    model: Path, target: str, runs: int = RUNS, photo_size_hw: tuple[int, int] = PHOTO_SIZE_HW
) -> ColdStart:
    """Classify one drawn photo, in `runs` new processes one after the other.

    Raises:
        ModelFileError: the command fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        cv2.imwrite(str(photo), drawn_photos(1, photo_size_hw)[0])
        command = ["-m", "export.classify", str(model.resolve()), str(photo)]
        imports = _run(["-X", "importtime", *command], model)
        seconds = tuple(
            milliseconds(lambda: _run(command, model)) / 1000
            for _ in tqdm(range(runs), desc="cold start", unit="run", disable=None)
        )
    torch_imported = any(line.rpartition("|")[2].strip() == "torch" for line in imports.splitlines())
    return ColdStart(model.name, target, photo_size_hw, statistics.median(seconds), seconds, torch_imported)


def _run(arguments: list[str], model: Path) -> str:
    """What the command wrote on standard error."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    if done.returncode != 0:
        raise ModelFileError(
            f"python -m export.classify {model.name} failed: {(done.stderr.splitlines() or [''])[-1]}"
        )
    return done.stderr

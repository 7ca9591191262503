"""How well can the lesion be found on these photos at all? By a network that has seen far more, for comparison.

    python -m benchmarks.guidance_bound path/to/pad_ufes_20 --weights path/to/resnet18.safetensors

`guidance_finder`'s network, far too slow for a preview, learns from the photos with masks that the locator learns
from, and is measured on the same others by the same rule. What it misses too is a matter of the masks or of too
few photos, not of the locator's size. Half an hour of one core; what was interrupted goes on when the same is
asked again.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tqdm import tqdm

from benchmarks.guidance_finder import FINDER_STEPS, TELL_S, finds, train_finder
from benchmarks.guidance_parts import masked_photos, on_training_side
from training.cli import run, whole_file
from training.data.datasets.registry import load_manifest
from training.errors import DataError
from training.evaluation.metrics import interval
from training.machine import machine

DRAWS = 1000


@dataclass(frozen=True)
class Arguments:
    """Measure how well a network that has seen far more than the locator finds the lesion on the same photos."""

    data: Annotated[str, tyro.conf.Positional]
    """A data set with lesion masks: a folder such as pad_ufes_20, or a manifest's CSV."""
    weights: Path
    """ResNet-18's ImageNet weights in torchvision's key names, .safetensors; layer4 is not needed."""
    steps: int = FINDER_STEPS
    """Of 8 photos each."""
    seed: int = 0
    out: Path = Path("benchmarks/results/guidance_bound.json")
    """Where the figures are written."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.guidance_bound", args=argv)
    if arguments.steps < 1:
        raise DataError(f"--steps is {arguments.steps}; at least 1 is needed.")
    manifest = load_manifest(arguments.data)
    photos = list(masked_photos(manifest))
    parts = {
        "training": [photo for photo in photos if on_training_side(photo.group)],
        "test": [photo for photo in photos if not on_training_side(photo.group)],
    }
    for name, own in parts.items():
        if not own:
            raise DataError(f"no photo with a lesion mask is on the {name} side; give a larger data set.")
    checkpoint = arguments.out.with_suffix(".checkpoint.pt")
    how: dict[str, Any] = {"steps": arguments.steps, "seed": arguments.seed, "checkpoint": checkpoint}
    network = train_finder(parts["training"], arguments.weights, **how)
    figures: dict[str, Any] = {
        "data": {"name": manifest.name, "fingerprint": manifest.fingerprint()},
        "weights": arguments.weights.name,
        "steps": arguments.steps,
        "seed": arguments.seed,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "machine": machine("torch"),
        "found": {},
    }
    for name, own in parts.items():
        found = np.array([finds(network, photo) for photo in tqdm(own, unit="photo", mininterval=TELL_S)])
        groups = np.array([photo.group for photo in own])
        low, high = interval(np.mean, found, groups=groups, draws=DRAWS)
        figures["found"][name] = {"photos": len(own), "share": float(found.mean()), "interval": [low, high]}
        print(
            f"{name}: centre and box found on {found.mean():.1%} ({low:.1%} to {high:.1%}) of {len(own)} photos"
        )
    with whole_file(arguments.out) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    checkpoint.unlink(missing_ok=True)
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

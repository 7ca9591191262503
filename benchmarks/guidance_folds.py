"""How well does the locator find lesions of people it has never seen? On every photo, by cross-validation.

    python -m benchmarks.guidance_folds path/to/pad_ufes_20 --teacher path/to/resnet18.safetensors --out runs/folds

The patients are dealt into three folds (`guidance_parts.fold_of`). Each is looked at by a locator that learned
from the other two alone, finder and all, as `guidance_locator` trains it, so that every photo counts and not only
those of the fold that `guidance` measures on. That fold is the first, so the shipped `locator.safetensors` may be
copied to `fold-0.safetensors` beforehand. An hour a fold on two cores; what was interrupted goes on when the same
is asked again.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from safetensors import safe_open
from tqdm import tqdm

from benchmarks.guidance_finder import TELL_S
from benchmarks.guidance_locator import Teaching, teach
from benchmarks.guidance_parts import FOLDS, MaskedPhoto, fold_of, masked_photos
from benchmarks.guidance_scores import located
from capture_app.locate import read_scene
from capture_app.locator import locator_weights, open_network
from training.cli import run, whole_file
from training.data.datasets.registry import load_manifest
from training.errors import DataError
from training.evaluation.metrics import interval
from training.machine import machine

DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Arguments(Teaching):
    """Measure how often the locator finds lesions of people it has not seen, by cross-validation."""

    data: Annotated[str, tyro.conf.Positional]
    """A data set with lesion masks: a folder such as pad_ufes_20, or a manifest's CSV."""
    out: Path
    """A folder for the folds' weights; those that are there already are taken, if they were trained as asked."""
    result: Path = Path("benchmarks/results/guidance_folds.json")
    """Where the figures are written."""


def found_in(photos: Sequence[MaskedPhoto], weights: Path) -> np.ndarray:
    """(photos, 2) bool: is the centre found, is the box, by the rule of `benchmarks.guidance`."""
    network = open_network(locator_weights(weights))
    bar = tqdm(photos, unit="photo", mininterval=TELL_S)
    return np.array(
        [located(read_scene(photo.rgb, network).lesion.box, photo.box, len(photo.rgb)) for photo in bar]
    )


def check_taught(weights: Path, about: dict[str, Any]) -> None:
    """Raises DataError if these weights were trained in another way, or on other photos."""
    with safe_open(weights, "numpy") as stored:
        told = json.loads((stored.metadata() or {}).get("about", "{}"))
    for name, asked in about.items():
        if told.get(name) != asked:
            raise DataError(
                f"{weights} was trained with {name} {told.get(name)} and {asked} is asked for: delete it, or give "
                "another --out."
            )


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.guidance_folds", args=argv)
    manifest = load_manifest(arguments.data)
    photos = list(masked_photos(manifest))
    folds = [[photo for photo in photos if fold_of(photo.group) == fold] for fold in range(FOLDS)]
    if not all(folds):
        raise DataError(
            f"a fold of {FOLDS} has no photo with a lesion mask; give a data set of more patients."
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = []
    for fold, held_out in enumerate(folds):
        others = [photo for photo in photos if fold_of(photo.group) != fold]
        weights = arguments.out / f"fold-{fold}.safetensors"
        if weights.exists():
            check_taught(weights, arguments.about(manifest, others))
        else:
            teach(manifest, others, arguments, weights)
        found.append(found_in(held_out, weights))
        print(_line(f"fold {fold}", _figures(held_out, found[-1])))
    whole = _figures([photo for fold in folds for photo in fold], np.concatenate(found))
    print(_line("all", whole))
    record = {
        **arguments.about(manifest, photos),
        "machine": machine("torch"),
        "folds": [_figures(held_out, own) for held_out, own in zip(folds, found, strict=True)],
        "all": whole,
    }
    with whole_file(arguments.result) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.result}")
    return 0


def _figures(photos: Sequence[MaskedPhoto], found: np.ndarray) -> dict[str, Any]:
    groups = np.array([photo.group for photo in photos])
    both = np.logical_and(*found.T)
    low, high = interval(np.mean, both, groups=groups, draws=DRAWS)
    return {
        "photos": len(photos),
        "patients": len(set(groups)),
        "found": float(both.mean()),
        "interval": [low, high],
        "centre": float(found[:, 0].mean()),
    }


def _line(name: str, own: dict[str, Any]) -> str:
    low, high = own["interval"]
    return (
        f"{name}: {own['photos']} photos of {own['patients']} patients, lesion found on {own['found']:.1%} "
        f"({low:.1%} to {high:.1%}), its centre on {own['centre']:.1%}"
    )


if __name__ == "__main__":
    sys.exit(run(main))

"""How well do locator and limits do on people they have never seen? On every photo, by cross-validation.

    python -m benchmarks.guidance_folds path/to/pad_ufes_20 --teacher path/to/resnet18.safetensors --out runs/folds

The patients are dealt into three folds (`guidance_parts.fold_of`). Each is looked at by a locator that learned
from the other two alone, finder and all, as `guidance_locator` trains it, and judged by limits that are set on the
other two (and on phantoms) as `guidance --set-limits` sets them, so that every photo counts and not only those of
the fold that `guidance` measures on. That fold is the first, so the shipped `locator.safetensors` may be copied to
`fold-0.safetensors` beforehand. An hour a fold on two cores, and minutes for its limits; a training that was
interrupted goes on when the same is asked again.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import onnxruntime
import tyro
from safetensors import safe_open

from benchmarks.guidance import measure
from benchmarks.guidance_defects import defects
from benchmarks.guidance_limits import TrainingPart, limits_table
from benchmarks.guidance_locator import Teaching, teach
from benchmarks.guidance_parts import FOLDS, MaskedPhoto, fold_of, masked_photos
from benchmarks.guidance_scores import Look, cell, false_alarms_by_skin, share_of
from capture_app.locator import locator_weights, open_network
from capture_app.quality import Limit
from training.cli import run, whole_file
from training.data.datasets.registry import load_manifest
from training.errors import DataError
from training.machine import machine

OF_A_LESION = ("cut_off", "off_centre", "too_far", "too_close")
"""Faults of where it lies."""


@dataclass(frozen=True, kw_only=True)
class Arguments(Teaching):
    """Measure how well locator and limits do on people they have not seen, by cross-validation.

    Prints for each fold, and for all, how often the lesion is found, how many clean photos pass, and how often
    there is a false alarm on light and on dark skin.
    """

    data: Annotated[str, tyro.conf.Positional]
    """A data set with lesion masks: a folder such as pad_ufes_20, or a manifest's CSV."""
    out: Path
    """A folder for the folds' weights; those that are there already are taken, if they were trained as asked."""
    phantoms: int = 480
    """Drawn to set the limits on, beside the photos of the other folds."""
    result: Path = Path("benchmarks/results/guidance_folds.json")
    """Where the figures are written."""


def limits_set_on(
    photos: Sequence[MaskedPhoto], n_phantoms: int, network: onnxruntime.InferenceSession
) -> dict[str, Limit]:
    """By fault: the limits that `benchmarks.guidance --set-limits` would write if these were all the photos."""
    looks = measure(photos, n_phantoms, "training", None, kinds=defects(), network=network)
    table = json.loads(limits_table(TrainingPart.of(looks)))
    return {fault: Limit(**row) for fault, row in table["limits"].items()}


def judged(
    photos: Sequence[MaskedPhoto], limits: dict[str, Limit], network: onnxruntime.InferenceSession
) -> list[Look]:
    """Looks at the photos as they are, which pass where no fault is beyond its limit."""
    looks = measure(photos, 0, "test", None, kinds=(), network=network)["photos"]
    return [
        replace(look, passed=found == {"ok"}, blocked="block" in found)
        for look in looks
        for found in [_severities(look, limits)]
    ]


def _severities(look: Look, limits: dict[str, Limit]) -> set[str]:
    """As `capture_app.quality.check_field_of_view` has it, where a lesion lies is judged only if there is one."""
    found = {fault: limits[fault].judge(amount) for fault, amount in look.measures.items()}
    if found["no_lesion"] != "ok":
        found = {fault: severity for fault, severity in found.items() if fault not in OF_A_LESION}
    return set(found.values())


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
    if arguments.phantoms < 1:
        raise DataError(f"--phantoms is {arguments.phantoms}; at least 1 is needed.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    looks = []
    for fold, held_out in enumerate(folds):
        others = [photo for photo in photos if fold_of(photo.group) != fold]
        weights = arguments.out / f"fold-{fold}.safetensors"
        if weights.exists():
            check_taught(weights, arguments.about(manifest, others))
        else:
            teach(manifest, others, arguments, weights)
        network = open_network(locator_weights(weights))
        looks.append(judged(held_out, limits_set_on(others, arguments.phantoms, network), network))
        print(_lines(f"fold {fold}", _figures(looks[-1])))
    whole = _figures([look for fold in looks for look in fold])
    print(_lines("all", whole))
    record = {
        **arguments.about(manifest, photos),
        "phantoms_for_limits": arguments.phantoms,
        "machine": machine("torch", "numpy", "opencv-python-headless", "onnxruntime"),
        "folds": [_figures(own) for own in looks],
        "all": whole,
    }
    with whole_file(arguments.result) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.result}")
    return 0


def _figures(looks: Sequence[Look]) -> dict[str, Any]:
    clean = [look for look in looks if look.framed]
    return {
        "photos": len(looks),
        "patients": len({look.group for look in looks}),
        "lesion found: centre and box": share_of(looks, lambda look: look.centred and look.overlapping),
        "lesion found: centre": share_of(looks, lambda look: look.centred),
        "clean photos passed": share_of(clean, lambda look: look.passed),
        "false alarms by skin": false_alarms_by_skin(clean),
    }


def _lines(name: str, own: dict[str, Any]) -> str:
    alarms = own["false alarms by skin"]
    shares = {key: share for key, share in own.items() if key.startswith(("lesion", "clean"))}
    shares |= {"false alarms, light skin": alarms["light"], "dark skin": alarms["dark"]}
    shares |= {"difference": alarms["difference"]}
    told = [f"  {key}: {cell(share)}" for key, share in shares.items()]
    return "\n".join([f"{name}, {own['photos']} photos of {own['patients']} patients", *told])


if __name__ == "__main__":
    sys.exit(run(main))

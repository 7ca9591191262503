"""How well the capture checks tell a poor photo from a good one, on photos spoilt by known amounts.

    python -m benchmarks.guidance path/to/pad_ufes_20 --model models/pad/model.onnx
    python -m benchmarks.guidance path/to/pad_ufes_20 --set-limits          # writes capture_app/limits.json first

Photos with lesion masks, and phantoms. Limits are set on two thirds of the patients (and on phantoms of another
seed) and measured on the rest. Prints tables, and writes them as JSON beside a picture. torch is not imported.
"""

import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
import tyro
from tqdm import tqdm

from benchmarks.guidance_defects import DEFECTS, Defect, defects, draw_phantom, spoil
from benchmarks.guidance_limits import LIMITS_FILE, TrainingPart, limits_table, what_each_allowance_costs
from benchmarks.guidance_parts import MaskedPhoto, masked_photos, on_training_side
from benchmarks.guidance_plots import draw_results
from benchmarks.guidance_scores import Look, look_at, summarise, tables
from capture_app.quality import forget_limits
from export.runtime import Classifier
from training.cli import run, write_text
from training.data.datasets.registry import load_manifest
from training.errors import DataError
from training.machine import machine

SEEDS = {"training": 101, "test": 202}
"""Of the phantoms that the limits are set on, and of those that they are measured on."""


def spoilt_photos(
    photos: Iterable[MaskedPhoto], kinds: Sequence[Defect]
) -> Iterable[tuple[MaskedPhoto, Defect | None, np.ndarray]]:
    """Each photo of a person as it is, then with every defect that it leaves room for."""
    for index, photo in enumerate(photos):
        yield photo, None, photo.rgb
        for defect in kinds:
            spoilt = spoil(photo, defect, index)
            if spoilt is not None:
                yield photo, defect, spoilt


def phantoms(
    seed: int, count: int, kinds: Sequence[Defect]
) -> Iterable[tuple[MaskedPhoto, Defect | None, np.ndarray]]:
    """Each phantom clean, then with every defect."""
    for index in range(count):
        for defect in (None, *kinds):
            drawn = draw_phantom(seed, index, defect)
            yield drawn, defect, drawn.rgb


def measure(
    photos: Sequence[MaskedPhoto],
    n_phantoms: int,
    part: str,
    classifier: Classifier | None,
    *,
    kinds: Sequence[Defect],
    network: onnxruntime.InferenceSession | None = None,
    progress: bool = True,
) -> dict[str, list[Look]]:
    """Look at every photo and phantom of a part, clean and with each of the defects; by source.

    Args:
        network: the locator, of `capture_app.locator.open_network`; the shipped one if None.
    """
    total = (1 + len(kinds)) * (len(photos) + n_phantoms)
    bar = tqdm(total=total, unit="photo", desc=part, disable=not progress, mininterval=5)
    found: dict[str, list[Look]] = {}
    for source, stream in (
        ("photos", spoilt_photos(photos, kinds)),
        ("phantoms", phantoms(SEEDS[part], n_phantoms, kinds)),
    ):
        found[source] = []
        for photo, defect, rgb in stream:
            found[source].append(look_at(photo, defect, rgb, classifier, network))
            bar.update()
    bar.close()
    return found


@dataclass(frozen=True)
class Arguments:
    """Spoil photos by known amounts, and see what the capture checks say of them.

    Prints how well each defect is told from a clean photo, how many clean photos pass, how often a photo that
    changed the model's answer is advised on, how light and dark skin differ, and how often the lesion is found.
    """

    data: Annotated[str, tyro.conf.Positional]
    """A data set with lesion masks: a folder such as pad_ufes_20, or a manifest's CSV."""
    model: Path | None = None
    """An exported model, to see which defects change its answer; without one that is not measured."""
    set_limits: bool = False
    """Set the limits on the training part first, and write them to capture_app/limits.json."""
    phantoms: int = 480
    """Drawn for each part."""
    every: int = 1
    """Take every n-th photo only."""
    out: Path = Path("benchmarks/results/guidance.json")
    """Where the result is written; its picture lies beside it as .png."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.guidance", args=argv)
    if arguments.every < 1 or arguments.phantoms < 1:
        raise DataError(
            f"--every is {arguments.every} and --phantoms {arguments.phantoms}; at least 1 is needed of each."
        )
    manifest = load_manifest(arguments.data)
    photos = list(masked_photos(manifest))[:: arguments.every]
    parts = {
        "training": [photo for photo in photos if on_training_side(photo.group)],
        "test": [photo for photo in photos if not on_training_side(photo.group)],
    }
    if not all(parts.values()):
        raise DataError(
            f"{manifest.name} has too few photos with a lesion mask; a few dozen patients are needed."
        )
    allowances: list[dict[str, Any]] = []
    if arguments.set_limits:
        looks = measure(parts["training"], arguments.phantoms, "training", None, kinds=defects())
        training = TrainingPart.of(looks)
        write_text(LIMITS_FILE, limits_table(training))
        forget_limits()
        print(f"limits written to {LIMITS_FILE.name}")
        allowances = what_each_allowance_costs(training)
    classifier = Classifier(arguments.model) if arguments.model else None
    looks = measure(parts["test"], arguments.phantoms, "test", classifier, kinds=defects())
    options = ["--set-limits"] * arguments.set_limits + ["--model", "MODEL"] * bool(arguments.model)
    record: dict[str, Any] = {
        "command": shlex.join(
            ["python", "-m", "benchmarks.guidance", manifest.name, *options, "--every", str(arguments.every)]
        ),
        "data": {"name": manifest.name, "fingerprint": manifest.fingerprint()},
        "model": {"name": classifier.card.name, "id": classifier.model_id} if classifier else None,
        "photos": {name: len(own) for name, own in parts.items()},
        "patients": {name: len({photo.group for photo in own}) for name, own in parts.items()},
        "phantoms": arguments.phantoms,
        "allowances": allowances,
        "defects": {kind: {"unit": unit, "amounts": amounts} for kind, (_, unit, amounts) in DEFECTS.items()},
        **summarise(looks),
        "machine": machine("numpy", "opencv-python-headless", "onnxruntime"),
    }
    write_text(arguments.out, json.dumps(record, indent=1) + "\n")
    draw_results(looks, parts["test"], arguments.out.with_suffix(".png"))
    print(tables(record))
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

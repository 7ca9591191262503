"""Score a checkpoint or an exported model on any manifest.

    python -m training.evaluate runs/demo --data phantom
    python -m training.evaluate models/demo/model.onnx --data photos/manifest.csv --json

Checkpoint and ONNX file are scored on the same pixels by the same numbers, so that they can be compared.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

from training.cli import run
from training.data.cache import PhotoCache, report_left_out
from training.data.datasets.registry import load_manifest
from training.evaluation.scoring import Part, open_model, rows_of_part, with_labels_of
from training.evaluation.summary import headline, summarise


@dataclass(frozen=True)
class EvaluateCommand:
    """Score a trained model on photos whose labels are known."""

    model: tyro.conf.Positional[Path]
    """A run's folder, or an exported model.onnx."""
    data: str
    """`phantom`; a manifest CSV; or a folder of PAD-UFES-20, of HAM10000 or of class folders."""
    part: Part = "auto"
    """`validation`: the photos that the model's run held out; `test`: rows whose split is test; `all`: every row.
    `auto` is `validation` on the data that the model was trained on, else `all`."""
    crops: Literal[1, 10] = 1
    """10: the mean over four corners, the centre and their mirror images, for a run's folder (Liao & Luo 2017)."""
    json: bool = False
    """Print one JSON object instead of lines."""
    cache: Path = Path("data/cache")
    """Where decoded photos are kept."""


def evaluate_model(
    model: Path,
    data: str,
    part: Part = "auto",
    *,
    crops: Literal[1, 10] = 1,
    cache: Path = Path("data/cache"),
    progress: bool = True,
) -> dict[str, Any]:
    """Metrics with intervals of a model on a data set (`summarise`), with what was scored.

    Raises:
        UserError: the model or the data cannot be used, or their labels do not agree.
    """
    card, predict = open_model(model, crops)
    manifest = load_manifest(data)
    rows, part = rows_of_part(card, manifest, part)
    held = with_labels_of(card, manifest).subset(rows)
    photos = PhotoCache.build(
        held, min_side=card.preprocessing.decode_min_side, folder=cache, progress=progress
    )
    kept = [row for row in range(len(held)) if row not in photos.left_out]
    scored = held.subset(kept)
    scores = [
        predict(photos[row][None])
        for row in tqdm(kept, "score photos", unit="photo", leave=False, disable=not progress)
    ]
    summary = summarise(
        np.concatenate([lesion for lesion, _ in scores]),
        scored.lesion_targets(),
        scored.table["group"].to_numpy(),
        scored.lesion_labels,
        location_scores=np.concatenate([site for _, site in scores]) if card.location_labels else None,
        location_targets=scored.location_targets(),
    )
    report_left_out(photos.left_out)
    source = {"model": str(model), "data": data, "part": part, "fingerprint": manifest.fingerprint()}
    return source | {"crops": crops, "left_out": len(photos.left_out)} | summary


def main(arguments: list[str] | None = None) -> int:
    """The command line; see `EvaluateCommand`."""
    command = tyro.cli(EvaluateCommand, args=arguments, prog="python -m training.evaluate")
    result = evaluate_model(
        command.model, command.data, command.part, crops=command.crops, cache=command.cache
    )
    if command.json:
        print(json.dumps(result, indent=2))
        return 0
    print(f"{result['model']} on {result['data']} ({result['part']}, {result['photos']} photos)")
    print(headline(result))
    for label, recall in result.get("recall", {}).items():
        print(f"  recall {label:<12} {'no photo' if recall is None else f'{recall:.3f}'}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

"""Score a checkpoint or an exported model on any manifest.

    python -m training.evaluate runs/demo --data phantom
    python -m training.evaluate models/demo/model.onnx --data photos/manifest.csv --json

Checkpoint and ONNX file are scored on the same pixels by the same numbers, so that they can be compared.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

from training.cli import run
from training.data.cache import PhotoCache, report_left_out
from training.data.datasets.registry import load_manifest
from training.data.manifest import Manifest
from training.data.splits import hold_out
from training.errors import CheckpointError, DataError, ModelFileError
from training.evaluation.summary import headline, summarise
from training.models.card import METADATA_KEY, ModelCard

Part = Literal["auto", "all", "validation", "test"]
Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
"""(1, H, W, 3) uint8 RGB to (1, P) lesion and (1, Q) location scores, the latter None for one head."""


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
    json: bool = False
    """Print one JSON object instead of lines."""
    cache: Path = Path("data/cache")
    """Where decoded photos are kept."""


def evaluate_model(
    model: Path, data: str, part: Part = "auto", *, cache: Path = Path("data/cache"), progress: bool = True
) -> dict[str, Any]:
    """Metrics with intervals of a model on a data set (`summarise`), with what was scored.

    Raises:
        UserError: the model or the data cannot be used, or their labels do not agree.
    """
    card, predict = _open_model(model)
    manifest = load_manifest(data)
    rows, part = _rows(card, manifest, part)
    held = _with_labels_of(card, manifest).subset(rows)
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
    return source | {"left_out": len(photos.left_out)} | summary


def _open_model(model: Path) -> tuple[ModelCard, Predict]:
    return _open_onnx(model) if model.suffix == ".onnx" else _open_checkpoint(model)


def _open_checkpoint(folder: Path) -> tuple[ModelCard, Predict]:
    import torch

    from training.models.checkpoint import load_checkpoint
    from training.models.preprocess import preprocess

    checkpoint = load_checkpoint(folder)

    @torch.inference_mode()
    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        logits = checkpoint.network(
            preprocess(torch.from_numpy(images.copy()), checkpoint.card.preprocessing)
        )
        return logits.lesion.numpy(), None if logits.location is None else logits.location.numpy()

    return checkpoint.card, predict


def _open_onnx(file: Path) -> tuple[ModelCard, Predict]:
    """The plain session: `export.runtime` stands above this package and cannot be called from here."""
    import onnxruntime

    if not file.is_file():
        raise ModelFileError(f"{file} is not there; give a run's folder or an exported model.onnx.")
    try:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base class but this
        raise ModelFileError(f"{file} is not a whole ONNX file ({error}); export the model again.") from error
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelFileError(f"{file} carries no card; export it with python -m export RUN --out DIR.")
    card = ModelCard.from_json(text)
    names = ["lesion_probabilities"] + ["location_probabilities"] * bool(card.location_labels)

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        lesion, *location = session.run(names, {"image": np.ascontiguousarray(images)})
        return lesion, location[0] if location else None

    return card, predict


def _with_labels_of(card: ModelCard, manifest: Manifest) -> Manifest:
    """The manifest with its labels in the model's order.

    Raises:
        DataError: the manifest has a lesion that the model does not know.
    """
    names = tuple(label.name for label in card.lesion_labels)
    sites = tuple(label.name for label in card.location_labels)
    unknown = [name for name in manifest.lesion_labels if name not in names and manifest.counts()[name]]
    if unknown:
        raise DataError(
            f"{manifest.name} has photos of '{unknown[0]}', which the model does not know; it knows "
            f"{', '.join(names)}: rename the label in a manifest CSV, or leave those rows out."
        )
    table = manifest.table.copy()
    table["location"] = table["location"].where(table["location"].isin(sites), "")
    return Manifest(manifest.name, table, names, sites, manifest.synthetic, manifest.licence)


def _rows(card: ModelCard, manifest: Manifest, part: Part) -> tuple[np.ndarray, Part]:
    own_data = manifest.fingerprint() == card.data.get("fingerprint")
    if part == "auto":
        part = "validation" if own_data else "all"
    if part == "all":
        return np.arange(len(manifest)), part
    if part == "test":
        rows = np.flatnonzero(manifest.table["split"] == "test")
        if not len(rows):
            raise DataError(f"{manifest.name} has no row whose split is 'test'; take --part all.")
        return rows, part
    if not own_data:
        raise CheckpointError(
            f"{manifest.name} is not the data that the model was trained on, so it held out none of it; "
            "take --part all."
        )
    recipe = card.recipe
    _, rows = hold_out(
        manifest, validation_share=recipe["validation_share"], fold=recipe["fold"], seed=recipe["seed"]
    )
    return rows, part


def main(arguments: list[str] | None = None) -> int:
    """The command line; see `EvaluateCommand`."""
    command = tyro.cli(EvaluateCommand, args=arguments, prog="python -m training.evaluate")
    result = evaluate_model(command.model, command.data, command.part, cache=command.cache)
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

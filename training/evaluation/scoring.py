"""What a model is scored on, and by what: the model opened, the manifest in its labels, the rows of a part.

    card, predict = open_model(Path("runs/demo"))
    manifest = with_labels_of(card, load_manifest("phantom"))
    rows, part = rows_of_part(card, manifest, "auto")

Torch is imported only to open a run's folder.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from training.data.manifest import Manifest
from training.data.splits import hold_out
from training.errors import CheckpointError, DataError, ModelFileError
from training.models.card import METADATA_KEY, ModelCard

Part = Literal["auto", "all", "validation", "test"]
Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
"""(1, H, W, 3) uint8 RGB to (1, P) lesion and (1, Q) location scores, the latter None for one head."""


def open_model(model: Path, crops: Literal[1, 10] = 1) -> tuple[ModelCard, Predict]:
    """A run's folder or an exported model.onnx: its card, and its scores (a run's are logits).

    Args:
        crops: 10 scores a run by ten-crop testing; its scores are then mean probabilities.

    Raises:
        CheckpointError: the folder is not that of a finished run.
        ModelFileError: the file is not there, or is not a model of ours; or ten crops were asked of one.
    """
    if model.suffix != ".onnx":
        return _open_checkpoint(model) if crops == 1 else _open_ten_crops(model)
    if crops != 1:
        raise ModelFileError(f"{model} sees one crop of a photo; ten-crop testing needs the run's folder.")
    return _open_onnx(model)


def _open_ten_crops(folder: Path) -> tuple[ModelCard, Predict]:
    from training.engine import Arithmetic
    from training.evaluation.ten_crop import score_ten_crops
    from training.models.checkpoint import load_checkpoint

    checkpoint, arithmetic = load_checkpoint(folder), Arithmetic.choose("cpu")

    def predict(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return score_ten_crops(checkpoint.network, checkpoint.card, list(images), arithmetic, progress=False)

    return checkpoint.card, predict


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


def with_labels_of(card: ModelCard, manifest: Manifest) -> Manifest:
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


def rows_of_part(card: ModelCard, manifest: Manifest, part: Part) -> tuple[np.ndarray, Part]:
    """The row numbers of a part of the manifest, and the part that `auto` came to mean.

    Args:
        manifest: as `load_manifest` gave it: its fingerprint tells the model's own data.

    Raises:
        DataError: `test` of a manifest that fixes no test part.
        CheckpointError: `validation` of data that the model was not trained on.
    """
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

"""Lesion probabilities of photos of any size, by a network or by an exported model.

    card, predict = open_predictor(Path("runs/demo"))
    probabilities = predict([image_rgb, crop_rgb])        # (2, P)

Torch is imported only where a network is computed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.evaluation.calibration import probabilities
from training.evaluation.scoring import Predict as OneShape
from training.evaluation.scoring import open_model
from training.models.card import Activation, ModelCard, Preprocessing

if TYPE_CHECKING:
    from training.engine import Arithmetic
    from training.models.networks import LesionNetwork

Predict = Callable[[list[np.ndarray]], np.ndarray]
"""Photos, each (H, W, 3) uint8 RGB of any size, to (N, P) float64 lesion probabilities."""
BATCH_SIZE = 64


def open_predictor(model: Path, device: str = "auto") -> tuple[ModelCard, Predict]:
    """A run's folder, on that device, or an exported model.onnx, on the CPU; and its card.

    Raises:
        CheckpointError: the folder is not that of a finished run.
        ModelFileError: the file is not there, or is not a model of ours.
        RecipeError: the device is not there.
    """
    if model.suffix == ".onnx":
        card, score = open_model(model)
        return card, _by_shape(score)
    from training.engine import Arithmetic
    from training.models.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(model)
    card, arithmetic = checkpoint.card, Arithmetic.choose(device, "fp32")
    network = checkpoint.network.to(arithmetic.device)
    return card, checkpoint_predictor(
        network, card.preprocessing, card.activation, card.temperature, arithmetic
    )


def checkpoint_predictor(
    network: "LesionNetwork",
    view: Preprocessing,
    activation: Activation,
    temperature: float,
    arithmetic: "Arithmetic",
) -> Predict:
    """What a network on `arithmetic.device`, in evaluation mode, says; computed in float32, in batches."""
    import torch

    from training.models.preprocess import preprocess

    @torch.inference_mode()
    def predict(images_rgb: list[np.ndarray]) -> np.ndarray:
        logits = []
        for start in range(0, len(images_rgb), BATCH_SIZE):
            photos = [
                preprocess(torch.tensor(image[None], device=arithmetic.device), view)
                for image in images_rgb[start : start + BATCH_SIZE]
            ]
            logits.append(network(arithmetic.photos(torch.cat(photos))).lesion.cpu().numpy())
        return probabilities(np.concatenate(logits), activation, temperature)

    return predict


def _by_shape(score: OneShape) -> Predict:
    """An exported model takes a batch of photos of one shape: those that share one go together."""

    def predict(images_rgb: list[np.ndarray]) -> np.ndarray:
        together: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images_rgb):
            together.setdefault(image.shape, []).append(index)
        rows: list[np.ndarray] = [np.empty(0)] * len(images_rgb)
        for indices in together.values():
            lesion, _ = score(np.stack([images_rgb[index] for index in indices]))
            for index, row in zip(indices, lesion, strict=True):
                rows[index] = row
        return np.stack(rows).astype(np.float64)

    return predict

"""The names and shapes by which whoever writes model.onnx and whoever reads it understand each other.

    output_names(card)   # ("lesion_probabilities", "location_probabilities", "lesion_cam", "features")

Drawn in docs/export.md. Torch-free.
"""

from training.models.card import ModelCard

MODEL_FILE = "model.onnx"

IMAGE = "image"
"""The one input: (N, H, W, 3) uint8, RGB; N, H and W are free."""
LESION_PROBABILITIES = "lesion_probabilities"
"""(N, P) float32 in [0, 1]."""
LOCATION_PROBABILITIES = "location_probabilities"
"""(N, Q) float32 in [0, 1], rows sum to 1; absent for a model with one head."""
LESION_CAM = "lesion_cam"
"""(N, P, h, w) float32, in units of the logit: h * w times Grad-CAM, before its ReLU, on the last feature map. A
ResNet's mean over h and w plus the head's bias is the logit; an AlexNet's adds up to nothing."""
FEATURES = "features"
"""(N, C) float32, the feature vector that the heads read."""


def output_names(card: ModelCard) -> tuple[str, ...]:
    """The outputs that a model with this card has, in the file's order."""
    location = (LOCATION_PROBABILITIES,) if card.location_labels else ()
    return (LESION_PROBABILITIES, *location, LESION_CAM, FEATURES)


def output_shapes(card: ModelCard) -> dict[str, tuple[int | None, ...]]:
    """Each output's shape; None where the card does not fix it."""
    shapes: dict[str, tuple[int | None, ...]] = {
        LESION_PROBABILITIES: (None, len(card.lesion_labels)),
        LOCATION_PROBABILITIES: (None, len(card.location_labels)),
        LESION_CAM: (None, len(card.lesion_labels), None, None),
        FEATURES: (None, None),
    }
    return {name: shapes[name] for name in output_names(card)}

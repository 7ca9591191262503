"""The model card: all that travels with a model, as JSON, in a checkpoint and inside an ONNX file.

    card = ModelCard.from_json(Path("runs/demo/card.json").read_text())

Nothing downstream asks the user again for labels, preprocessing or calibration. Torch is not imported.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from training.errors import ModelFileError

SCHEMA_VERSION = 1

METADATA_KEY = "dermcapture.card"
"""The key of an ONNX file's metadata under which the card's JSON stands."""

CROP_STEPS = 10_000
"""`crop_fraction` counts to four decimals."""

Activation = Literal["sigmoid", "softmax"]


@dataclass(frozen=True)
class Label:
    """A label as the model names it and as a person reads it."""

    name: str
    display: str


@dataclass(frozen=True)
class Preprocessing:
    """From a decoded photo to the network's input.

    The central square of the photo, whose side is `crop_fraction` of the shorter side, is resized by
    antialiased bilinear interpolation in float32, divided by 255 and normalised by channel.
    """

    input_size: int
    """Side of the network's square input, in pixels."""
    decode_min_side: int
    """Shorter side, in pixels, down to which a photo may be reduced while it is decoded."""
    crop_fraction: float = 1.0
    """Share of the shorter side that the central square takes, in (0, 1]."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """RGB, of values in [0, 1]."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.input_size < 16:
            raise ModelFileError(f"input_size is {self.input_size}; at least 16 pixels are needed.")
        if self.decode_min_side * self.crop_fraction < self.input_size:
            raise ModelFileError(
                f"decode_min_side is {self.decode_min_side}; with an input of {self.input_size} pixels and a "
                f"crop_fraction of {self.crop_fraction} a photo would be enlarged again: give it more."
            )
        if not 0 < self.crop_fraction <= 1:
            raise ModelFileError(f"crop_fraction is {self.crop_fraction}; it must lie in (0, 1].")

    @property
    def crop_steps(self) -> int:
        """`crop_fraction` in whole steps of 1/`CROP_STEPS`."""
        return round(self.crop_fraction * CROP_STEPS)

    def view_box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The square of a photo that the network sees: (x0, y0, x1, y1) in pixels, x1 and y1 exclusive.

        Everything that crops or draws (training, the ONNX graph, the heatmap) uses this rule, in integers:
        a product of floats would be cut off differently in the double of Python and the float of a graph.
        """
        shorter = min(height, width)
        side = max(1, shorter * self.crop_steps // CROP_STEPS)
        x0, y0 = (width - side) // 2, (height - side) // 2
        return x0, y0, x0 + side, y0 + side


@dataclass(frozen=True)
class ModelCard:
    """See the contract in docs/design.md."""

    name: str
    architecture: str
    """A torchvision constructor's name, such as `resnet18`."""
    lesion_labels: tuple[Label, ...]
    preprocessing: Preprocessing
    activation: Activation
    """How lesion logits become probabilities: `sigmoid`, each label on its own, or `softmax`, one of all."""
    location_labels: tuple[Label, ...] = ()
    """Body sites; empty for a model with one head."""
    temperature: float = 1.0
    """Lesion logits are divided by it before the activation (Guo et al. 2017)."""
    synthetic: bool = False
    """True for a model that was trained on drawings: it must never be shown a person's photo unsaid."""
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    """name, fingerprint, photo and group counts of the training and validation parts."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """On the validation part; an interval is [low, high] at 95%."""
    weights_note: str = ""
    """One sentence on where the weights started from."""
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    """ISO 8601, UTC."""
    export: dict[str, Any] = field(default_factory=dict)
    """Of an ONNX file: target, precision, and what was calibrated on or kept in fp32; empty in a checkpoint."""
    licence: str = "unspecified"
    """Of the weights: that of the data decides."""
    intended_use: str = (
        "Research on skin-lesion classification. Not a medical device: it gives no diagnosis and "
        "replaces no clinician."
    )
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not self.lesion_labels:
            raise ModelFileError("the card names no lesion label; at least one is needed.")
        for labels in (self.lesion_labels, self.location_labels):
            names = [label.name for label in labels]
            if len(set(names)) != len(names):
                raise ModelFileError(f"the card names a label twice: {names}.")
        if self.activation not in ("sigmoid", "softmax"):
            raise ModelFileError(f"activation is '{self.activation}'; valid are 'sigmoid' and 'softmax'.")
        if not self.temperature > 0:
            raise ModelFileError(f"temperature is {self.temperature}; it must be positive.")

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Read a card strictly: an unknown schema version or a missing field is an error.

        Raises:
            ModelFileError: the text is not a card that this version reads.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelFileError(f"the card is not valid JSON ({error}); export the model again.") from error
        version = values.get("schema_version") if isinstance(values, dict) else None
        if version != SCHEMA_VERSION:
            raise ModelFileError(
                f"the card's schema version is {version!r} and this program reads {SCHEMA_VERSION}; "
                "export the model again with this version."
            )
        try:
            values["lesion_labels"] = tuple(Label(**label) for label in values["lesion_labels"])
            values["location_labels"] = tuple(Label(**label) for label in values["location_labels"])
            numbers: dict[str, Any] = values["preprocessing"]
            for channels in ("mean", "std"):
                numbers[channels] = tuple(numbers[channels])
            values["preprocessing"] = Preprocessing(**numbers)
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ModelFileError(f"the card lacks or misspells a field ({error}); export again.") from error

"""The one table of export targets: command line, documentation, parity check and benchmark read it.

    target = find_target("cpu-int8")

A row says what the file runs on, in which precision, and what it must reach beside its checkpoint. Torch-free.
"""

from dataclasses import dataclass
from typing import Literal

from export.contract import MODEL_FILE
from training.errors import ModelFileError

Precision = Literal["fp32", "int8", "fp16"]


@dataclass(frozen=True)
class Limits:
    """What a file must reach beside its checkpoint; None is not asked of it."""

    probability: float | None = None
    """Greatest absolute difference, of lesions and body sites."""
    cam: float | None = None
    """Greatest difference of the class activation maps, as a share of the checkpoint's greatest magnitude in the
    photo."""
    features: float | None = None
    """The same, of the feature vector."""
    agreement: float | None = None
    """Least share of the photos whose most probable lesion stays."""
    balanced_accuracy: float | None = None
    """Both ends of the paired 95% interval of the change lie within this of 0."""
    cam_correlation: float | None = None
    """Least 5th percentile, over photos, of the correlation of the top label's map with the checkpoint's."""
    size: float | None = None
    """Greatest share of the bytes that the checkpoint's weights take in fp32."""


@dataclass(frozen=True)
class Target:
    """One way to write a model."""

    name: str
    summary: str
    precision: Precision
    """Of most weights and most of the arithmetic; inputs and outputs are the same for all."""
    provider: Literal["cpu", "cuda"]
    """What the file is made for, and the parity check runs it on."""
    file_name: str
    limits: Limits

    @property
    def needs_photos(self) -> bool:
        """It is calibrated, and judged, on the photos of the run."""
        return self.precision == "int8"


TARGETS = (
    Target(
        name="cpu-fp32",
        summary="any CPU, in the arithmetic that the model was trained in",
        precision="fp32",
        provider="cpu",
        file_name=MODEL_FILE,
        limits=Limits(probability=1e-5, cam=1e-4, features=1e-4),
    ),
    Target(
        name="cpu-int8",
        summary="CPUs with 8-bit dot products (VNNI and the like), a quarter of the size",
        precision="int8",
        provider="cpu",
        file_name="model.int8.onnx",
        limits=Limits(agreement=0.99, balanced_accuracy=0.01, cam_correlation=0.99, size=0.27),
    ),
    Target(
        name="cuda-fp16",
        summary="NVIDIA GPUs, half precision inside, half the size",
        precision="fp16",
        provider="cuda",
        file_name="model.fp16.onnx",
        limits=Limits(probability=2e-3, agreement=0.999, size=0.52),
    ),
)


def find_target(name: str) -> Target:
    """The row called `name`.

    Raises:
        ModelFileError: there is no such row.
    """
    for target in TARGETS:
        if target.name == name:
            return target
    valid = ", ".join(target.name for target in TARGETS)
    raise ModelFileError(f"there is no export target '{name}'; valid are {valid}.")

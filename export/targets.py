"""The one table of export targets: the command line, the documentation and the parity check read it.

    target = find_target("cpu-fp32")

A row says what the file runs on and how far it may differ from the checkpoint. Torch-free.
"""

from dataclasses import dataclass
from typing import Literal

from export.contract import MODEL_FILE
from training.errors import ModelFileError


@dataclass(frozen=True)
class Tolerances:
    """The greatest difference from the checkpoint that a target may show."""

    probability: float
    """Absolute, of lesions and body sites."""
    cam: float
    """Of the class activation maps, as a share of the checkpoint's greatest magnitude in the photo."""
    features: float
    """Of the feature vector, as a share of the checkpoint's greatest magnitude in the photo."""


@dataclass(frozen=True)
class Target:
    """One way to write a model."""

    name: str
    summary: str
    precision: Literal["fp32"]
    """Of weights and arithmetic."""
    provider: Literal["cpu"]
    """On which the parity check runs the file."""
    file_name: str
    tolerances: Tolerances


TARGETS = (
    Target(
        name="cpu-fp32",
        summary="any CPU, in the arithmetic that the model was trained in",
        precision="fp32",
        provider="cpu",
        file_name=MODEL_FILE,
        tolerances=Tolerances(probability=1e-5, cam=1e-4, features=1e-4),
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

"""A step of learning where the lesion is: what a network is held to, how it follows, and how it goes on later.

learn(loss_of(network(planes), mask), optimiser, schedule)
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from benchmarks.guidance_parts import MaskedPhoto
from training.cli import whole_file
from training.errors import DataError

BOX_SHARE = 0.5
"""Of the box in the loss."""


def loss_of(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Cross entropy by cell, overlap (dice) of the whole, and of its shadows on both axes, which are the box.

    Args:
        logits: (N, rows, columns).
        mask: (N, rows, columns) in [0, 1].
    """
    found = logits.sigmoid()
    box = sum(_dice(found.amax(axis), mask.amax(axis)).mean() for axis in (1, 2)) / 2
    whole = _dice(found.flatten(1), mask.flatten(1)).mean()
    return functional.binary_cross_entropy_with_logits(logits, mask) + whole + BOX_SHARE * box


def _dice(found: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return 1 - (2 * (found * mask).sum(1) + 1) / (found.sum(1) + mask.sum(1) + 1)


def learn(
    loss: torch.Tensor, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
) -> None:
    """One step down the loss, and one of the schedule."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    schedule.step()


@dataclass(frozen=True)
class Checkpoint:
    """What an interrupted training goes on from, the same chances included."""

    path: Path | None
    """Where it lies; None keeps none."""
    asked: dict[str, Any]
    """What tells this training from another."""

    def resume(self, parts: dict[str, Any]) -> int:
        """Load the parts' states, if there are any; returns the step to begin with.

        Raises:
            DataError: the checkpoint is another training's.
        """
        if self.path is None or not self.path.exists():
            return 0
        stored: dict[str, Any] = torch.load(self.path, weights_only=True)
        if stored["asked"] != self.asked:
            raise DataError(
                f"{self.path} is the checkpoint of another training ({stored['asked']}); this one asks for "
                f"{self.asked}: delete it, or give another --out."
            )
        for name, part in parts.items():
            part.load_state_dict(stored[name])
        torch.set_rng_state(stored["chance"])
        step: int = stored["step"]
        return step

    def keep(self, parts: dict[str, Any], step: int) -> None:
        """Write the parts' states before this step."""
        if self.path is None:
            return
        states = {name: part.state_dict() for name, part in parts.items()}
        with whole_file(self.path) as temporary:
            own = {"asked": self.asked, "step": step, "chance": torch.get_rng_state()}
            torch.save({**own, **states}, temporary)


def fingerprint(photos: Sequence[MaskedPhoto]) -> str:
    """How many they are, and a checksum of them and their masks."""
    checksum = 0
    for photo in photos:
        checksum = zlib.crc32(photo.mask.tobytes(), zlib.crc32(photo.rgb.tobytes(), checksum))
    return f"{len(photos)}, {checksum:08x}"

"""One epoch of training, one pass of evaluation: the two loops that every experiment shares.

for logits, loss in train_steps(network, batches, optimizer, criterion, ...): ...
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch

from training.data.loading import Batch
from training.errors import RecipeError
from training.evaluation import metrics
from training.models.losses import Criterion
from training.models.networks import Logits

Forward = Callable[[torch.Tensor], Logits]
"""From a batch's first tensor (photos, or features computed once) to logits."""


@dataclass(frozen=True)
class Arithmetic:
    """Where and how precisely the network is computed."""

    device: torch.device
    precision: str
    """`fp32`, `bf16` or `fp16`; weights and the loss stay in float32."""

    @classmethod
    def choose(cls, device: str = "auto", precision: str = "auto") -> "Arithmetic":
        """`auto` takes CUDA where there is one, else the CPU; and bf16 on CUDA, fp32 elsewhere.

        Raises:
            RecipeError: a device was asked for that is not there.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            chosen = torch.device(device)
        except RuntimeError:
            raise RecipeError(
                f"device is '{device}'; valid are 'auto', 'cpu', 'cuda' and 'cuda:N'."
            ) from None
        if chosen.type == "cuda" and not torch.cuda.is_available():
            raise RecipeError(f"device '{device}' was asked for and torch sees no GPU; take 'cpu' or 'auto'.")
        if precision == "auto":
            precision = "bf16" if chosen.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
        return cls(chosen, precision)

    def autocast(self) -> AbstractContextManager[object]:
        dtype = torch.float16 if self.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype, enabled=self.precision != "fp32")

    def photos(self, images: torch.Tensor) -> torch.Tensor:
        """A batch on the device, channels last where it has channels."""
        images = images.to(self.device, non_blocking=True)
        return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images


@dataclass(frozen=True)
class Scores:
    """What a network says of photos whose labels are known.

    lesion_logits: (N, P) float32. location_logits: (N, Q) float32, or None.
    lesion_targets: (N, P) float32 of 0 and 1. location_targets: (N,) int64, -1 where unknown.
    loss: mean over the photos.
    """

    lesion_logits: np.ndarray
    location_logits: np.ndarray | None
    lesion_targets: np.ndarray
    location_targets: np.ndarray
    loss: float

    @property
    def single_label(self) -> bool:
        return bool((self.lesion_targets.sum(1) == 1).all())

    def headline(self) -> tuple[str, float]:
        """The metric by which the best epoch is chosen: balanced accuracy, or mAP-class with several labels."""
        if self.single_label:
            actual = self.lesion_targets.argmax(1)
            return "balanced accuracy", metrics.balanced_accuracy(self.lesion_logits.argmax(1), actual)
        return "mAP-class", metrics.map_class(self.lesion_logits, self.lesion_targets)


def train_steps(
    forward: Forward,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    learning_rate: Callable[[int], float],
    scaler: torch.amp.GradScaler,
    arithmetic: Arithmetic,
) -> Iterator[tuple[float, float]]:
    """Update the weights once a batch.

    The rate of each of the optimiser's groups is `learning_rate(step within these batches)` times the group's
    `lr_scale`.

    Yields:
        The base learning rate and the batch's loss, after each update; the caller may stop at any step.
    """
    for step, (images, lesion_targets, location_targets) in enumerate(batches):
        base_lr = learning_rate(step)
        for group in optimizer.param_groups:
            group["lr"] = base_lr * group["lr_scale"]
        with arithmetic.autocast():
            logits = forward(arithmetic.photos(images))
        loss = criterion(logits, lesion_targets.to(arithmetic.device), location_targets.to(arithmetic.device))
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        yield base_lr, loss.item()


@torch.inference_mode()
def evaluate(
    forward: Forward, batches: Iterable[Batch], criterion: Criterion, arithmetic: Arithmetic
) -> Scores:
    """Score photos, in float32 as a deployed model does; the caller sets the network to evaluation mode."""
    lesion, location, lesion_targets, location_targets, losses = [], [], [], [], []
    for images, lesion_target, location_target in batches:
        logits = forward(arithmetic.photos(images))
        loss = criterion(logits, lesion_target.to(arithmetic.device), location_target.to(arithmetic.device))
        losses.append(loss.item() * len(images))
        lesion.append(logits.lesion.cpu().numpy())
        if logits.location is not None:
            location.append(logits.location.cpu().numpy())
        lesion_targets.append(lesion_target.numpy())
        location_targets.append(location_target.numpy())
    targets = np.concatenate(lesion_targets)
    return Scores(
        np.concatenate(lesion),
        np.concatenate(location) if location else None,
        targets,
        np.concatenate(location_targets),
        sum(losses) / len(targets),
    )

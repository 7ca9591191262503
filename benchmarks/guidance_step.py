"""A step of learning where the lesion is: what a network is held to, and how it follows.

learn(loss_of(network(planes), mask), optimiser, schedule)
"""

import torch
from torch.nn import functional

BOX_SHARE = 0.5
"""Of the box in the loss."""


def loss_of(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Cross entropy by cell, overlap (dice) of the whole, and of its shadows on both axes, which are the box.

    Args:
        logits: (N, rows, columns).
        mask: (N, 2 * rows, 2 * columns) in [0, 1].
    """
    truth = functional.avg_pool2d(mask[:, None], 2)[:, 0]
    found = logits.sigmoid()
    box = sum(_dice(found.amax(axis), truth.amax(axis)).mean() for axis in (1, 2)) / 2
    whole = _dice(found.flatten(1), truth.flatten(1)).mean()
    return functional.binary_cross_entropy_with_logits(logits, truth) + whole + BOX_SHARE * box


def _dice(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return 1 - (2 * (found * truth).sum(1) + 1) / (found.sum(1) + truth.sum(1) + 1)


def learn(
    loss: torch.Tensor, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
) -> None:
    """One step down the loss, and one of the schedule."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    schedule.step()

"""Learning rates as pure functions of the step (one step is one optimiser update).

    warm_restarts(step=250, cycle_steps=100, cycle_mult=2, max_lr=0.1)

Sources: Loshchilov & Hutter 2017 (SGDR), Eq. 5; Smith 2017 for the LR range test. Eq. 1 of Mishra et al. 2019
as printed puts the rate inside the bracket and so does not anneal to near zero; the cited SGDR is meant. Liao &
Luo 2017 divide the rate by 10 when the error plateaus.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

PLATEAU_THRESHOLD = 1e-4


class CyclePosition(NamedTuple):
    """Where a step falls: the cycle's number from 0, the step within it, and the cycle's length in steps."""

    cycle: int
    step: int
    length: int


def cycle_position(step: int, cycle_steps: int, cycle_mult: int = 1) -> CyclePosition:
    """Walk the cycles in integers: a logarithm would pick the wrong one at a boundary."""
    cycle, length = 0, cycle_steps
    while step >= length:
        step -= length
        length *= cycle_mult
        cycle += 1
    return CyclePosition(cycle, step, length)


def warm_restarts(
    step: int, cycle_steps: int, *, max_lr: float, cycle_mult: int = 1, min_lr: float = 0.0
) -> float:
    """Cosine annealing with warm restarts: `max_lr` at each cycle's first step, near `min_lr` at its last.

    Args:
        step: from 0.
        cycle_steps: length of the first cycle, in steps.
        cycle_mult: each cycle is this many times as long as the one before.
    """
    _, position, length = cycle_position(step, cycle_steps, cycle_mult)
    return min_lr + 0.5 * (max_lr - min_lr) * (1 + math.cos(math.pi * position / length))


def plateau(losses: Sequence[float], *, max_lr: float, patience: int, factor: float) -> float:
    """The rate after epochs of these training losses: `max_lr`, times `factor` for every plateau among them.

    A plateau: more than `patience` epochs in a row did not bring the loss to less than 1 - 1e-4 of its lowest; the
    counting then begins anew. The rule, and its threshold, of torch's ReduceLROnPlateau.
    """
    lowest, stale, rate = math.inf, 0, max_lr
    for loss in losses:
        if loss < lowest * (1 - PLATEAU_THRESHOLD):
            lowest, stale = loss, 0
        else:
            stale += 1
        if stale > patience:
            rate, stale = rate * factor, 0
    return rate


def range_sweep(step: int, n_steps: int, *, min_lr: float = 1e-5, max_lr: float = 10.0) -> float:
    """The LR range test's exponential sweep: `min_lr` at step 0, `max_lr` at step `n_steps - 1`."""
    return min_lr * (max_lr / min_lr) ** (step / max(1, n_steps - 1))

"""Times of several calls, side by side: rounds in which each has one turn, in an order drawn anew.

    run_rounds([first, second], budget_s=60)
    ratio_of_rounds(first, second)

A machine that speeds up or slows down does so for all of them, so ratios hold where times do not. A turn begins
with a call that is not counted: it takes over the caches and the cores from whoever ran before.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from training.evaluation.metrics import interval_ends

WARM_UP_CALLS = 2
MIN_ROUNDS = 5
TURN_S = 0.05
"""A turn counts calls until this long has gone by: one of a slow call, several of a quick one."""
MOST_CALLS_A_TURN = 10
RESAMPLES = 2000


@dataclass(eq=False)
class Timed:
    """A call, and how long it took."""

    name: str
    call: Callable[[], object] = field(repr=False)
    rounds_ms: list[list[float]] = field(default_factory=list, repr=False)
    """Milliseconds a call, a list a round."""

    @property
    def times_ms(self) -> np.ndarray:
        """(n_calls,) float64, in the order of the calls."""
        return np.concatenate([np.asarray(turn) for turn in self.rounds_ms])

    def take_turn(self) -> None:
        """One call that is not counted, then one or more that are."""
        self.call()
        turn: list[float] = []
        end = time.perf_counter() + TURN_S
        while not turn or (time.perf_counter() < end and len(turn) < MOST_CALLS_A_TURN):
            turn.append(milliseconds(self.call))
        self.rounds_ms.append(turn)


@dataclass(frozen=True)
class Ratio:
    """How many times as long one call takes as another: the median over rounds, and its 95% interval."""

    value: float
    interval: tuple[float, float]
    """By bootstrap over rounds."""
    n_rounds: int


def run_rounds(timed: Sequence[Timed], budget_s: float) -> None:
    """Warm every call up, then give each a turn a round, until the time is spent and five rounds are done."""
    for one in tqdm(timed, desc="warming up", unit="variant", disable=None):
        for _ in range(WARM_UP_CALLS):
            one.call()
    order, shuffle, rounds = list(timed), random.Random(0), 0
    start = time.perf_counter()
    with tqdm(total=round(budget_s, 1), desc="measuring", unit="s", disable=None) as progress:
        while rounds < MIN_ROUNDS or time.perf_counter() - start < budget_s:
            shuffle.shuffle(order)
            for one in order:
                one.take_turn()
                progress.update(round(min(time.perf_counter() - start, budget_s) - progress.n, 1))
            rounds += 1


def ratio_of_rounds(numerator: Timed, denominator: Timed) -> Ratio:
    """The ratio of the two turns of a round, over all rounds of one run."""
    above, below = ([float(np.median(turn)) for turn in one.rounds_ms] for one in (numerator, denominator))
    ratios = np.array(above) / np.array(below)
    draws = np.random.default_rng(0).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = interval_ends(np.median(ratios[draws], axis=1))
    return Ratio(float(np.median(ratios)), (float(low), float(high)), len(ratios))


def median_of_rounds(rounds_ms: Sequence[Sequence[float]]) -> tuple[float, tuple[float, float]]:
    """The median over rounds of each round's median, and its 95% interval by bootstrap over rounds."""
    medians = np.array([float(np.median(turn)) for turn in rounds_ms])
    draws = np.random.default_rng(0).integers(0, len(medians), (RESAMPLES, len(medians)))
    low, high = interval_ends(np.median(medians[draws], axis=1))
    return float(np.median(medians)), (float(low), float(high))


def milliseconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000

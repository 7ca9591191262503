"""Which labels are taken for each other: pairs by their errors, both ways added.

    worst = confused_pairs(summary["confusion"], labels)[:5]

Source: Mishra et al. 2019, Table 3. NumPy only; torch is not imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np


@dataclass(frozen=True)
class ConfusedPair:
    """Two labels and how many photos of the one were taken for the other; `label_1` comes first in the labels."""

    label_1: str
    label_2: str
    total: int
    """Both ways added."""
    errors_1_as_2: int
    """Photos of `label_1` that were taken for `label_2`."""
    errors_2_as_1: int


def confused_pairs(
    confusion: np.ndarray | Sequence[Sequence[int]], labels: Sequence[str]
) -> list[ConfusedPair]:
    """Every pair of labels with an error between them, the most errors first; ties in the labels' order.

    Args:
        confusion: (P, P) int counts, rows actual and columns predicted.
        labels: the P labels' names.

    Raises:
        ValueError: the matrix is not square, or not of these labels.
    """
    counts = np.asarray(confusion)
    if counts.shape != (len(labels), len(labels)):
        raise ValueError(
            f"the confusion matrix is {counts.shape}; {len(labels)} labels need as many rows and columns"
        )
    both = counts + counts.T
    pairs = [
        ConfusedPair(
            labels[first],
            labels[second],
            int(both[first, second]),
            int(counts[first, second]),
            int(counts[second, first]),
        )
        for first, second in combinations(range(len(labels)), 2)
        if both[first, second]
    ]
    return sorted(pairs, key=lambda pair: -pair.total)

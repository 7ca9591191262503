"""Arms against each other, on the same photos: differences with paired intervals, and what they amount to.

    rows = compare(answers_by_arm, reference="recipe")

Source: Efron & Tibshirani 1993, ch. 13: every draw of whole groups scores all arms, so that what makes a draw easy
for one makes it easy for all. Where an arm was run over several folds or seeds, its answers are pooled.
"""

from dataclasses import dataclass

import numpy as np

from training.evaluation.metrics import accuracy, balanced_accuracy, bootstrap, interval_ends
from training.reproduction.arms import Answers


@dataclass(frozen=True)
class Measured:
    """A number with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Of a difference: the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class ArmScore:
    """One arm's figures, and its difference to the reference arm (None for that arm itself)."""

    arm: str
    photos: int
    groups: int
    accuracy: Measured
    balanced_accuracy: Measured
    accuracy_difference: Measured | None
    balanced_accuracy_difference: Measured | None


def compare(answers: dict[str, Answers], reference: str) -> list[ArmScore]:
    """Score arms on the same photos.

    Args:
        answers: by the arm's name; all of the same photos in the same order.
        reference: the arm from which differences are taken.

    Raises:
        ValueError: the arms answered for different photos.
    """
    first = answers[reference]
    for name, own in answers.items():
        if not np.array_equal(own.photos, first.photos):
            raise ValueError(f"'{name}' and '{reference}' answered for different photos")
    names = list(answers)
    base = names.index(reference)
    predicted = np.stack([own.predicted for own in answers.values()], axis=1)

    def scores(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
        """(N, arms) answers to (2, arms): accuracy and balanced accuracy."""
        columns = list(predicted.T)
        return np.array(
            [
                [accuracy(column, actual) for column in columns],
                [balanced_accuracy(column, actual) for column in columns],
            ]
        )

    values = scores(predicted, first.actual)
    draws = bootstrap(scores, predicted, first.actual, groups=first.groups)
    ends = interval_ends(draws)
    differences = values - values[:, [base]]
    difference_ends = interval_ends(draws - draws[:, :, [base]])

    def measured(row: int, column: int, values: np.ndarray, ends: np.ndarray) -> Measured:
        return Measured(float(values[row, column]), float(ends[0, row, column]), float(ends[1, row, column]))

    return [
        ArmScore(
            name,
            len(first.actual),
            len(np.unique(first.groups)),
            measured(0, column, values, ends),
            measured(1, column, values, ends),
            None if column == base else measured(0, column, differences, difference_ends),
            None if column == base else measured(1, column, differences, difference_ends),
        )
        for column, name in enumerate(names)
    ]

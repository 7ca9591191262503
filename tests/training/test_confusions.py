"""Pairs of labels by their errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.evaluation.confusions import ConfusedPair, confused_pairs

LABELS = ("acne", "crust", "ulcer", "wheal")
MATRICES = arrays(np.int64, (4, 4), elements=st.integers(0, 9))


def test_both_ways_are_added_and_the_worst_pair_comes_first() -> None:
    confusion = [[9, 1, 0, 0], [0, 9, 2, 0], [0, 5, 9, 1], [0, 0, 0, 9]]
    assert confused_pairs(confusion, LABELS) == [
        ConfusedPair("crust", "ulcer", 7, 2, 5),
        ConfusedPair("acne", "crust", 1, 1, 0),
        ConfusedPair("ulcer", "wheal", 1, 1, 0),
    ]


@given(MATRICES)
def test_every_error_is_in_just_one_pair(confusion: np.ndarray) -> None:
    pairs = confused_pairs(confusion, LABELS)
    assert sum(pair.total for pair in pairs) == confusion.sum() - np.trace(confusion)
    assert all(pair.total == pair.errors_1_as_2 + pair.errors_2_as_1 > 0 for pair in pairs)
    assert [pair.total for pair in pairs] == sorted((pair.total for pair in pairs), reverse=True)


@given(MATRICES)
def test_turning_the_matrix_over_turns_the_directions_over(confusion: np.ndarray) -> None:
    turned = confused_pairs(confusion.T, LABELS)
    for pair, other in zip(confused_pairs(confusion, LABELS), turned, strict=True):
        assert (pair.label_1, pair.label_2) == (other.label_1, other.label_2)
        assert (pair.errors_1_as_2, pair.errors_2_as_1) == (other.errors_2_as_1, other.errors_1_as_2)


def test_no_error_no_pair() -> None:
    assert confused_pairs(np.diag([3, 1, 4, 0]), LABELS) == []


def test_a_matrix_of_other_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="3 labels need"):
        confused_pairs(np.zeros((4, 4), int), LABELS[:3])

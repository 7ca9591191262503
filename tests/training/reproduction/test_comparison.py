"""Arms against each other: differences are paired, intervals agree with theory, and noise is called noise."""

import numpy as np
import pytest

from training.reproduction.arms import Answers
from training.reproduction.comparison import compare


def make_answers(actual, predicted, groups=None):
    photos = np.array([f"0/{index}.jpg" for index in range(len(actual))])
    return Answers(photos, np.arange(len(actual)) if groups is None else groups, actual, predicted)


def test_a_clear_difference_is_clear_and_a_coin_is_not():
    rng = np.random.default_rng(0)
    actual = rng.integers(0, 3, 400)
    better = np.where(rng.random(400) < 0.8, actual, (actual + 1) % 3)
    worse = np.where(rng.random(400) < 0.5, actual, (actual + 1) % 3)
    twin = better.copy()
    swapped = rng.permutation(400)[:40]
    twin[swapped] = (actual[swapped] + rng.integers(0, 2, 40)) % 3
    rows = {
        row.arm: row
        for row in compare(
            {
                name: make_answers(actual, answers)
                for name, answers in (("better", better), ("worse", worse), ("twin", twin), ("same", better))
            },
            "better",
        )
    }
    assert rows["better"].balanced_accuracy_difference is None
    assert rows["worse"].balanced_accuracy_difference.high < 0
    assert not rows["twin"].accuracy_difference.clear
    same = rows["same"].accuracy_difference
    assert (same.value, same.low, same.high) == (0, 0, 0), "a paired difference to itself has no width"
    assert rows["worse"].accuracy.value == pytest.approx((worse == actual).mean())


def test_the_paired_interval_agrees_with_the_normal_one_of_single_photos():
    rng = np.random.default_rng(1)
    actual = np.repeat([0, 1], 500)
    first = np.where(rng.random(1000) < 0.7, actual, 1 - actual)
    second = np.where(rng.random(1000) < 0.75, actual, 1 - actual)
    gain = (second == actual).astype(float) - (first == actual)
    row = compare({"a": make_answers(actual, first), "b": make_answers(actual, second)}, "a")[1]
    half = 1.96 * gain.std() / np.sqrt(1000)
    assert row.accuracy_difference.value == pytest.approx(gain.mean())
    assert row.accuracy_difference.low == pytest.approx(gain.mean() - half, abs=0.15 * half)
    assert row.accuracy_difference.high == pytest.approx(gain.mean() + half, abs=0.15 * half)


def test_whole_groups_are_drawn():
    """Twenty copies of one photo are one group, and say no more than one."""
    actual = np.zeros(200, int)
    predicted = np.repeat(np.arange(10) % 2, 20)
    own = make_answers(actual, predicted, np.repeat(np.arange(10), 20))
    row = compare({"a": own}, "a")[0]
    assert row.groups == 10
    assert row.accuracy.high - row.accuracy.low > 0.5


def test_arms_that_answered_for_other_photos_are_not_compared():
    own = make_answers(np.zeros(4, int), np.zeros(4, int))
    with pytest.raises(ValueError, match="different photos"):
        compare({"a": own, "b": make_answers(np.zeros(5, int), np.zeros(5, int))}, "a")

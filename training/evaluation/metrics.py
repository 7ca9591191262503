"""How good a model is: pure functions of scores and targets (NumPy; torch is not imported).

    interval(balanced_accuracy, predicted, actual, groups=patients)

Sources: Liao & Luo 2017, Eq. 9 and 10 (mAP-class, mAP-image); Efron & Tibshirani 1993, ch. 13 for the percentile
bootstrap, here of whole groups, since photos of one patient are not independent.
"""

from collections.abc import Callable

import numpy as np

BOOTSTRAP_DRAWS = 2000


def confusion_matrix(predicted: np.ndarray, actual: np.ndarray, n_labels: int) -> np.ndarray:
    """(N,) int predicted and actual labels to (P, P) int64 counts: rows actual, columns predicted."""
    flat = np.asarray(actual, np.int64) * n_labels + predicted
    return np.bincount(flat, minlength=n_labels**2).reshape(n_labels, n_labels)


def recalls(predicted: np.ndarray, actual: np.ndarray, n_labels: int) -> np.ndarray:
    """(P,) float64: the share of each label's photos that were named rightly; NaN for a label without photos."""
    confusion = confusion_matrix(predicted, actual, n_labels)
    totals = confusion.sum(1).astype(np.float64)
    return np.divide(confusion.diagonal(), totals, out=np.full(n_labels, np.nan), where=totals > 0)


def accuracy(predicted: np.ndarray, actual: np.ndarray) -> float:
    """The share of photos that were named rightly."""
    return float((predicted == actual).mean())


def balanced_accuracy(predicted: np.ndarray, actual: np.ndarray) -> float:
    """The mean recall of the labels that occur (macro recall): each counts the same, however rare."""
    n_labels = int(max(predicted.max(), actual.max())) + 1
    return float(np.nanmean(recalls(predicted, actual, n_labels)))


def top_k_accuracy(scores: np.ndarray, actual: np.ndarray, k: int) -> float:
    """(N, P) scores, (N,) labels: the share of photos whose label is among the k highest; ties count against."""
    own = np.take_along_axis(scores, np.asarray(actual)[:, None], 1)
    return float(((scores >= own).sum(1) <= k).mean())


def average_precision(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The sum of precision times the gain in recall, of rankings along the first axis.

    Args:
        scores: (N, ...) float; tied scores share one cut-off.
        targets: (N, ...) of 0 and 1.

    Returns:
        (...) float64, a number for one ranking; NaN where there is no positive.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked, hit = np.take_along_axis(scores, order, 0), np.take_along_axis(targets, order, 0)
    hits = np.cumsum(hit, axis=0, dtype=np.float64)
    places = np.broadcast_to(np.arange(len(scores)).reshape(-1, *[1] * (scores.ndim - 1)), scores.shape)
    last_of_tie = np.where(np.diff(ranked, axis=0, append=np.nan) != 0, places, len(scores))
    cut_off = np.minimum.accumulate(last_of_tie[::-1], axis=0)[::-1]
    precision = np.take_along_axis(hits, cut_off, 0) / (cut_off + 1)
    n_positive = hits[-1]
    total = (precision * hit).sum(0)
    return np.divide(total, n_positive, out=np.full(np.shape(total), np.nan), where=n_positive > 0)


def map_class(scores: np.ndarray, targets: np.ndarray) -> float:
    """Liao & Luo 2017, Eq. 9: (N, P) scores and targets; the mean over labels of the photos' ranking."""
    return float(np.nanmean(average_precision(scores, targets)))


def map_image(scores: np.ndarray, targets: np.ndarray) -> float:
    """Liao & Luo 2017, Eq. 10: (N, P) scores and targets; the mean over photos of the labels' ranking."""
    return float(np.nanmean(average_precision(scores.T, targets.T)))


def interval(
    metric: Callable[..., float],
    *arrays: np.ndarray,
    groups: np.ndarray,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """95% percentile bootstrap interval of `metric(*arrays)`, drawing whole groups.

    Args:
        arrays: each with one entry a photo along its first axis.
        groups: (N,) the group of each photo.
    """
    low, high = interval_ends(bootstrap(metric, *arrays, groups=groups, draws=draws, seed=seed))
    return float(low), float(high)


def bootstrap(
    metric: Callable[..., float | np.ndarray],
    *arrays: np.ndarray,
    groups: np.ndarray,
    draws: int = BOOTSTRAP_DRAWS,
    seed: int = 0,
) -> np.ndarray:
    """(draws, ...) float64: `metric(*arrays)`, a number or an array of them, of each draw of whole groups.

    Numbers that one call of `metric` gives are of the same draw, so that their differences are paired.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        drawn = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        values.append(metric(*(array[drawn] for array in arrays)))
    return np.array(values, np.float64)


def interval_ends(values: np.ndarray) -> np.ndarray:
    """(draws, ...) to (2, ...) float64: the lower and the upper end of the 95% percentile interval."""
    return np.nanpercentile(values, [2.5, 97.5], axis=0)

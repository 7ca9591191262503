"""Scores over cross-validation folds: the mean of the folds' own figures, and how sure it and a difference are.

    columns = average_precisions(scores, targets, fold)              # (N, A, P) -> (A, F, P)
    low, high = fold_interval(differences)                           # one a fold

Two intervals, which ask different things: the bootstrap by group (other patients, the same networks; Efron &
Tibshirani 1993), and the one over folds (other networks too), widened for folds that share training photos
(Nadeau & Bengio 2003, Eq. 9). A difference is told from noise where both leave 0 out.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from training.evaluation import metrics


@dataclass(frozen=True)
class FoldMeasured:
    """A mean over folds with its two 95% intervals."""

    value: float
    low: float
    high: float
    """By bootstrap of whole groups."""
    folds: tuple[float, ...]
    fold_low: float
    fold_high: float

    @property
    def clear(self) -> bool:
        """Of a difference: both intervals leave 0 out."""
        return min(self.low, self.fold_low) > 0 or max(self.high, self.fold_high) < 0

    def to_json(self) -> dict[str, object]:
        return vars(self) | {"folds": list(self.folds), "clear": self.clear}


def average_precisions(scores: np.ndarray, targets: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Average precision within each fold: (N, A, P) scores, (N, P) targets, (N,) folds to (A, F, P) float64.

    NaN where a fold shows no photo of the label.
    """
    per_fold = []
    for rows in _rows_of(fold):
        own = np.broadcast_to(targets[rows, None], scores[rows].shape)
        per_fold.append(metrics.average_precision(scores[rows], own))
    return np.stack(per_fold, axis=1)


def image_average_precisions(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Each photo's own term of Eq. 10 of Liao & Luo 2017: (N, A, P) scores, (N, P) targets to (N, A) float64."""
    labels_first = np.moveaxis(scores, 2, 0)
    own = np.broadcast_to(targets.T[:, :, None], labels_first.shape)
    return metrics.average_precision(labels_first, own)


def fold_means(values: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(N, A) values of photos to (A, F) means of the folds."""
    return np.array([values[rows].mean(0) for rows in _rows_of(fold)]).T


def mean_known(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean along an axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    n_known = known.sum(axis)
    total = np.where(known, values, 0).sum(axis)
    return np.divide(total, n_known, out=np.full(total.shape, np.nan), where=n_known > 0)


def fold_interval(values: np.ndarray) -> tuple[float, float]:
    """(F,) one figure a fold to the 95% interval of their mean, by Student's t with the variance of a mean over
    folds whose training parts overlap: (1/F + n_held/n_trained) s^2, where n_held/n_trained = 1/(F - 1).

    Over a single fold nothing is known of the spread: -inf and inf.
    """
    n_folds = len(values)
    if n_folds < 2:
        return float("-inf"), float("inf")
    spread = np.sqrt((1 / n_folds + 1 / (n_folds - 1)) * np.var(values, ddof=1))
    reach = float(stats.t.ppf(0.975, n_folds - 1) * spread)
    mean = float(np.mean(values))
    return mean - reach, mean + reach


def measured(folds: np.ndarray, draws: np.ndarray) -> FoldMeasured:
    """The (F,) figures of the folds, and (D,) bootstrap draws of their mean."""
    low, high = metrics.interval_ends(draws)
    known = folds[~np.isnan(folds)]
    return FoldMeasured(
        float(known.mean()), float(low), float(high), tuple(folds.tolist()), *fold_interval(known)
    )


def _rows_of(fold: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(fold == number) for number in np.unique(fold)]

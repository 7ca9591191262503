"""What a correction gains: accuracies before and after on the same photos, with paired intervals by patient.

    effects = summarise(scores, changed, actual, groups, conditions=names, families=kinds, methods=METHODS)

Source: Efron & Tibshirani 1993, ch. 13 (percentile bootstrap), of whole patients. Every draw scores all conditions
and methods, so that differences are paired, and so are means over a family of conditions. NumPy only.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from training.evaluation.metrics import bootstrap, interval_ends

MEASURES = ("accuracy", "balanced_accuracy", "true_probability", "same_answer")
"""The last: the share of photos whose first label is the one that the same photo gets clean and as it is."""


@dataclass(frozen=True)
class Effect:
    """One method on one condition, or on the mean over a family of conditions."""

    condition: str
    method: str
    changed_share: float
    """Of the photos that the method changed, in [0, 1]."""
    level: dict[str, float]
    """By measure, each in [0, 1]."""
    gain: dict[str, tuple[float, float, float]]
    """By measure: the difference to the photo as it is, and its 95% interval."""

    @property
    def verdict(self) -> str:
        """By the probability of the true label, which every photo moves: helps, harms, or cannot be told."""
        _, low, high = self.gain["true_probability"]
        return "helps" if low > 0 else "harms" if high < 0 else "cannot be told"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict}


def summarise(
    scores: np.ndarray,
    changed: np.ndarray,
    actual: np.ndarray,
    groups: np.ndarray,
    *,
    conditions: Sequence[str],
    families: Sequence[str],
    methods: Sequence[str],
) -> list[Effect]:
    """All effects, first by condition, then by family.

    Args:
        scores: (N, C, M, P) float, the labels' probabilities; the first condition is the clean photo, the first
            method leaves it alone.
        changed: (N, C, M) bool, whether the method changed the photo.
        actual: (N,) the true labels.
        groups: (N,) the patients.
        families: (C,) the family of each condition; means are given of those with several.
    """
    answers = scores.argmax(3)
    right = (answers == actual[:, None, None]).astype(np.float64)
    own = np.take_along_axis(scores, actual[:, None, None, None], 3)[..., 0].astype(np.float64)
    same = (answers == answers[:, :1, :1]).astype(np.float64)
    labels = np.eye(scores.shape[3])[actual]
    several = [name for name in dict.fromkeys(families) if list(families).count(name) > 1]
    members = np.array([[family == name for family in families] for name in several], np.float64)
    members = members.reshape(len(several), len(families))
    pooling = np.vstack([np.eye(len(families)), members / np.maximum(members.sum(1, keepdims=True), 1)])

    def levels(right: np.ndarray, own: np.ndarray, same: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(measures, C + families, 2, M): levels, and differences to the first method."""
        counts = labels.sum(0)
        recalls = np.tensordot(labels[:, counts > 0].T, right, 1) / counts[counts > 0][:, None, None]
        level = np.array([right.mean(0), recalls.mean(0), own.mean(0), same.mean(0)])
        level = np.einsum("fc,kcm->kfm", pooling, level)
        return np.stack([level, level - level[..., :1]], axis=2)

    point = levels(right, own, same, labels)
    low, high = interval_ends(bootstrap(levels, right, own, same, labels, groups=groups))
    touched = pooling @ changed.mean(0)
    return [
        Effect(
            name,
            method,
            float(touched[c, m]),
            {key: float(point[k, c, 0, m]) for k, key in enumerate(MEASURES)},
            {
                key: (float(point[k, c, 1, m]), float(low[k, c, 1, m]), float(high[k, c, 1, m]))
                for k, key in enumerate(MEASURES)
            },
        )
        for c, name in enumerate([*conditions, *(f"{name}, mean of all" for name in several)])
        for m, method in enumerate(methods)
    ]


def gain_where_changed(
    scores: np.ndarray, changed: np.ndarray, actual: np.ndarray, groups: np.ndarray, method: int
) -> dict[str, Any]:
    """What one method gains on the photos that it changed, each under each condition counted once.

    Args:
        scores: (N, C, M, P) float, as in `summarise`.
        changed: (N, C) bool, which photos under which conditions count; at least one does.
        method: its place; it is compared with the first.

    Returns:
        `photos`, `patients`, and as (gain, low, high): `accuracy`, `true_probability`.
    """
    row, condition = np.nonzero(changed)
    before, after = scores[row, condition, 0], scores[row, condition, method]
    own, pair = actual[row], np.arange(len(row))
    right = (after.argmax(1) == own).astype(np.float64) - (before.argmax(1) == own)
    sure = (after[pair, own] - before[pair, own]).astype(np.float64)

    def means(right: np.ndarray, sure: np.ndarray) -> np.ndarray:
        return np.array([right.mean(), sure.mean()])

    low, high = interval_ends(bootstrap(means, right, sure, groups=groups[row]))
    value = means(right, sure)
    return {
        "photos": len(row),
        "patients": len(np.unique(groups[row])),
        **{
            name: (float(value[k]), float(low[k]), float(high[k]))
            for k, name in enumerate(("accuracy", "true_probability"))
        },
    }

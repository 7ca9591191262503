"""Average precisions of Liao & Luo 2017's arms beside each other, and what they say of the paper's claim.

table = LesionTable.of(scores)
table.map_class("mtl", less="lesion")               # a difference with its two intervals
"""

from typing import Any

import numpy as np
from scipy import stats

from training.evaluation.metrics import bootstrap, interval_ends
from training.reproduction.comparison import Measured
from training.reproduction.folds import (
    FoldMeasured,
    average_precisions,
    fold_means,
    image_average_precisions,
    mean_known,
    measured,
)
from training.reproduction.liao2017_scores import HeldOutScores, ensembles

COMPARED = (
    ("mtl", "lesion", "MTL less the ResNet on the lesions alone: the paper's claim"),
    ("mtl", "shuffled", "MTL less MTL on shuffled body sites: what the site itself adds"),
    ("shuffled", "lesion", "MTL on shuffled body sites less the ResNet: what a second task adds"),
    ("lesion", "alexnet", "ResNet less AlexNet"),
    ("ensemble", "mtl", "the ensemble less MTL"),
)


class LesionTable:
    """Average precision of each lesion and the two mAPs of each arm, with bootstrap draws that all arms share."""

    def __init__(self, names: list[str], stacked: np.ndarray, held: HeldOutScores) -> None:
        """
        Args:
            stacked: (N, A, P) scores, the arms in the order of `names`.
        """
        self.names = names
        own = image_average_precisions(stacked, held.lesion_targets)
        self.by_fold = average_precisions(stacked, held.lesion_targets, held.fold)
        self.image_by_fold = fold_means(own, held.fold)

        def figures(
            stacked: np.ndarray, targets: np.ndarray, own: np.ndarray, fold: np.ndarray
        ) -> np.ndarray:
            """(A, P + 1): each label's average precision, and mAP-image."""
            labels = mean_known(average_precisions(stacked, targets, fold), axis=1)
            return np.column_stack([labels, fold_means(own, fold).mean(1)])

        draws = bootstrap(figures, stacked, held.lesion_targets, own, held.fold, groups=held.groups)
        self.draws, self.image_draws = draws[..., :-1], draws[..., -1]

    @classmethod
    def of(cls, scores: HeldOutScores) -> "LesionTable":
        """Of the arms that learned lesions, and of the paper's ensemble where both its parts are there."""
        arms = dict(scores.lesion)
        if {"lesion", "mtl"} <= set(arms):
            arms["ensemble"] = ensembles(scores)["ensemble"]
        return cls(list(arms), np.stack(list(arms.values()), axis=1), scores)

    def average_precision(self, arm: str, label: int) -> Measured | None:
        """None for a label that no fold shows."""
        column = self.names.index(arm)
        value = mean_known(self.by_fold[column, :, [label]], axis=1)[0]
        return None if np.isnan(value) else with_interval(value, self.draws[:, column, label])

    def map_class(self, arm: str, less: str | None = None) -> FoldMeasured:
        """Eq. 9; of one arm, or of one less another."""
        folds, draws = mean_known(self.by_fold, axis=2), mean_known(self.draws, axis=2)
        return self._pick(folds, draws, arm, less)

    def map_image(self, arm: str, less: str | None = None) -> FoldMeasured:
        """Eq. 10; of one arm, or of one less another."""
        return self._pick(self.image_by_fold, self.image_draws, arm, less)

    def gains(self, arm: str, less: str) -> tuple[np.ndarray, np.ndarray]:
        """(P,) and (draws, P): each label's average precision by one arm less that by another."""
        first, second = self.names.index(arm), self.names.index(less)
        values = mean_known(self.by_fold, axis=1)
        return values[first] - values[second], self.draws[:, first] - self.draws[:, second]

    def differences(self) -> list[dict[str, Any]]:
        """Of `COMPARED`, those whose arms are there."""
        return [
            {
                "arm": arm,
                "less": less,
                "words": words,
                "map_class": self.map_class(arm, less).to_json(),
                "map_image": self.map_image(arm, less).to_json(),
            }
            for arm, less, words in COMPARED
            if {arm, less} <= set(self.names)
        ]

    def _pick(self, folds: np.ndarray, draws: np.ndarray, arm: str, less: str | None) -> FoldMeasured:
        first = self.names.index(arm)
        if less is None:
            return measured(folds[first], draws[:, first])
        second = self.names.index(less)
        return measured(folds[first] - folds[second], draws[:, first] - draws[:, second])


def verdict(differences: list[dict[str, Any]]) -> dict[str, str]:
    """Whether the body site helps to name the lesion here: a word, and a sentence that says why.

    The paper's claim needs MTL to beat the network for the lesions alone, and MTL on shuffled sites as well,
    each by a difference in mAP-class that both intervals tell from noise.
    """
    found = {(row["arm"], row["less"]): row["map_class"] for row in differences}
    claim, control = found.get(("mtl", "lesion")), found.get(("mtl", "shuffled"))
    if claim is None or control is None:
        return {"word": "open", "sentence": "A network that the answer needs did not come through."}
    gain = f"MTL changes mAP-class by {_points(claim)} points"
    against = f"against MTL on shuffled sites by {_points(control)}"
    if not claim["clear"]:
        return {
            "word": "inside the noise",
            "sentence": f"{gain}, {against}: at this size the site's help is not told from noise.",
        }
    if claim["value"] < 0:
        return {"word": "contradicted", "sentence": f"{gain}, a clear loss; {against}."}
    if control["clear"] and control["value"] > 0:
        return {"word": "holds", "sentence": f"{gain}, and {against}: the site itself helps."}
    return {
        "word": "a second task",
        "sentence": f"{gain}, but {against}: a second task helps, and that it is the true site's is not shown.",
    }


def rank_correlation(gains: np.ndarray, draws: np.ndarray, strength: np.ndarray) -> Measured | None:
    """Spearman's rank correlation of (P,) gains with (P,) strengths, its interval by the (D, P) draws of the
    gains.

    None where fewer than three labels have a gain, or where all strengths are equal.
    """
    known = ~np.isnan(gains)
    if known.sum() < 3 or np.ptp(strength[known]) == 0:
        return None
    value = stats.spearmanr(gains[known], strength[known]).statistic
    whole = draws[:, known][~np.isnan(draws[:, known]).any(1)]
    ranks, own = stats.rankdata(whole, axis=1), stats.rankdata(strength[known])
    centred, other = ranks - ranks.mean(1, keepdims=True), own - own.mean()
    lengths = np.sqrt((centred**2).sum(1) * (other**2).sum())
    drawn = np.divide(centred @ other, lengths, out=np.full(len(ranks), np.nan), where=lengths > 0)
    return with_interval(float(value), drawn)


def with_interval(value: float, draws: np.ndarray) -> Measured:
    low, high = interval_ends(draws)
    return Measured(float(value), float(low), float(high))


def _points(change: dict[str, Any]) -> str:
    return f"{100 * change['value']:+.1f} ({100 * change['low']:+.1f} to {100 * change['high']:+.1f})"

"""All numbers of one model on one set of photos: for the card, the report and `training.evaluate`.

    summary = summarise(probabilities, targets, groups, labels)

NumPy only; torch is not imported.
"""

from typing import Any

import numpy as np

from training.data.manifest import MISSING
from training.evaluation import metrics


def summarise(
    scores: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    labels: tuple[str, ...],
    *,
    majority: int | None = None,
    location_scores: np.ndarray | None = None,
    location_targets: np.ndarray | None = None,
) -> dict[str, Any]:
    """Metrics with 95% bootstrap intervals by group, as JSON-ready values.

    Args:
        scores: (N, P) float; only their order within a photo (and, for mAP-class, a label) counts.
        targets: (N, P) of 0 and 1. Where each photo has one label, accuracies and a confusion matrix are given.
        groups: (N,) the group of each photo.
        labels: names of the P labels.
        majority: the commonest label of the training part, whose constant answer is the baseline to beat.
        location_scores: (N, Q) float, for a model with two heads.
        location_targets: (N,) int64, `MISSING` where unknown.
    """
    summary: dict[str, Any] = {"photos": len(scores), "groups": len(np.unique(groups))}
    if (targets.sum(1) == 1).all():
        actual, predicted = targets.argmax(1), scores.argmax(1)
        for name, metric in (
            ("balanced_accuracy", metrics.balanced_accuracy),
            ("accuracy", metrics.accuracy),
        ):
            summary[name] = metric(predicted, actual)
            summary[f"{name}_interval"] = metrics.interval(metric, predicted, actual, groups=groups)
        summary["top_3_accuracy"] = metrics.top_k_accuracy(scores, actual, 3)
        summary["recall"] = {
            label: None if np.isnan(recall) else float(recall)
            for label, recall in zip(labels, metrics.recalls(predicted, actual, len(labels)), strict=True)
        }
        summary["confusion"] = metrics.confusion_matrix(predicted, actual, len(labels)).tolist()
        if majority is not None:
            constant = np.full_like(actual, majority)
            summary["majority_class"] = {
                "label": labels[majority],
                "accuracy": metrics.accuracy(constant, actual),
                "balanced_accuracy": metrics.balanced_accuracy(constant, actual),
            }
    summary["map_class"] = metrics.map_class(scores, targets)
    summary["map_image"] = metrics.map_image(scores, targets)
    if location_scores is not None and location_targets is not None:
        known = location_targets != MISSING
        if known.any():
            own, guess = location_targets[known], location_scores[known]
            summary["location_top_1_accuracy"] = metrics.top_k_accuracy(guess, own, 1)
            summary["location_top_3_accuracy"] = metrics.top_k_accuracy(guess, own, 3)
    return summary


def headline(summary: dict[str, Any]) -> str:
    """The summary's main figure in words."""
    if "balanced_accuracy" in summary:
        low, high = summary["balanced_accuracy_interval"]
        return f"balanced accuracy {summary['balanced_accuracy']:.3f} (95% interval {low:.3f} to {high:.3f})"
    return f"mAP-class {summary['map_class']:.3f}"

"""How a model's answers change with the field of view, the distance or gamma, and whether a paper's claim holds.

    curve = field_of_view_curve(predict, manifest, card.preprocessing)
    print(claim_sentence(curve))

Mishra et al. 2019 show one photo each: Fig. 14, a nearer view "unambiguously predicted" (Sec. 5.2), and Fig. 15,
gamma 1.2 to 1.5 "better instances of predictions" (Sec. 5.3). Here every photo is seen at every x, so differences
are paired; intervals are 95% percentile bootstrap of whole groups. NumPy only; torch is not imported.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from training.data.manifest import Manifest
from training.errors import DataError, PhotoError
from training.evaluation import metrics
from training.evaluation.distance import DISTANCES, Distance
from training.evaluation.predictors import Predict
from training.evaluation.sweeps import GAMMAS, FieldOfView, Sweep, Tone
from training.models.card import Preprocessing

Verdict = Literal["holds", "does not hold", "inside the noise"]


@dataclass(frozen=True)
class Band:
    """A value at each x, with the ends of its 95% interval."""

    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Change:
    """The mean over the claimed x minus the value at the reference, on the same photos; low and high at 95%."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """By rule: the whole interval above 0 holds, below 0 does not, and with 0 in it nothing is shown."""
        if self.low > 0:
            return "holds"
        return "does not hold" if self.high < 0 else "inside the noise"


@dataclass(frozen=True)
class Example:
    """One photo of the sweep, picked by rule."""

    rule: str
    row: int
    """Of the sweep."""
    label: str
    predicted: tuple[str, ...]
    true_probability: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """What a model says of the same photos at each x."""

    name: str
    condition: str
    x_label: str
    x: tuple[float, ...]
    x_notes: tuple[str, ...]
    """For a field of view or a distance, how much of the view the lesion takes; else empty."""
    reference: float
    claimed: tuple[float, ...]
    n_photos: int
    n_groups: int
    accuracy: Band
    balanced_accuracy: Band
    true_probability: Band
    """Mean probability of the true label."""
    accuracy_difference: Band
    """To the reference, on the same photos."""
    balanced_accuracy_difference: Band
    true_probability_difference: Band
    accuracy_change: Change
    balanced_accuracy_change: Change
    true_probability_change: Change
    examples: tuple[Example, ...]
    left_out: tuple[str, ...]
    """A sentence for each photo that could not be used."""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values, with the verdict and its sentence."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return values | {"verdict": deciding_change(self).verdict, "sentence": claim_sentence(self)}


def field_of_view_curve(
    predict: Predict, manifest: Manifest, view: Preprocessing, *, steps: int = 8, progress: bool = True
) -> Curve:
    """Accuracy and probability of the true label as the crop grows from the lesion's box to the whole photo.

    Args:
        manifest: its lesion labels are the columns of what `predict` gives.
        view: the card's preprocessing, which `predict` applies to what it is given.

    Raises:
        DataError: no photo has a box or a mask that can be used.
    """
    return measure(predict, FieldOfView.of(manifest, view, steps), progress=progress)


def gamma_curve(
    predict: Predict,
    manifest: Manifest,
    view: Preprocessing,
    *,
    gammas: tuple[float, ...] = GAMMAS,
    exposure_ev: float = 0.0,
    progress: bool = True,
) -> Curve:
    """Accuracy over gamma, for photos as they are or exposed `exposure_ev` stops otherwise (`change_tone`).

    Raises:
        DataError: the gammas do not hold 1 and one from 1.2 to 1.5, or every photo shows several lesions.
    """
    return measure(predict, Tone(manifest, view, gammas, exposure_ev), progress=progress)


def distance_curve(
    predict: Predict,
    labels: tuple[str, ...],
    *,
    n_per_label: int = 10,
    distances: tuple[float, ...] = DISTANCES,
    size: int = 256,
    progress: bool = True,
) -> Curve:
    """Accuracy over the distance from which phantoms are drawn, the same persons and lesions at each.

    Args:
        labels: the columns of what `predict` gives; those of the phantom among them are drawn.

    Raises:
        DataError: the phantom draws none of the labels.
    """
    return measure(predict, Distance(labels, n_per_label, distances, size), progress=progress)


def measure(predict: Predict, sweep: Sweep, *, progress: bool = True) -> Curve:
    """Score every photo of a sweep at every x.

    Raises:
        DataError: no photo can be read.
    """
    rows, scores, left_out = [], [], list(getattr(sweep, "left_out", ()))
    title = f"{sweep.name}, {sweep.condition}" if sweep.condition else sweep.name
    for row in tqdm(range(len(sweep.actual)), title, unit="photo", leave=False, disable=not progress):
        try:
            views = sweep.views(row)
        except PhotoError as error:
            left_out.append(str(error))
            continue
        rows.append(row)
        scores.append(predict(views))
    if not rows:
        raise DataError(f"no photo can be read; the first: {left_out[0]}")
    return summarise(sweep, np.array(rows), np.array(scores), tuple(left_out))


def summarise(sweep: Sweep, rows: np.ndarray, scores: np.ndarray, left_out: tuple[str, ...] = ()) -> Curve:
    """The curve of scores.

    Args:
        rows: (N,) which photos of the sweep were scored.
        scores: (N, X, P) float, the labels' probabilities at each x.
    """
    actual, groups = sweep.actual[rows], sweep.groups[rows]
    predicted = scores.argmax(2)
    right = (predicted == actual[:, None]).astype(np.float64)
    own = np.take_along_axis(scores, actual[:, None, None], 2)[..., 0].astype(np.float64)
    labels = np.eye(len(sweep.labels))[actual]
    reference = sweep.x.index(sweep.reference)
    claimed = [sweep.x.index(x) for x in sweep.claimed]

    def values(right: np.ndarray, own: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(3 measures, X values + X differences + 1 change) of some photos."""
        counts = labels.sum(0)
        recalls = (labels.T @ right)[counts > 0] / counts[counts > 0][:, None]
        level = np.array([right.mean(0), recalls.mean(0), own.mean(0)])
        difference = level - level[:, [reference]]
        return np.hstack([level, difference, difference[:, claimed].mean(1, keepdims=True)])

    point = values(right, own, labels)
    ends = metrics.interval_ends(metrics.bootstrap(values, right, own, labels, groups=groups))
    n_x = len(sweep.x)

    def band(measure: int, start: int) -> Band:
        part = slice(start, start + n_x)
        return Band(*(tuple(numbers[measure, part].tolist()) for numbers in (point, *ends)))

    def change(measure: int) -> Change:
        return Change(*(float(numbers[measure, -1]) for numbers in (point, *ends)))

    gain = own[:, claimed].mean(1) - own[:, reference]
    return Curve(
        name=sweep.name,
        condition=sweep.condition,
        x_label=sweep.x_label,
        x=tuple(map(float, sweep.x)),
        x_notes=sweep.x_notes,
        reference=float(sweep.reference),
        claimed=tuple(map(float, sweep.claimed)),
        n_photos=len(rows),
        n_groups=len(np.unique(groups)),
        accuracy=band(0, 0),
        balanced_accuracy=band(1, 0),
        true_probability=band(2, 0),
        accuracy_difference=band(0, n_x),
        balanced_accuracy_difference=band(1, n_x),
        true_probability_difference=band(2, n_x),
        accuracy_change=change(0),
        balanced_accuracy_change=change(1),
        true_probability_change=change(2),
        examples=_examples(sweep, rows, own, predicted, gain),
        left_out=left_out,
    )


def _examples(
    sweep: Sweep, rows: np.ndarray, own: np.ndarray, predicted: np.ndarray, gain: np.ndarray
) -> tuple[Example, ...]:
    """The photos whose true label gained most, lost most, and the one in the middle: a rule, no eye."""
    order = np.argsort(-gain, kind="stable")
    rules = {"gains most": order[0], "in the middle": order[len(order) // 2], "loses most": order[-1]}
    return tuple(
        Example(
            rule,
            int(rows[i]),
            sweep.labels[sweep.actual[rows[i]]],
            tuple(sweep.labels[label] for label in predicted[i]),
            tuple(own[i].tolist()),
        )
        for rule, i in rules.items()
    )


def deciding_change(curve: Curve) -> Change:
    """What decides on the claim: gamma "improves predictions", so accuracy; a nearer view makes the prediction
    "unambiguous", so the probability of the true label."""
    return curve.accuracy_change if curve.name == "gamma" else curve.true_probability_change


CLAIMS = {
    "gamma": "Gamma {low:g} to {high:g} improves predictions",
    "field of view": "A smaller field of view makes the prediction unambiguous",
    "distance": "A shorter distance makes the prediction unambiguous",
}
AGAINST = {
    "gamma": "the mean over those gammas against gamma 1",
    "field of view": "the mean over all smaller crops against the whole photo",
    "distance": "the mean over all shorter distances against the farthest",
}


def claim_sentence(curve: Curve) -> str:
    """Whether the paper's claim holds here, in plain words with its numbers, by the rule of `Change.verdict`."""
    claim = CLAIMS[curve.name].format(low=min(curve.claimed), high=max(curve.claimed))
    condition = f", photos {curve.condition}" if curve.name == "gamma" else ""
    accuracy, probability = curve.accuracy_change, curve.true_probability_change
    sentence = (
        f"{claim}{condition}: {deciding_change(curve).verdict}. {AGAINST[curve.name].capitalize()}, the same "
        f"{curve.n_photos} photos of {curve.n_groups} groups, accuracy changes by {_signed(accuracy, 100)} "
        f"points and the probability of the true label by {_signed(probability, 1)}"
    )
    if curve.name == "gamma":
        return f"{sentence}."
    nearest = curve.true_probability_difference
    nearest_change = Change(nearest.value[0], nearest.low[0], nearest.high[0])
    return f"{sentence}; in the nearest view alone the probability changes by {_signed(nearest_change, 1)}."


def _signed(change: Change, scale: float) -> str:
    digits = 1 if scale == 100 else 3
    value, low, high = (f"{scale * number:+.{digits}f}" for number in (change.value, change.low, change.high))
    return f"{value} (95% interval {low} to {high})"

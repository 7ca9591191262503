"""How far an exported file's answers are from its checkpoint's, and whether that is within its target's limits.

    parity = compare(pairs, photos, target, model_id=..., size=..., ran_on="cpu")

Pure functions of the answers; torch-free.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.photos_of_run import LabelledPhotos
from export.targets import Limits, Target
from training.evaluation.metrics import balanced_accuracy, interval


@dataclass(frozen=True)
class Answers:
    """What a model says of one photo, in the card's order of labels, as arrays of float64."""

    lesions: np.ndarray
    locations: np.ndarray
    cam: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Parity:
    """What is different between a file and its checkpoint, on the same photos."""

    model_id: str
    target: str
    ran_on: str
    """The provider; or `emulation`, for half precision where no GPU is."""
    photos: str
    """What was compared on."""
    n_photos: int
    n_sizes: int
    lesion_probability: float
    """Greatest difference, absolute."""
    location_probability: float
    """Greatest difference, absolute; 0 for a model with one head."""
    cam: float
    """Greatest difference, as a share of the checkpoint's greatest magnitude in the photo."""
    features: float
    """The same."""
    top_label_changes: int
    """Photos whose most probable lesion differs."""
    cam_correlation: float
    """5th percentile over photos: of the map of the checkpoint's top label with the file's."""
    balanced_accuracy: tuple[float, float] | None
    """The checkpoint's and the file's, where the labels are known."""
    balanced_accuracy_change: tuple[float, float] | None
    """Paired 95% bootstrap interval by group of the file's less the checkpoint's."""
    size: float
    """The file's bytes, as a share of the checkpoint's weights in fp32."""
    missed: tuple[str, ...] = ()
    """What the target's row asks for and the file does not reach, in words."""

    @property
    def passed(self) -> bool:
        return not self.missed

    @property
    def agreement(self) -> float:
        """The share of the photos whose most probable lesion stays."""
        return 1 - self.top_label_changes / self.n_photos

    def sentence(self) -> str:
        """The result on one line."""
        accuracy = ""
        if self.balanced_accuracy is not None and self.balanced_accuracy_change is not None:
            (before, after), (low, high) = self.balanced_accuracy, self.balanced_accuracy_change
            accuracy = f", balanced accuracy {before:.3f} -> {after:.3f} (change {low:+.3f} to {high:+.3f})"
        return (
            f"parity {'passed' if self.passed else 'MISSED'} ({self.target} on {self.ran_on}, {self.photos}, "
            f"{self.n_sizes} sizes): greatest difference in lesion probability {self.lesion_probability:.1e}, "
            f"body-site probability {self.location_probability:.1e}, class activation map {self.cam:.1e} and "
            f"features {self.features:.1e} of their scale; {self.top_label_changes} top labels changed "
            f"({self.agreement:.1%} agree), map correlation {self.cam_correlation:.4f} at the 5th percentile"
            f"{accuracy}; {self.size:.1%} of the weights' size"
        )

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"passed": self.passed, "agreement": self.agreement}


def compare(
    pairs: Sequence[tuple[Answers, Answers]],
    photos: LabelledPhotos,
    target: Target,
    *,
    model_id: str,
    size: float,
    ran_on: str,
) -> Parity:
    """Measure the differences and hold them against the target's limits.

    Args:
        pairs: the file's answers and the checkpoint's, a photo each.
        photos: which they are of.
        target: whose limits decide.
        model_id: the file's SHA-256, in hex.
        size: the file's bytes, as a share of the checkpoint's weights in fp32.
        ran_on: the provider, or `emulation`.
    """
    top = np.array([[own.lesions.argmax(), reference.lesions.argmax()] for own, reference in pairs])
    balanced, change = (None, None) if photos.labels is None else _balanced(top, photos)
    parity = Parity(
        model_id=model_id,
        target=target.name,
        ran_on=ran_on,
        photos=photos.source or f"{len(photos)} photos",
        n_photos=len(photos),
        n_sizes=len({image.shape for image in photos.images}),
        lesion_probability=max(difference(a.lesions, b.lesions) for a, b in pairs),
        location_probability=max(difference(a.locations, b.locations) for a, b in pairs),
        cam=max(difference(a.cam, b.cam) / _magnitude(b.cam) for a, b in pairs),
        features=max(difference(a.features, b.features) / _magnitude(b.features) for a, b in pairs),
        top_label_changes=int((top[:, 0] != top[:, 1]).sum()),
        cam_correlation=float(np.percentile([_correlation(a, b) for a, b in pairs], 5)),
        balanced_accuracy=balanced,
        balanced_accuracy_change=change,
        size=size,
    )
    return dataclasses.replace(parity, missed=missed_limits(parity, target.limits))


def _balanced(top: np.ndarray, photos: LabelledPhotos) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of (N, 2) top labels, file and checkpoint: balanced accuracies, checkpoint first; the change's interval."""
    labels = np.asarray(photos.labels)
    groups = np.arange(len(photos)) if photos.groups is None else photos.groups
    own, reference = (balanced_accuracy(column, labels) for column in top.T)
    if (top[:, 0] == top[:, 1]).all():
        return (reference, own), (0.0, 0.0)

    def change(own: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> float:
        return balanced_accuracy(own, labels) - balanced_accuracy(reference, labels)

    return (reference, own), interval(change, top[:, 0], top[:, 1], labels, groups=groups)


def _correlation(own: Answers, reference: Answers) -> float:
    """Of the two maps of the reference's top label; -1 where the file's alone is flat."""
    label = reference.lesions.argmax()
    a, b = own.cam[label].ravel(), reference.cam[label].ravel()
    if b.std() == 0:
        return 1.0
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 else -1.0


def missed_limits(parity: Parity, limits: Limits) -> tuple[str, ...]:
    """One short sentence for each limit that is not kept."""
    probability = max(parity.lesion_probability, parity.location_probability)
    missed = [
        f"{what} {value:.1e} over {limit:.0e}"
        for what, value, limit in (
            ("probability", probability, limits.probability),
            ("class activation map", parity.cam, limits.cam),
            ("features", parity.features, limits.features),
        )
        if limit is not None and not value <= limit
    ]
    if limits.agreement is not None and not parity.agreement >= limits.agreement:
        missed.append(f"agreement {parity.agreement:.2%} under {limits.agreement:.1%}")
    if limits.cam_correlation is not None and not parity.cam_correlation >= limits.cam_correlation:
        missed.append(f"map correlation {parity.cam_correlation:.4f} under {limits.cam_correlation}")
    change, allowed = parity.balanced_accuracy_change, limits.balanced_accuracy
    if change is not None and allowed is not None and not (-allowed <= change[0] and change[1] <= allowed):
        missed.append(f"balanced accuracy's change {change[0]:+.3f} to {change[1]:+.3f} not within {allowed}")
    if limits.size is not None and not parity.size <= limits.size:
        missed.append(f"size {parity.size:.1%} over {limits.size:.0%} of the weights in fp32")
    return tuple(missed)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The greatest absolute difference; infinite where either is not a number."""
    return float(np.nan_to_num(np.abs(a - b), nan=np.inf).max(initial=0.0))


def _magnitude(values: np.ndarray) -> float:
    return float(np.abs(values).max()) or 1.0

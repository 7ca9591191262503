"""Two photos of one spot: what the session holds of them, and what differs between their answers. Pure functions.

    comparison = Comparison().asking_for(2)
    rows = compared(first.lesions, second.lesions)

Nothing here says that skin has changed: an answer moves between two photos of the same lesion as well, by as much
as MOVED_POINTS says. Torch-free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from capture_app.reading import Reading
from export.runtime import Prediction, Score

Place = Literal[1, 2]
PLACES: tuple[Place, Place] = (1, 2)

MEASURED_LESIONS, MOVED_POINTS, OTHER_LABEL = 10, 15, 4
"""Of so many lesions with two photos or more, the median of the points by which the first photo's likeliest label
moved, and how many got another likeliest label. `python -m benchmarks.two_photos models/pad/model.int8.onnx --data
data/pad_ufes_20` (held-out patients; 95% interval of the median 5 to 34), 2026-11-23; a test holds them to
benchmarks/results/two_photos.json."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a session holds beside its first photo. Each change gives a new one, and loses no photo unasked."""

    second: Reading | None = None
    asked: Place | None = None
    """The photo that is being asked for; None where both are shown."""
    candidate: Reading | None = None
    """Given for `asked`, with a fault that stops; waits for a word from the person."""
    is_shown: bool = True
    """False while the person is back at the answer."""
    kept: Mapping[str, object] = field(default_factory=dict)
    """What was chosen for the first photo's answer."""

    def asking_for(self, place: Place) -> "Comparison":
        """The page asks for a photo; the one in that place stays until the new one is there."""
        return replace(self, asked=place, candidate=None, is_shown=True)

    def given_up(self) -> "Comparison":
        """Nothing is asked for any more; without a second photo there is nothing to show."""
        return replace(self, asked=None, candidate=None, is_shown=self.second is not None)


def placed(first: Reading, comparison: Comparison, given: Reading) -> tuple[Reading, Comparison]:
    """The first photo, and the comparison, once `given` has taken the place that was asked for."""
    done = replace(comparison, asked=None, candidate=None, is_shown=True)
    if comparison.asked == 1:
        return given, replace(done, kept={})
    return first, replace(done, second=given)


@dataclass(frozen=True)
class ComparedLabel:
    """A label in both answers."""

    name: str
    display: str
    probabilities: tuple[float, float]
    """Of the first photo and of the second."""

    @property
    def points(self) -> int:
        """From the first to the second, percentage points, of the percentages as written, so that they add up."""
        first, second = (written_percent(probability) for probability in self.probabilities)
        return second - first


def written_percent(probability: float) -> int:
    """The whole percentage that stands for a probability; "under 1%" is 0, and "over 99%" is 100."""
    if probability < 0.01:
        return 0
    return 100 if probability > 0.99 else int(f"{100 * probability:.0f}")


def compared(first: Sequence[Score], second: Sequence[Score]) -> tuple[ComparedLabel, ...]:
    """All labels, that with the highest mean of both probabilities first.

    Args:
        first, second: all labels of one model.
    """
    of_second = {score.name: score.probability for score in second}
    rows = [
        ComparedLabel(score.name, score.display, (score.probability, of_second[score.name]))
        for score in first
    ]
    return tuple(sorted(rows, key=lambda row: -sum(row.probabilities)))


def shared_scale(predictions: Sequence[Prediction]) -> float:
    """The evidence that counts as full heat in all of these photos, in units of the logit; see `heat_scale`."""
    return max(0.0, *(float(prediction.lesion_cam.max()) for prediction in predictions))


def same_picture(first: Reading, second: Reading) -> bool:
    """Was one picture given twice?"""
    return np.array_equal(first.for_model, second.for_model)

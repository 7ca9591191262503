"""Phantoms seen from near and far: a sweep for `training.evaluation.curves`.

    sweep = Distance(card_labels, n_per_label=10)
    images_rgb = sweep.views(0)                # one for each of sweep.x

Mishra et al. 2019, Sec. 5.2 and Fig. 14: the same lesion from two object distances, all else the same. Torch-free.
"""

from dataclasses import dataclass

import numpy as np

from training.data.datasets.phantom import LABELS as PHANTOM_LABELS
from training.data.datasets.phantom import Capture, draw_photo
from training.errors import DataError

DISTANCES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
SEED = 20_190_625
"""Far from the seeds that data sets are drawn from, so that no subject was trained on."""
LESION_SHARE = 1 / 3
"""Of the frame's side that the lesion's longer side takes at distance 1."""


@dataclass(frozen=True)
class Distance:
    """Phantoms drawn at several distances, everything else neutral and the same: a person, a lesion, the light."""

    labels: tuple[str, ...]
    """The model's, in its order; the phantom's are drawn."""
    n_per_label: int = 10
    distances: tuple[float, ...] = DISTANCES
    size: int = 256
    """Side of a photo in pixels."""
    seed: int = SEED

    name = "distance"
    condition = "phantom"
    x_label = "distance (1 = the lesion takes a third of the frame)"

    def __post_init__(self) -> None:
        if not self.drawn:
            raise DataError(
                f"the model's labels are {', '.join(self.labels)}, and the phantom draws none of them; it draws "
                f"{', '.join(PHANTOM_LABELS)}."
            )
        if len(set(self.distances)) < 2 or self.n_per_label < 1:
            raise DataError(
                f"{self.n_per_label} photos a label at the distances {self.distances} make no curve; at least one "
                "photo and two distances are needed."
            )

    @property
    def drawn(self) -> tuple[str, ...]:
        return tuple(label for label in self.labels if label in PHANTOM_LABELS)

    @property
    def x(self) -> tuple[float, ...]:
        return tuple(sorted(self.distances))

    @property
    def x_notes(self) -> tuple[str, ...]:
        return tuple(f"{min(1.0, LESION_SHARE / distance):.0%}" for distance in self.x)

    @property
    def reference(self) -> float:
        return self.x[-1]

    @property
    def claimed(self) -> tuple[float, ...]:
        return self.x[:-1]

    @property
    def actual(self) -> np.ndarray:
        return np.repeat([self.labels.index(label) for label in self.drawn], self.n_per_label)

    @property
    def groups(self) -> np.ndarray:
        return np.arange(len(self.drawn) * self.n_per_label)

    def views(self, row: int) -> list[np.ndarray]:
        label = self.labels[self.actual[row]]
        return [
            draw_photo(
                self.seed, row, lesion=label, size=self.size, capture=Capture(distance=distance)
            ).image_rgb
            for distance in self.x
        ]

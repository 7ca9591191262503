"""The same photos seen under one condition that changes: what `training.evaluation.curves` scores.

    sweep = FieldOfView.of(manifest, card.preprocessing)
    images_rgb = sweep.views(0)                # one for each of sweep.x

`FieldOfView` crops photos from the lesion's box to the whole, `Tone` changes their gamma; phantoms drawn nearer
and farther are in `training.evaluation.distance`. Mishra et al. 2019, Sec. 5.2 and 5.3. Torch-free.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.errors import DataError, PhotoError
from training.evaluation.crops import Square, lesion_box, square_about
from training.evaluation.tone import change_tone
from training.models.card import Preprocessing

CROPS = 8
SMALLEST_CROP_PX = 32
"""Of the stored photo: a lesion's box smaller than this is cropped with its surroundings."""
GAMMAS = tuple(round(0.6 + 0.1 * step, 1) for step in range(15))
CLAIMED_GAMMAS = (1.2, 1.5)


class Sweep(Protocol):
    """Photos, each seen at every `x`."""

    @property
    def name(self) -> str: ...
    @property
    def condition(self) -> str: ...
    @property
    def x_label(self) -> str: ...
    @property
    def x(self) -> tuple[float, ...]: ...
    @property
    def x_notes(self) -> tuple[str, ...]:
        """A few words on each x for an axis or a table."""
        ...

    @property
    def reference(self) -> float:
        """The x that the others are compared with."""
        ...

    @property
    def claimed(self) -> tuple[float, ...]:
        """Where the paper claims better predictions than at `reference`."""
        ...

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def actual(self) -> np.ndarray:
        """(N,) int64: each photo's label."""
        ...

    @property
    def groups(self) -> np.ndarray:
        """(N,): each photo's group."""
        ...

    def views(self, row: int) -> list[np.ndarray]:
        """(H, W, 3) uint8 RGB photos, one for each x.

        Raises:
            PhotoError: the photo cannot be read.
        """
        ...


class _OfManifest:
    """What sweeps over a manifest's photos share; each photo shows one lesion."""

    manifest: Manifest

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.lesion_labels

    @property
    def actual(self) -> np.ndarray:
        return self.manifest.lesion_targets().argmax(1)

    @property
    def groups(self) -> np.ndarray:
        return self.manifest.table["group"].to_numpy()


@dataclass(frozen=True)
class FieldOfView(_OfManifest):
    """Photos cropped from the lesion's box (x = 0) to the whole (x = 1).

    The network sees a square about the lesion's centre, moved inwards where it would leave the photo; from step
    to step its side grows by the same factor, from the box's longer side to the photo's shorter one. At x = 1 the
    photo is seen as it is always scored, decoded and cropped at its centre as the model's card says.
    """

    manifest: Manifest
    view: Preprocessing
    boxes: np.ndarray
    """(N, 4) float64: x0, y0, x1, y1 of the lesion as fractions of the upright photo's width and height."""
    sizes_hw: np.ndarray
    """(N, 2) int64: of the upright photo as stored."""
    left_out: tuple[str, ...] = ()
    """A sentence for each photo that has a box or a mask which cannot be used."""
    steps: int = CROPS

    name = "field of view"
    condition = ""
    x_label = "field of view: 0 = the lesion's box, 1 = the whole photo"
    reference = 1.0

    @classmethod
    def of(cls, manifest: Manifest, view: Preprocessing, steps: int = CROPS) -> "FieldOfView":
        """The photos of one lesion that have a box or a mask.

        Raises:
            DataError: none has; fewer than two steps were asked for.
        """
        if steps < 2:
            raise DataError(
                f"{steps} crops make no curve; at least 2 are needed, the lesion's box and the whole."
            )
        rows: list[int] = []
        boxes, sizes, left_out = [], [], []
        table = manifest.table
        single = table["lesions"].map(len) == 1
        for row in np.flatnonzero(single & ((table["box"] != "") | (table["mask"] != ""))):
            try:
                box, size_hw = lesion_box(table["path"][row], table["box"][row], table["mask"][row])
            except PhotoError as error:
                left_out.append(str(error))
                continue
            rows.append(int(row))
            boxes.append(box)
            sizes.append(size_hw)
        if not rows:
            why = f"; the first that has: {left_out[0]}" if left_out else ""
            raise DataError(
                f"no photo of {manifest.name} has a lesion's box or mask that can be used{why}; give the manifest "
                "a column `box` (x0 y0 x1 y1) or `mask` (a file, white where the lesion is)."
            )
        return cls(manifest.subset(rows), view, np.array(boxes), np.array(sizes), tuple(left_out), steps)

    @property
    def x(self) -> tuple[float, ...]:
        return tuple(np.linspace(0, 1, self.steps).round(4).tolist())

    @property
    def x_notes(self) -> tuple[str, ...]:
        """The median share of the view's side that the lesion's longer side takes."""
        longer = [self._ends(row)[0] for row in range(len(self.manifest))]
        shares = np.array([[side / own[2] for own in self.squares(row)] for row, side in enumerate(longer)])
        return tuple(f"{share:.0%}" for share in np.median(shares, axis=0))

    @property
    def claimed(self) -> tuple[float, ...]:
        return self.x[:-1]

    def _ends(self, row: int) -> tuple[float, int]:
        """The smallest and the largest side that the network sees, in pixels of the stored photo."""
        height, width = self.sizes_hw[row]
        x0, y0, x1, y1 = self.boxes[row]
        x0_whole, _, x1_whole, _ = self.view.view_box(int(height), int(width))
        largest = x1_whole - x0_whole
        longer = max((x1 - x0) * width, (y1 - y0) * height, SMALLEST_CROP_PX)
        return min(longer, largest), largest

    def squares(self, row: int) -> list[Square]:
        """What the network sees at each x, in pixels of the upright photo as stored."""
        height, width = (int(size) for size in self.sizes_hw[row])
        smallest, largest = self._ends(row)
        x0, y0, x1, y1 = self.boxes[row] * (width, height, width, height)
        sides = [round(smallest ** (1 - t) * largest**t) for t in self.x[:-1]]
        crops = [square_about((x0 + x1) / 2, (y0 + y1) / 2, side, height, width) for side in sides]
        left, top, right, _ = self.view.view_box(height, width)
        return [*crops, (left, top, right - left)]

    def views(self, row: int) -> list[np.ndarray]:
        path = str(self.manifest.table["path"][row])
        height, width = (int(size) for size in self.sizes_hw[row])
        squares = self.squares(row)
        # As many pixels for the smallest crop as the model wants of a whole photo, where the photo has them.
        sharp = round(self.view.decode_min_side * min(height, width) / squares[0][2])
        image_rgb = read_photo(path, min_side=sharp).image_rgb
        scale = image_rgb.shape[0] / height
        crops = []
        for x0, y0, side in squares[:-1]:
            # The network crops to its centre once more: give it the surroundings that it will cut off.
            given = min(side / self.view.crop_fraction, height, width)
            x0, y0, side = square_about(
                *((x0 + side / 2) * scale, (y0 + side / 2) * scale, round(given * scale)),
                *image_rgb.shape[:2],
            )
            crops.append(image_rgb[y0 : y0 + side, x0 : x0 + side])
        return [*crops, read_photo(path, min_side=self.view.decode_min_side).image_rgb]


@dataclass(frozen=True)
class Tone(_OfManifest):
    """Photos at several gammas, as they are or exposed otherwise; read as they are always scored."""

    manifest: Manifest
    view: Preprocessing
    gammas: tuple[float, ...] = GAMMAS
    exposure_ev: float = 0.0

    name = "gamma"
    x_label = "gamma (above 1 is brighter)"
    reference = 1.0

    def __post_init__(self) -> None:
        if not self.manifest.single_label:
            single = (self.manifest.table["lesions"].map(len) == 1).to_numpy()
            if not single.any():
                raise DataError(
                    f"every photo of {self.manifest.name} shows several lesions; one true label is needed."
                )
            object.__setattr__(self, "manifest", self.manifest.subset(np.flatnonzero(single)))
        if self.reference not in self.gammas or not self.claimed or min(self.gammas) <= 0:
            low, high = CLAIMED_GAMMAS
            raise DataError(
                f"gammas are {self.gammas}; they must be above 0, hold 1, and at least one from {low} to {high}."
            )

    @property
    def condition(self) -> str:
        if self.exposure_ev == 0:
            return "as they are"
        stops = abs(self.exposure_ev)
        how_many = "one stop" if stops == 1 else f"{stops:g} stops"
        return f"{how_many} {'darker' if self.exposure_ev < 0 else 'brighter'}"

    @property
    def x(self) -> tuple[float, ...]:
        return self.gammas

    @property
    def x_notes(self) -> tuple[str, ...]:
        return ("",) * len(self.gammas)

    @property
    def claimed(self) -> tuple[float, ...]:
        low, high = CLAIMED_GAMMAS
        return tuple(gamma for gamma in self.gammas if low <= gamma <= high)

    def views(self, row: int) -> list[np.ndarray]:
        path = str(self.manifest.table["path"][row])
        image_rgb = read_photo(path, min_side=self.view.decode_min_side).image_rgb
        return [change_tone(image_rgb, gamma=gamma, exposure_ev=self.exposure_ev) for gamma in self.gammas]


def seen(image_rgb: np.ndarray, view: Preprocessing) -> np.ndarray:
    """(H, W, 3) photo as given to a model to the (side, side, 3) square that its network sees."""
    x0, y0, x1, y1 = view.view_box(*image_rgb.shape[:2])
    return image_rgb[y0:y1, x0:x1]

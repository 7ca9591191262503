"""What the guidance benchmark measures on: photos with lesion masks, and which patients the limits may be set on.

photos = [photo for photo in masked_photos(manifest) if not on_training_side(photo.group)]
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from capture_app.frame import WORKING_SIDE_PX
from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.errors import PhotoError

FOLDS = 3
"""Into which the patients are dealt."""
PHOTO_SIDE_PX = 384
"""Side of the middle square that is degraded and looked at: more than the working size, so that blur is real."""
STRAY_SHARE = 0.02
"""Of a mask: a part of it smaller than this is a slip of the hand that drew it. Some of PAD-UFES-20's masks have
such dots, mostly at the photo's edge, and the box around all of it is not the lesion's."""


@dataclass(frozen=True, eq=False)
class MaskedPhoto:
    """The middle square of a photo."""

    rgb: np.ndarray
    """(side, side, 3) uint8, RGB."""
    mask: np.ndarray
    """(side, side) bool: the lesion."""
    group: str
    """The patient."""
    skin_tone: str
    """Fitzpatrick's type, 1 to 6, or empty."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) around the lesion, exclusive at the end."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def fold_of(group: str) -> int:
    """Which of `FOLDS` a patient is in, by the name alone."""
    return zlib.crc32(group.encode()) % FOLDS


def on_training_side(group: str) -> bool:
    """All folds but the first: limits are set on these patients and measured on the others."""
    return fold_of(group) != 0


def masked_photos(manifest: Manifest, side: int = PHOTO_SIDE_PX) -> Iterator[MaskedPhoto]:
    """The photos that have a mask with a lesion in view; a photo or mask that cannot be read is left out."""
    for row in manifest.table.itertuples():
        if not row.mask:
            continue
        try:
            photo = read_photo(str(row.path), min_side=max(side, WORKING_SIDE_PX)).image_rgb
            mask = read_photo(str(row.mask)).image_rgb[..., 0]
        except PhotoError:
            continue
        mask = cv2.resize(mask, photo.shape[1::-1], interpolation=cv2.INTER_AREA)
        lesion = _without_strays(_middle(mask, side) > 127)
        found = MaskedPhoto(_middle(photo, side), lesion, str(row.group), _tone(row.skin_tone))
        if found.mask.any():
            yield found


def _middle(plane: np.ndarray, side: int) -> np.ndarray:
    height, width = plane.shape[:2]
    shorter = min(height, width)
    y0, x0 = (height - shorter) // 2, (width - shorter) // 2
    square = plane[y0 : y0 + shorter, x0 : x0 + shorter]
    return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)


def _without_strays(mask: np.ndarray) -> np.ndarray:
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    sizes = np.bincount(labels[mask], minlength=1)
    kept: np.ndarray = mask & (sizes >= STRAY_SHARE * sizes.sum())[labels]
    return kept


def _tone(stored: object) -> str:
    return str(stored).split(".")[0] if stored else ""

"""From a photo's bytes to what the page shows of it: pixels, findings, notes.

    reading = read_capture_bytes(data, "lesion.jpg", classifier.card)
    reading.quality.severity, reading.for_model.shape

Nothing is written to disk, and nothing but the pixels is kept. Torch-free.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from capture_app.quality import Quality, check_photo
from training.data.photo import decode_photo
from training.errors import PhotoError
from training.models.card import ModelCard

MAX_PHOTO_BYTES = 20 * 1024 * 1024
SHOWN_MIN_SIDE = 512
"""Shorter side, in pixels, down to which the photo is reduced for the checks and the screen."""
SHOWN_MAX_SIDE = 1024
"""Longer side, in pixels, of what the screen gets."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A photo as the page holds it."""

    name: str
    for_model: np.ndarray
    """(H, W, 3) uint8, RGB: decoded exactly as in training and in `export.classify`."""
    shown: np.ndarray
    """(H, W, 3) uint8, RGB: larger or as large, for the eye."""
    size_hw: tuple[int, int]
    """Of the photo as it was taken, pixels."""
    quality: Quality
    """Boxes are in pixels of `shown`."""
    notes: tuple[str, ...]


def read_capture_bytes(data: bytes, name: str, card: ModelCard) -> Reading:
    """Decode a photo and check it.

    Raises:
        PhotoError: more than 20 MB, or not a photo that can be used.
    """
    if len(data) > MAX_PHOTO_BYTES:
        raise PhotoError(
            f"{name} has {len(data) / 2**20:.0f} MB; at most {MAX_PHOTO_BYTES // 2**20} MB are taken: "
            "choose the photo at a smaller size, or save it as JPEG."
        )
    photo = decode_photo(data, name=name, min_side=card.preprocessing.decode_min_side)
    shown = _limit(decode_photo(data, name=name, min_side=SHOWN_MIN_SIDE).image_rgb)
    return Reading(name, photo.image_rgb, shown, photo.original_size_hw, check_photo(shown), photo.notes)


def _limit(image_rgb: np.ndarray) -> np.ndarray:
    height, width = image_rgb.shape[:2]
    scale = SHOWN_MAX_SIDE / max(height, width)
    if scale >= 1:
        return image_rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA))

"""From a photo's bytes to what the page shows of it: pixels, findings, notes.

    reading = read_capture_bytes(data, "lesion.jpg", classifier.card)
    reading.quality.severity, reading.for_model.shape
    reading = sharpened(reading)  # Once the answer is on the screen.

A photo is decoded once before the answer, at the size that the model needs; decoding it again for the eye would
take about as long as the network. Nothing is written to disk, and in the end nothing but the pixels and how they
were exposed is kept.
Torch-free.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from capture_app.camera import LiveFinding
from capture_app.flash.exposure import exposure_of
from capture_app.frame import WORKING_SIDE_PX
from capture_app.quality import Quality, check_photo
from training.data.photo import Note, Photo, decode_photo, decode_photo_sizes
from training.errors import PhotoError
from training.models.card import ModelCard

MAX_PHOTO_BYTES = 20 * 1024 * 1024
SHOWN_MIN_SIDE = 512
"""Shorter side, in pixels, down to which the photo is reduced for the screen, in the end."""
SHOWN_MAX_SIDE = 1024
"""Longer side, in pixels, of what the screen gets."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A photo as the page holds it."""

    name: str
    for_model: np.ndarray
    """(H, W, 3) uint8, RGB: decoded exactly as in training and in `export.classify`."""
    shown: np.ndarray
    """(H, W, 3) uint8, RGB: larger or as large, for the checks and the eye; may be `for_model` itself."""
    size_hw: tuple[int, int]
    """Of the photo as it was taken, pixels."""
    quality: Quality
    """Boxes are in pixels of `shown`."""
    notes: tuple[Note, ...]
    live: tuple[LiveFinding, ...]
    """What the camera found when a person pressed its shutter; empty where nobody did."""
    exposure: float | None
    """`exposure_of` the photo's file."""
    sharper_from: bytes | None
    """The photo's bytes, as long as `sharpened` has more to show; None from then on."""


def read_capture_bytes(
    data: bytes, name: str, card: ModelCard, live: tuple[LiveFinding, ...] = ()
) -> Reading:
    """Decode a photo and check it.

    Args:
        data: the photo's file.
        name: how messages call it.
        card: of the model that will see it.
        live: what the camera found when a person pressed its shutter.

    Raises:
        PhotoError: more than 20 MB, or not a photo that can be used.
    """
    _check_bytes(data, name)
    photo, shown = decode_capture(data, name, card)
    wanted = min(SHOWN_MIN_SIDE, *photo.original_size_hw)
    more_to_show = min(shown.shape[:2]) < wanted and max(shown.shape[:2]) < SHOWN_MAX_SIDE
    return Reading(
        name=name,
        for_model=photo.image_rgb,
        shown=shown,
        size_hw=photo.original_size_hw,
        quality=check_photo(shown),
        notes=photo.notes,
        live=live,
        exposure=exposure_of(data),
        sharper_from=data if more_to_show else None,
    )


def decode_capture(data: bytes, name: str, card: ModelCard) -> tuple[Photo, np.ndarray]:
    """The photo as the model takes it, and `Reading.shown` as it is at first.

    Raises:
        PhotoError: not a photo that can be used.
    """
    for_model = card.preprocessing.decode_min_side
    photo, larger = decode_photo_sizes(data, (for_model, max(for_model, WORKING_SIDE_PX)), name=name)
    return photo, _limit(larger.image_rgb)


def sharpened(reading: Reading) -> Reading:
    """The same reading with a picture of at least 512 pixels a side where the photo has them; findings stay.

    Raises:
        PhotoError: the photo cannot be decoded at this size.
    """
    if reading.sharper_from is None:
        return reading
    shown, quality = read_shown(reading.sharper_from, reading.name), reading.quality
    if quality.lesion is not None:
        x_factor, y_factor = (shown.shape[axis] / reading.shown.shape[axis] for axis in (1, 0))
        x0, y0, x1, y1 = quality.lesion.box
        box = round(x0 * x_factor), round(y0 * y_factor), round(x1 * x_factor), round(y1 * y_factor)
        quality = replace(quality, lesion=replace(quality.lesion, box=box))
    return replace(reading, shown=shown, quality=quality, sharper_from=None)


def read_shown(data: bytes, name: str) -> np.ndarray:
    """A photo at the size of the sharpened picture, (H, W, 3) uint8 RGB.

    Raises:
        PhotoError: as `read_capture_bytes`.
    """
    _check_bytes(data, name)
    return _limit(decode_photo(data, name=name, min_side=SHOWN_MIN_SIDE).image_rgb)


def _check_bytes(data: bytes, name: str) -> None:
    if len(data) > MAX_PHOTO_BYTES:
        raise PhotoError(
            f"{name} has {len(data) / 2**20:.0f} MB; at most {MAX_PHOTO_BYTES // 2**20} MB are taken: "
            "choose the photo at a smaller size, or save it as JPEG.",
            "too_many_bytes",
            name=name,
            megabytes=f"{len(data) / 2**20:.0f}",
            limit=MAX_PHOTO_BYTES // 2**20,
        )


def _limit(image_rgb: np.ndarray) -> np.ndarray:
    height, width = image_rgb.shape[:2]
    scale = SHOWN_MAX_SIDE / max(height, width)
    if scale >= 1:
        return image_rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA))

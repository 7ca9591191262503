"""A square about the lesion: which one to suggest, and where it lies in a photo of any size.

    square = square_about(scene.lesion, image_rgb.shape[:2])
    nearer_rgb = cut(image_rgb, square)

Asks what Mishra et al. 2019, Sec. 5.2 and Fig. 14 ask: what does a nearer view of the same photo say? A square is
kept in shares of the photo, so that it means the same on every decoding of it. Whether following the suggestion
helps is measured by `benchmarks.correction`. Torch-free.
"""

import math
from dataclasses import dataclass

import numpy as np

from capture_app.locate import Lesion
from capture_app.quality import limits

SMALL_EXTENT = 0.19
"""Just above the 5th percentile (0.183), over 486 clean training photos of PAD-UFES-20, of `Lesion.extent`."""
USUAL_EXTENT = 0.37
"""Its median: what the lesion takes of the suggested square."""
MIN_CROP_PX = 96
"""A smaller square would be enlarged more than twice for the network."""


@dataclass(frozen=True)
class Square:
    """A square of a photo, inside it."""

    x: float
    """Of the centre, from the left, in shares of the width."""
    y: float
    """Of the centre, from the top, in shares of the height."""
    side: float
    """In shorter sides of the photo, in (0, 1]."""

    def pixels(self, size_hw: tuple[int, ...]) -> tuple[int, int, int]:
        """x0, y0 and side in whole pixels of the photo at this size, and inside it."""
        height, width = size_hw[:2]
        shorter = min(height, width)
        side = min(shorter, max(1, round(self.side * shorter)))
        left, top = round(self.x * width - side / 2), round(self.y * height - side / 2)
        return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def clamped(x: float, y: float, side: float, size_hw: tuple[int, ...]) -> Square:
    """The nearest square that lies inside the photo and has pixels enough.

    Args:
        x, y, side: as `Square` has them, of any value that is a number.
        size_hw: of the photo as it is cut, pixels.

    Raises:
        ValueError: one of them is not a finite number.
    """
    if not all(math.isfinite(value) for value in (x, y, side)):
        raise ValueError(f"a square at ({x}, {y}) of side {side} is no place on a photo")
    height, width = size_hw[:2]
    shorter = min(height, width)
    side = min(max(side, smallest_side(size_hw)), 1.0)
    half_x, half_y = side * shorter / width / 2, side * shorter / height / 2
    return Square(min(max(x, half_x), 1 - half_x), min(max(y, half_y), 1 - half_y), side)


def smallest_side(size_hw: tuple[int, ...]) -> float:
    """The side of the smallest square that has pixels enough, in shorter sides of the photo."""
    return min(1.0, MIN_CROP_PX / min(size_hw[:2]))


def square_about(lesion: Lesion, size_hw: tuple[int, ...]) -> Square:
    """The square in which the lesion takes the share that it usually has, or as much of it as the photo holds.

    Args:
        lesion: its box is in pixels of the photo at this size.
        size_hw: of the photo, pixels.
    """
    height, width = size_hw[:2]
    x0, y0, x1, y1 = lesion.box
    return clamped((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, lesion.extent / USUAL_EXTENT, size_hw)


def suggest_square(lesion: Lesion, size_hw: tuple[int, ...]) -> Square | None:
    """`square_about` a clear lesion that is smaller than on almost all clean photos; None about any other."""
    if limits()["no_lesion"].judge(lesion.likelihood) != "ok" or lesion.extent >= SMALL_EXTENT:
        return None
    return square_about(lesion, size_hw)


def whole(size_hw: tuple[int, ...]) -> Square:
    """The middle square of a photo: what a network that crops nothing off its shorter side sees."""
    return clamped(0.5, 0.5, 1.0, size_hw)


def cut(image_rgb: np.ndarray, square: Square) -> np.ndarray:
    """The square's pixels, a view of (H, W, 3) uint8 RGB."""
    x0, y0, side = square.pixels(image_rgb.shape)
    return image_rgb[y0 : y0 + side, x0 : x0 + side]

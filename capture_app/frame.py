"""What the checks look at: a photo at one fixed size, whole and in cells, as `camera/frame.js` sees it too.

    frame = Frame.of(image_rgb)
    frame.cells.shape, frame.luma.shape

Everything after the reduction to the working size is done alike in Python and in JavaScript, so that the phone's
live checks and the server's say the same of the same frame. Torch-free.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

WORKING_SIDE_PX = 240
"""Shorter side at which every photo and every frame of the preview is looked at."""
MAX_ASPECT = 2
"""Of a longer photo only the middle is looked at."""
CELL_PX = 4
"""Side of the square cells in which colour is judged."""
FINE_PX = 2
"""Side of the squares that the locator looks at."""
DISPLAY_GAMMA = 2.2
LUMA_PER_MILLE = (299, 587, 114)


@dataclass(frozen=True, eq=False)
class Frame:
    """The middle of a photo at the working size, and where it lay in the photo."""

    rgb: np.ndarray
    """(h, w, 3) uint8, RGB."""
    scale: float = 1.0
    """Of the frame's pixels to the photo's: below 1 where the photo was reduced."""
    corner_xy: tuple[int, int] = (0, 0)
    """Of the frame in the photo, in the photo's pixels."""

    @classmethod
    def of(cls, image_rgb: np.ndarray) -> "Frame":
        """The middle of a photo, (H, W, 3) uint8 RGB, at the working size."""
        height, width = image_rgb.shape[:2]
        longest = MAX_ASPECT * min(height, width)
        y0, x0 = max(0, height - longest) // 2, max(0, width - longest) // 2
        middle = image_rgb[y0 : y0 + longest, x0 : x0 + longest]
        scale = WORKING_SIDE_PX / min(height, width)
        size = round(middle.shape[1] * scale), round(middle.shape[0] * scale)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return cls(cv2.resize(middle, size, interpolation=how), scale, (x0, y0))

    @cached_property
    def luma(self) -> np.ndarray:
        """(h, w) float32, 0 to 255, whole levels."""
        red, green, blue = (self.rgb[..., band].astype(np.int32) for band in range(3))
        weighted = LUMA_PER_MILLE[0] * red + LUMA_PER_MILLE[1] * green + LUMA_PER_MILLE[2] * blue
        return ((weighted + 500) // 1000).astype(np.float32)

    @cached_property
    def cells(self) -> np.ndarray:
        """(rows, columns, 3) float32: the mean colour of every whole cell, 0 to 255."""
        return self._means(CELL_PX)

    @cached_property
    def fine(self) -> np.ndarray:
        """(2 rows, 2 columns, 3) float32: the mean colour of every quarter of a whole cell, 0 to 255."""
        return self._means(FINE_PX)

    def _means(self, side: int) -> np.ndarray:
        rows, columns = (CELL_PX * (size // CELL_PX) for size in self.rgb.shape[:2])
        whole = self.rgb[:rows, :columns].astype(np.float32)
        # Exact, as sums of whole levels are.
        return cv2.resize(whole, (columns // side, rows // side), interpolation=cv2.INTER_AREA)

    @cached_property
    def darkest(self) -> np.ndarray:
        """(h, w) uint8: the least of each pixel's three colours."""
        red, green, blue = np.moveaxis(self.rgb, 2, 0)
        return np.minimum(np.minimum(red, green), blue)

    @cached_property
    def cell_luma(self) -> np.ndarray:
        """(rows, columns) float64, 0 to 255."""
        return self.cells.astype(np.float64) @ (np.array(LUMA_PER_MILLE) / 1000)


def stops(values: np.ndarray | float) -> np.ndarray:
    """Stored values, 0 to 255, as light in stops below full scale."""
    return DISPLAY_GAMMA * np.asarray(np.log2((values + 1) / 256))


def rank(values: np.ndarray, share: float) -> float:
    """The value below which `share` of the values lie: one of them, none in between."""
    ordered = np.sort(values, axis=None)
    return float(ordered[int(share * (ordered.size - 1) + 0.5)])

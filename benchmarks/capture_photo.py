"""The photo that `benchmarks.capture` is timed on: a phantom as a phone's 12-megapixel JPEG would hold it.

    data = drawn_jpeg()

The phantom is drawn at its greatest size, enlarged to 4000x3000, and given the grain that a phone's sensor leaves:
without it the file, and with it the time of entropy decoding, would be a fifth of a real photo's.
"""

import cv2
import numpy as np

from training.data.datasets.phantom_capture import Capture
from training.data.datasets.phantom_photo import MAX_SIZE_PX, draw_photo

SIZE_HW = (3000, 4000)
GRAIN_LEVELS = 3.0
"""Standard deviation of the grain, in grey levels."""
JPEG_QUALITY = 95
"""With chroma at half the resolution, as phones store it."""


def drawn_jpeg(size_hw: tuple[int, int] = SIZE_HW) -> bytes:
    """A pigmented macula of light skin: always the same bytes for a size and a version of the JPEG library."""
    height, width = size_hw
    drawn = draw_photo(
        7, 3, lesion="p_macula", tone=2, size=min(MAX_SIZE_PX, max(size_hw)), capture=Capture()
    ).image_rgb
    square = cv2.resize(drawn, (max(size_hw), max(size_hw)), interpolation=cv2.INTER_CUBIC)
    top, left = (max(size_hw) - height) // 2, (max(size_hw) - width) // 2
    grain = np.random.default_rng(0).standard_normal((height, width, 3), np.float32) * GRAIN_LEVELS
    image_rgb = cv2.add(
        square[top : top + height, left : left + width], grain.round().astype(np.int16), dtype=cv2.CV_8U
    )
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", image_bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes()

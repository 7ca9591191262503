"""A class activation map laid over the photo it came from.

    scale = heat_scale(prediction.lesion_cam)
    overlay = render_overlay(image_rgb, prediction.cam_of("ulcer"), prediction.view_box, scale)

One scale serves all labels of a photo, so that the map of a label that the model hardly sees looks as weak as
it is; a map stretched to its own range would look certain. Torch-free.
"""

from functools import cache

import cv2
import numpy as np

OUTSIDE_BRIGHTNESS = 0.55
"""Of the part of the photo that the network did not see."""
FULL_OPACITY_AT = 0.5
"""Heat from which on the colour has its full opacity; below it fades into the photo."""
COLOUR_MAP = cv2.COLORMAP_VIRIDIS
"""Ordered in lightness, also for colour-blind eyes and in grey; its blues and greens stand apart from skin."""


def heat_scale(lesion_cam: np.ndarray) -> float:
    """The evidence that counts as full heat in one photo: the greatest of all its labels.

    Args:
        lesion_cam: (P, h, w) float, in units of the logit.

    Returns:
        The greatest positive value, in the same units; 0 where no label has any.
    """
    return max(0.0, float(lesion_cam.max()))


def heat_of(cam: np.ndarray, scale: float, size_hw: tuple[int, int]) -> np.ndarray:
    """A map enlarged to pixels, evidence against the label left out.

    Args:
        cam: (h, w) float, in units of the logit.
        scale: what counts as full heat, from `heat_scale`.
        size_hw: height and width to enlarge to, in pixels.

    Returns:
        (H, W) float32 in [0, 1].
    """
    if scale <= 0:
        return np.zeros(size_hw, np.float32)
    heat = np.maximum(cam, 0).astype(np.float32) / np.float32(scale)
    return cv2.resize(heat, size_hw[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)


def render_overlay(
    image_rgb: np.ndarray,
    cam: np.ndarray,
    view_box: tuple[int, int, int, int],
    scale: float,
    opacity: float = 0.5,
) -> np.ndarray:
    """Blend one label's map into a photo: the warmer, the more colour; what is cold shows the photo.

    Args:
        image_rgb: (H, W, 3) uint8, RGB.
        cam: (h, w) float, in units of the logit.
        view_box: the square that the network saw, pixels: (x0, y0, x1, y1), x1 and y1 exclusive.
        scale: what counts as full heat, from `heat_scale`.
        opacity: of the colour where it is warm, in [0, 1].

    Returns:
        (H, W, 3) uint8, RGB, a new array; what lies outside the view box is dimmed.

    Raises:
        ValueError: the opacity is outside [0, 1].
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity is {opacity}; it must lie in [0, 1]")
    x0, y0, x1, y1 = view_box
    heat = heat_of(cam, scale, (y1 - y0, x1 - x0))
    colour_rgb = cv2.applyColorMap(cv2.convertScaleAbs(heat, alpha=255), _colours_rgb())
    alpha = np.minimum(heat * np.float32(opacity / FULL_OPACITY_AT), np.float32(opacity))
    overlay = cv2.convertScaleAbs(image_rgb, alpha=OUTSIDE_BRIGHTNESS)
    # One pass over the pixels, where NumPy would take six and a float copy of the photo.
    overlay[y0:y1, x0:x1] = cv2.blendLinear(colour_rgb, image_rgb[y0:y1, x0:x1], alpha, 1 - alpha)
    return overlay


@cache
def _colours_rgb() -> np.ndarray:
    """(256, 1, 3) uint8, RGB: the colours from cold to warm."""
    return np.ascontiguousarray(
        cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], COLOUR_MAP)[..., ::-1]
    )

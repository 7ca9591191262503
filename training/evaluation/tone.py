"""Gamma and exposure of a stored photo, as tables of 256 values.

    darker_rgb = change_tone(image_rgb, gamma=1.0, exposure_ev=-1.0)

Gamma is out = in ** (1 / gamma) on stored values in [0, 1], as in `capture_app.tone`: above 1 brightens the
mid-tones, below 1 darkens them, 1 changes nothing. Exposure is in stops of linear light: the stored values are
taken back to light by the sRGB curve (IEC 61966-2-1), multiplied by 2 ** exposure_ev, cut off at white and stored
again in 8 bits. A photo taken too dark is exposed first and gets its gamma afterwards, as in an app. Torch-free.
"""

import cv2
import numpy as np

LEVELS = np.arange(256) / 255


def change_tone(image_rgb: np.ndarray, *, gamma: float = 1.0, exposure_ev: float = 0.0) -> np.ndarray:
    """Expose the photo otherwise, then apply gamma.

    Args:
        image_rgb: (H, W, 3) uint8, RGB.
        gamma: above 0; larger is brighter.
        exposure_ev: stops; +1 doubles the light.

    Returns:
        (H, W, 3) uint8, RGB, a new array; equal to the photo at gamma 1 and 0 stops.
    """
    table = gamma_table(gamma)[exposure_table(exposure_ev)]
    return np.asarray(cv2.LUT(np.ascontiguousarray(image_rgb), table))


def gamma_table(gamma: float) -> np.ndarray:
    """(256,) uint8: what each stored value becomes.

    Raises:
        ValueError: gamma is not above 0.
    """
    if not gamma > 0:
        raise ValueError(f"gamma is {gamma}; it must be above 0, and 1 changes nothing.")
    return np.round(255 * LEVELS ** (1 / gamma)).astype(np.uint8)


def exposure_table(exposure_ev: float) -> np.ndarray:
    """(256,) uint8: what each stored value becomes in `exposure_ev` stops more light."""
    light = np.where(LEVELS <= 0.04045, LEVELS / 12.92, ((LEVELS + 0.055) / 1.055) ** 2.4)
    light = np.minimum(light * 2.0**exposure_ev, 1.0)
    stored = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * stored).astype(np.uint8)

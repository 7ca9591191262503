"""White balance: take a lamp's tint out of a photo, towards the colours that clean photos have.

    balanced_rgb = apply_balance(image_rgb, measure_tint(image_rgb))

The light's colour is the photo's by shades of grey (Finlayson & Trezzi 2004, Minkowski norm 6), brought to what it
is on clean training photos rather than to grey, since a close-up of skin is not grey. Whether following the
suggestion helps is measured on other photos by `benchmarks.correction`. Torch-free.
"""

import cv2
import numpy as np

NORM = 6.0
USUAL_COLOUR = (-1.18, -1.64, -1.89)
"""log2 of linear R, G, B: medians over 486 training photos of PAD-UFES-20."""
TINTED_STOPS = 1.25
"""95th percentile, over the same photos, of what `tint_stops` says."""
SMALL_SIDE_PX = 128
DARKEST = 1e-3
"""Linear light below which a colour is not measured."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])

Stops = tuple[float, float, float]


def to_light(stored: np.ndarray) -> np.ndarray:
    """Stored sRGB values, 0 to 255, to linear light in [0, 1], float32 (IEC 61966-2-1)."""
    values = np.asarray(stored, np.float32) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def to_stored(light: np.ndarray) -> np.ndarray:
    """Linear light, cut off to [0, 1], to float stored values, 0 to 255."""
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def light_colour(image_rgb: np.ndarray, norm: float = NORM) -> np.ndarray:
    """(3,) log2 of the linear colour that is taken for the light's; `image_rgb` is (H, W, 3) uint8."""
    small = cv2.resize(image_rgb, (SMALL_SIDE_PX, SMALL_SIDE_PX), interpolation=cv2.INTER_AREA)
    colour = (to_light(small).reshape(-1, 3).astype(np.float64) ** norm).mean(axis=0) ** (1 / norm)
    return np.asarray(np.log2(np.maximum(colour, DARKEST)))


def without_luminance(stops: np.ndarray) -> Stops:
    """Stops by channel less what would make the photo lighter or darker."""
    red, green, blue = (float(value) for value in stops - LUMINANCE @ stops)
    return red, green, blue


def measure_tint(image_rgb: np.ndarray) -> Stops:
    """Stops by channel, R, G, B, that take the photo's colour, not its luminance, to the usual one."""
    return without_luminance(np.array(USUAL_COLOUR) - light_colour(image_rgb))


def tint_stops(tint: Stops) -> float:
    """How far apart two channels are moved at most."""
    return max(tint) - min(tint)


def suggest_balance(image_rgb: np.ndarray) -> Stops | None:
    """What `measure_tint` says where the photo is tinted more than almost every clean one, else None."""
    tint = measure_tint(image_rgb)
    return tint if tint_stops(tint) > TINTED_STOPS else None


def apply_balance(image_rgb: np.ndarray, tint: Stops) -> np.ndarray:
    """Gains by channel in linear light, by a table of 256 values each.

    Args:
        image_rgb: (H, W, 3) uint8, RGB.
        tint: stops by channel.

    Returns:
        (H, W, 3) uint8, RGB, a new array.
    """
    levels = to_light(np.arange(256))[:, None] * np.exp2(np.array(tint))
    return np.asarray(cv2.LUT(image_rgb, np.round(to_stored(levels)).astype(np.uint8)[None]))

"""Photos made worse by known amounts: light, tone, colour, distance and place. For `benchmarks.correction`.

    worse_rgb = CONDITIONS["3 stops darker"].make(image_rgb, np.random.default_rng(0))

Light is changed in linear light (sRGB, IEC 61966-2-1), cut off at white, then noise, 8 bits and JPEG, as a phone
would leave it. A step back is drawn: the colours at the photo's edge go on smoothly, with grain as strong as the
photo's. Pure functions; torch-free.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from capture_app.balance import to_light, to_stored

NOISE_LEVELS = 2.0
"""Grey levels of fresh noise on every degraded photo."""
JPEG_QUALITY = 90
SMOOTH = 0.06
"""Of the shorter side: sigma of the Gaussian that parts colour from texture."""
GRAIN_PX = 1.0
"""Sigma of the drawn texture."""

Make = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Condition:
    """One way and amount of going wrong."""

    name: str
    family: str
    make: Make
    """(H, W, 3) uint8 RGB and a generator for the noise, to (h, w, 3) uint8 RGB."""


def expose(image_rgb: np.ndarray, ev_rgb: tuple[float, float, float]) -> np.ndarray:
    """Stops more light by channel, on (H, W, 3) uint8 RGB; float32, 0 to 255."""
    levels = to_stored(to_light(np.arange(256))[:, None] * np.exp2(np.array(ev_rgb, np.float32)))
    return np.asarray(cv2.LUT(image_rgb, levels.astype(np.float32)[None]))


def curve(image_rgb: np.ndarray, gamma: float) -> np.ndarray:
    """out = in ** (1 / gamma) on stored values; float32, 0 to 255."""
    levels = 255 * (np.arange(256, dtype=np.float32) / 255) ** (1 / gamma)
    return np.asarray(cv2.LUT(image_rgb, levels))


def widen(image_rgb: np.ndarray, factor: float, offset_xy: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """The photo as from `factor` times the distance, its middle off by a share of the new frame's sides.

    Args:
        factor: 1 or more; the frame's sides grow by it, the photo's pixels stay.
        offset_xy: right and down positive; at most what keeps the photo inside.

    Raises:
        ValueError: the photo would leave the frame.
    """
    height, width = image_rgb.shape[:2]
    sigma = SMOOTH * min(height, width)
    top, bottom = _margins(height, factor, offset_xy[1])
    left, right = _margins(width, factor, offset_xy[0])
    photo = image_rgb.astype(np.float32)
    smooth = cv2.GaussianBlur(photo, (0, 0), sigma)
    edges = cv2.copyMakeBorder(smooth, top, bottom, left, right, cv2.BORDER_REPLICATE)
    small = cv2.resize(edges, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 3)
    far = cv2.resize(small, edges.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    inside = np.zeros(edges.shape[:2], np.float32)
    inside[top : top + height, left : left + width] = 1
    # From the photo's colours to the drawn ones over a few pixels outside it, so that no edge is seen.
    near = np.maximum(inside, np.minimum(2 * cv2.GaussianBlur(inside, (0, 0), sigma), 1))[..., None]
    grain = np.random.default_rng(0).standard_normal(edges.shape[:2], np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), GRAIN_PX)
    strength = 1.4826 * np.median(np.abs(photo - smooth)) / grain.std()
    wide = near * edges + (1 - near) * far + strength * grain[..., None]
    wide[top : top + height, left : left + width] = photo
    return np.clip(wide, 0, 255).round().astype(np.uint8)


def _margins(side: int, factor: float, offset: float) -> tuple[int, int]:
    """Pixels before and after the photo in the wider frame."""
    wide = round(side * factor)
    before = round((wide - side) / 2 + offset * wide)
    if not 0 <= before <= wide - side:
        raise ValueError(f"an offset of {offset} of the frame leaves it at {factor} times the distance")
    return before, wide - side - before


def stored(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Float values, 0 to 255, as a phone keeps them: noise, 8 bits, JPEG; (H, W, 3) uint8 RGB."""
    noisy = values + NOISE_LEVELS * rng.standard_normal(values.shape, np.float32)
    bits = np.clip(noisy, 0, 255).round().astype(np.uint8)
    encoded = cv2.imencode(".jpg", bits[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(decoded[..., ::-1])


def _light(name: str, family: str, *ev_rgb: float) -> Condition:
    evs = (ev_rgb[0], ev_rgb[-1] if len(ev_rgb) == 1 else ev_rgb[1], ev_rgb[-1])
    return Condition(name, family, lambda image, rng: stored(expose(image, evs), rng))


def _curve(gamma: float) -> Condition:
    name = f"tone curve, gamma {gamma:g}"
    return Condition(name, "tone curve", lambda image, rng: stored(curve(image, gamma), rng))


def _place(name: str, family: str, factor: float, *offset: float) -> Condition:
    x, y = offset or (0.0, 0.0)
    return Condition(name, family, lambda image, rng: stored(widen(image, factor, (x, y)), rng))


def _everything(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return stored(expose(widen(image, 2.0), (-3.65, -4.0, -4.35)), rng)


CLEAN = Condition("as they are", "clean", lambda image, rng: image)

CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        CLEAN,
        *(_light(f"{n} stop{'s' * (n > 1)} darker", "dark", -n) for n in (1, 2, 3, 4)),
        *(_light(f"{n} stop{'s' * (n > 1)} brighter", "bright", n) for n in (1, 2)),
        *(_curve(gamma) for gamma in (0.6, 1.7)),
        _light("warm, 0.7 stops red to blue", "colour cast", 0.35, 0, -0.35),
        _light("warm, 1.4 stops red to blue", "colour cast", 0.7, 0, -0.7),
        _light("cool, 1.4 stops blue to red", "colour cast", -0.7, 0, 0.7),
        _place("2 times as far", "far", 2.0),
        _place("3 times as far", "far", 3.0),
        _place("2 times as far, off by 25%", "far", 2.0, -0.25, 0.15),
        Condition("4 stops darker, warm, 2 times as far", "all at once", _everything),
    )
}

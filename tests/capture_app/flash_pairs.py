"""Drawn photos without and with flash, good and wrong ones, small enough for tests."""

from collections.abc import Callable
from functools import cache, partial

import cv2
import numpy as np

from benchmarks.flash_scenes import Conditions, Pair, draw_pair
from capture_app.flash.light import linearise, to_display
from capture_app.flash.pair import FlashPair, separate_pair
from training.data.datasets.phantom import draw_photo
from training.data.datasets.phantom_capture import Capture

SIDE = 256
HELD_BY_HAND = Conditions(
    ambient_rgb=(1.3, 1.0, 0.7),
    ambient_gradient_stops=1.0,
    flash_over_ambient=2.0,
    shine=0.1,
    relief=0.05,
    shift_xy=(0.03, -0.02),
    turn_deg=3.0,
    scale=1.03,
    perspective_xy=(0.01, 0.0),
)


def skin(seed: int = 0, size: int = 360) -> np.ndarray:
    """(size, size, 3) uint8: speckled skin with a dark spot."""
    rng = np.random.default_rng(seed)
    noises = [cv2.GaussianBlur(rng.standard_normal((size, size)), (0, 0), sigma) for sigma in (2, 7)]
    speckles = sum(noise / noise.std() for noise in noises)
    y, x = np.mgrid[:size, :size] / size
    spot = np.exp(-((((x - 0.53) ** 2 + (y - 0.47) ** 2) / 0.14**2) ** 2))
    dim = np.exp(-0.07 * speckles - 1.1 * spot)[..., None] ** np.array([0.7, 1.0, 1.2])
    return to_display((np.array([0.55, 0.33, 0.24]) * dim).astype(np.float32))


@cache
def drawn(conditions: Conditions = HELD_BY_HAND, *, side: int = SIDE) -> Pair:
    """Photos of `skin` in the room's light and with flash."""
    return draw_pair(skin(size=round(1.4 * side)), conditions, np.random.default_rng(0), side=side)


@cache
def lesion_pair(side: int = 720) -> Pair:
    """Photos of a drawn lesion that the page finds good, without and with flash."""
    lesion = draw_photo(7, 3, lesion="crust", location=None, tone=2, size=960, capture=Capture(distance=0.9))
    conditions = Conditions(
        ambient_rgb=(1.25, 1.0, 0.75),
        ambient_gradient_stops=0.5,
        flash_over_ambient=0.9,
        shine=0.35,
        shine_exponent=80.0,
        relief=0.06,
        shift_xy=(0.02, -0.015),
        turn_deg=1.5,
        brightest=0.8,
    )
    return draw_pair(lesion.image_rgb, conditions, np.random.default_rng(0), side=side)


def darker(image_rgb: np.ndarray, factor: float = 0.5) -> np.ndarray:
    return to_display(linearise(image_rgb) * np.float32(factor))


def _separated(make: Callable[[], tuple[np.ndarray, np.ndarray]]) -> FlashPair:
    return separate_pair(*make())


REFUSED: dict[str, Callable[[], FlashPair]] = {
    kind: partial(_separated, make)
    for kind, make in {
        "pair_small": lambda: (skin(size=100), skin(size=300)),
        "pair_shape": lambda: (skin(), skin()[:300]),
        "pair_washed_out": lambda: (skin(), np.full((360, 360, 3), 255, np.uint8)),
        "pair_unlike": lambda: (darker(skin(), 0.4), skin(1)[:, ::-1]),
        "pair_moved": lambda: (darker(skin(), 0.4), np.ascontiguousarray(np.rot90(skin()))),
        "pair_darker": lambda: (skin(), darker(skin(), 0.4)),
        "pair_no_flash": lambda: (skin(), skin()),
    }.items()
}
"""By kind of `PhotoError`: what raises it."""

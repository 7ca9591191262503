"""How a synthetic photo was taken: the conditions, and the pure function that lays them on a scene.

    photo_rgb = apply_capture(linear_rgb, Capture(ev=-1.5, blur_sigma=0.006), rng)

`Capture()` is a clean photo; `draw_capture(rng)` is what people send from their phones. Distance and offset are
geometry and belong to the scene (phantom.py); the rest happens here, in linear light and in the order of optics:
illumination, shadow, glare, blur, motion, exposure, tone curve, sensor noise. Torch-free.
"""

import dataclasses
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from training.data.datasets.phantom_fields import GRAIN_SIGMA, banks, ramp
from training.errors import DataError

DISPLAY_GAMMA = 2.2
FULL_SCALE = 16383.0
"""Linear light that the sensor stores as its brightest value: 14 bits."""


@dataclass(frozen=True)
class Capture:
    """Conditions of one photo.

    Raises:
        DataError: a value is outside its range.
    """

    distance: float = 1.0
    """1 = the lesion's longer side takes a third of the frame; 2 = a sixth. 0.4 to 4."""
    offset_xy: tuple[float, float] = (0.0, 0.0)
    """The lesion's centre from the frame's, as fractions of its side, right and down. -0.5 to 0.5 each."""
    ev: float = 0.0
    """Exposure in stops; +1 doubles the light. -5 to 5."""
    gradient_ev: float = 0.0
    """Stops between the frame's lit and unlit side. 0 to 5."""
    light_deg: float = 235.0
    """Where the light comes from: 0 = right, 90 = below, 180 = left, 270 = above. Any number."""
    glare: float = 0.0
    """Strength of the lamp's reflection; 1 burns out to white. 0 to 2."""
    glare_size: float = 0.12
    """Radius of the reflection as a fraction of the frame's side. 0.01 to 0.5."""
    shadow: float = 0.0
    """Light that the phone's or the hand's shadow takes away, as a fraction. 0 to 1."""
    blur_sigma: float = 0.0
    """Defocus: sigma of the Gaussian as a fraction of the frame's side. 0 to 0.05."""
    motion_blur: float = 0.0
    """Length of the camera's movement as a fraction of the frame's side. 0 to 0.1."""
    motion_deg: float = 0.0
    """Direction of that movement. Any number."""
    gamma: float = 1.0
    """Tone curve on top of the display's: above 1 darkens the middle tones. 0.3 to 3."""
    noise_sigma: float = 0.0
    """Sensor noise as a fraction of full scale. 0 to 0.3."""
    white_balance_ev: tuple[float, float] = (0.0, 0.0)
    """Stops by which red and blue are off. -1.5 to 1.5 each."""

    def __post_init__(self) -> None:
        for name, (low, high) in ALL_RANGES.items():
            value = getattr(self, name)
            if type(value) is float and low <= value <= high and value - value == 0:
                continue
            pair = name in ("offset_xy", "white_balance_ev")
            numbers = tuple(value) if pair and isinstance(value, (tuple, list)) else (value,)
            if len(numbers) != 1 + pair or not all(
                isinstance(x, (int, float, np.number)) and math.isfinite(x) and low <= x <= high
                for x in numbers
            ):
                what = "two numbers" if pair else "a number"
                raise DataError(
                    f"capture {name} = {value!r}: it takes {what} from {low:g} to {high:g}; "
                    "Capture() is a clean photo."
                )


RANGES = {
    "distance": (0.4, 4.0),
    "offset_xy": (-0.5, 0.5),
    "ev": (-5.0, 5.0),
    "gradient_ev": (0.0, 5.0),
    "glare": (0.0, 2.0),
    "glare_size": (0.01, 0.5),
    "shadow": (0.0, 1.0),
    "blur_sigma": (0.0, 0.05),
    "motion_blur": (0.0, 0.1),
    "gamma": (0.3, 3.0),
    "noise_sigma": (0.0, 0.3),
    "white_balance_ev": (-1.5, 1.5),
}
"""Lowest and highest value of each condition."""
ALL_RANGES = {
    field.name: RANGES.get(field.name, (-math.inf, math.inf)) for field in dataclasses.fields(Capture)
}


def draw_capture(rng: random.Random) -> Capture:
    """The everyday variation of a phone photo: mostly usable, now and then poor in one way."""
    chance = [rng.random() for _ in range(6)]

    def bell(sigma: float, limit: float) -> float:
        return min(max(rng.gauss(0, sigma), -limit), limit)

    return Capture(
        distance=0.95 * 2 ** bell(0.40, 1.2),
        offset_xy=(bell(0.07, 0.3), bell(0.07, 0.3)),
        ev=bell(0.35, 1.3),
        gradient_ev=abs(bell(0.5, 2.0)) if chance[0] < 0.7 else 0.0,
        light_deg=rng.uniform(0, 360),
        glare=rng.uniform(0.15, 0.8) if chance[1] < 0.15 else 0.0,
        glare_size=rng.uniform(0.04, 0.14),
        shadow=rng.uniform(0.2, 0.65) if chance[2] < 0.15 else 0.0,
        blur_sigma=min(rng.expovariate(1 / 0.0022), 0.05) if chance[3] < 0.6 else 0.0,
        motion_blur=rng.uniform(0.005, 0.025) if chance[4] < 0.08 else 0.0,
        motion_deg=rng.uniform(0, 180),
        gamma=round(2 ** bell(0.15, 0.6), 2),
        noise_sigma=min(rng.expovariate(1 / 0.010), 0.08) if chance[5] < 0.8 else 0.0,
        white_balance_ev=(bell(0.16, 0.6), bell(0.2, 0.7)),
    )


def light_field(capture: Capture, side: int, rng: random.Random) -> np.ndarray | float:
    """Illumination over the frame in natural-log units: (side, side) float32, or 0 where it is even."""
    x = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    angle = math.radians(capture.light_deg)
    turn, start, shade_side = rng.gauss(0, 0.6), rng.uniform(-0.15, 0.25), rng.uniform(0, 2 * math.pi)
    field: np.ndarray | float = 0.0
    if capture.gradient_ev:
        slope = np.float32(capture.gradient_ev * math.log(2) / (abs(math.cos(angle)) + abs(math.sin(angle))))
        field = (
            slope * np.float32(math.cos(angle)) * x[None] + slope * np.float32(math.sin(angle)) * x[:, None]
        )
    if capture.shadow:
        across = np.float32(math.cos(shade_side)) * x[None] + np.float32(math.sin(shade_side)) * x[:, None]
        across = across + np.float32(turn) * (x * x)[None]
        field = field + np.float32(math.log(max(1 - capture.shadow, 1e-3))) * ramp(
            across, start, start + 0.09
        )
    return field


def gains(capture: Capture) -> tuple[float, float, float]:
    """What exposure and white balance multiply linear R, G and B by."""
    red, blue = capture.white_balance_ev
    return 2 ** (capture.ev + red), 2**capture.ev, 2 ** (capture.ev + blue)


def glare_light(capture: Capture, relief: np.ndarray, rng: random.Random) -> np.ndarray:
    """The lamp's reflection as linear light to add, broken up by the skin's relief: (H, W) float32."""
    centre, stretch = [rng.uniform(-0.28, 0.28) for _ in "xy"], rng.uniform(0.6, 1.0)
    ticks = (np.arange(relief.shape[0], dtype=np.float32) + 0.5) / relief.shape[0] - 0.5
    x, y = ((ticks - middle) / capture.glare_size for middle in centre)
    bell = np.outer(np.exp(-0.5 * (y / stretch) ** 2), 1.6 * capture.glare * np.exp(-0.5 * x**2))
    return cv2.multiply(bell, 0.75 + 0.25 * relief)


def apply_capture(linear_rgb: Iterable[np.ndarray], capture: Capture, rng: random.Random) -> np.ndarray:
    """Lens and sensor: what the phone stores of the light that reaches it.

    Args:
        linear_rgb: three bands, R, G, B, each (size, size) float32, linear, 0 to FULL_SCALE and beyond,
            illumination and `gains` already on it; their values are overwritten.

    Returns:
        (size, size, 3) uint8, RGB.
    """
    curve, bands = _tone_curve(capture.gamma), []
    for band in linear_rgb:
        light = _blur(band, capture)
        cv2.threshold(light, 65535, 0, cv2.THRESH_TRUNC, dst=light)
        bands.append(cv2.LUT(light.astype(np.uint16), curve))
    stored = cv2.merge(bands)
    if capture.noise_sigma:
        size = stored.shape[0]
        grain, strength = banks().grain, 255 * capture.noise_sigma / GRAIN_SIGMA
        if size > grain.shape[0]:
            grain = np.tile(grain, (-(-size // grain.shape[0]),) * 2 + (1,))
        y, x = (int(rng.random() * (grain.shape[0] - size + 1)) for _ in range(2))
        stored = cv2.addWeighted(stored, 1.0, grain[y : y + size, x : x + size], strength, -128 * strength)
    return stored


def _blur(light: np.ndarray, capture: Capture) -> np.ndarray:
    """Defocus and movement, where they reach a pixel."""
    size = light.shape[0]
    sigma, length = capture.blur_sigma * size, capture.motion_blur * size
    if sigma > 0.2:
        reach = 2 * math.ceil(2 * sigma) + 1
        light = cv2.GaussianBlur(light, (reach, reach), sigma, borderType=cv2.BORDER_REPLICATE)
    if length > 0.7:
        light = cv2.filter2D(light, -1, _streak(length, capture.motion_deg), borderType=cv2.BORDER_REPLICATE)
    return light


@lru_cache(maxsize=256)
def _tone_curve(gamma: float) -> np.ndarray:
    """Linear light, 0 to FULL_SCALE and beyond, to stored 8 bits: (65536,) uint8."""
    curve = cv2.pow(_LINEAR, gamma / DISPLAY_GAMMA)
    return cv2.convertScaleAbs(curve, alpha=255).reshape(-1)


_LINEAR = np.minimum(np.arange(65536, dtype=np.float32) / np.float32(FULL_SCALE), 1)[None]


def _streak(length_px: float, degrees: float) -> np.ndarray:
    side = 2 * math.ceil(length_px / 2) + 1
    kernel = np.zeros((side, side), np.float32)
    half, middle = length_px / 2, side // 2
    dx, dy = half * math.cos(math.radians(degrees)), half * math.sin(math.radians(degrees))
    ends = [(round((middle + s * dx) * 16), round((middle + s * dy) * 16)) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    return kernel / kernel.sum()

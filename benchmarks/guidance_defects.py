"""Photos spoilt by known amounts: darkness, brightness, uneven light, shadow, glare, blur, motion, distance, aim.

    spoilt_rgb = spoil(photo, Defect("blur", 0.006), seed=3)

On photos of people the light is undone to linear values, and goes through the same lens and sensor as a phantom's
(training.data.datasets.phantom_capture); distance and aim move the photo within a larger piece of its own skin. A
phantom is drawn anew with the defect among its conditions.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from benchmarks.guidance_parts import PHOTO_SIDE_PX, MaskedPhoto
from capture_app.frame import rank, stops
from training.data.datasets.phantom_capture import (
    DISPLAY_GAMMA,
    FULL_SCALE,
    Capture,
    apply_capture,
    gains,
    glare_light,
    light_field,
)
from training.data.datasets.phantom_photo import draw_photo

NOISE_SIGMA = 0.006
"""Of full scale, fresh on every spoilt photo: a clean blur without it would be too easy."""
GRAIN = 0.5
"""Of the skin's relief in a reflection on a photo, whose own relief is not known."""
FOCAL_LESIONS = ("p_macula", "tumour", "ulcer", "crust", "blister")
"""Labels of the phantom that have one place: the others spread out."""
BARE_SITES = ("face", "chest", "back", "abdomen", "arm", "leg")
"""Of the phantom: a scalp under hair shows no skin, whose light could be judged."""
TONES = 6
CLEAN_EV = (-0.4, 0.1)
"""Exposure of a clean phantom, in stops: the lightest skin's red reaches white from 0.1 on, which is a fault."""


@dataclass(frozen=True)
class Defect:
    """What went wrong, and by how much."""

    kind: str
    amount: float


DEFECTS: dict[str, tuple[str, str, tuple[float, float]]] = {
    "darkness": ("too_dark", "stops too dark", (2.0, 3.0)),
    "brightness": ("too_bright", "stops beyond the sensor's white", (0.3, 1.0)),
    "gradient": ("uneven", "stops across the frame", (3.0, 4.5)),
    "shadow": ("uneven", "of the light taken away", (0.65, 0.85)),
    "glare": ("glare", "strength, 1 burns out to white", (0.8, 1.4)),
    "blur": ("blurred", "sigma, of the frame's side", (0.006, 0.01)),
    "motion": ("blurred", "length, of the frame's side", (0.025, 0.04)),
    "distance": ("too_far", "lesion's longer side, of the frame's", (0.1, 0.085)),
    "off-centring": ("off_centre", "lesion from the centre, of the frame's side", (0.25, 0.32)),
}
"""By kind: the fault that should be found, what the amount means, and a light and a heavy amount."""

CONDITION_OF = {
    "gradient": "gradient_ev",
    "shadow": "shadow",
    "blur": "blur_sigma",
    "motion": "motion_blur",
}
"""The capture condition that is set to the amount itself."""


def defects() -> list[Defect]:
    """All kinds, light and heavy."""
    return [Defect(kind, amount) for kind, (_, _, amounts) in DEFECTS.items() for amount in amounts]


def spoil(photo: MaskedPhoto, defect: Defect, seed: int) -> np.ndarray | None:
    """A photo of a person with a defect, (side, side, 3) uint8 RGB; None where the photo leaves no room for it."""
    rng = random.Random(f"{seed} {defect}")
    if defect.kind == "distance":
        return _seen_from_afar(photo, defect.amount)
    if defect.kind == "off-centring":
        return _aimed_beside(photo, defect.amount, rng.uniform(0, 2 * np.pi))
    capture = conditions(defect, lambda: photo, Capture(noise_sigma=NOISE_SIGMA), rng)
    side = photo.rgb.shape[0]
    light = linear_light(photo.rgb)
    light *= np.exp(np.atleast_2d(light_field(capture, side, rng)).astype(np.float32))[..., None]
    if capture.glare:
        relief = 1 + GRAIN * np.random.default_rng(seed).normal(0, 1, (side, side)).astype(np.float32)
        light += np.float32(FULL_SCALE) * glare_light(capture, relief, rng)[..., None]
    bands = [
        np.ascontiguousarray(light[..., band] * np.float32(gain)) for band, gain in enumerate(gains(capture))
    ]
    return apply_capture(bands, capture, rng)


def linear_light(rgb: np.ndarray) -> np.ndarray:
    """The light of a stored photo, (H, W, 3) uint8 RGB: float32, linear, 0 to FULL_SCALE."""
    light: np.ndarray = np.float32(FULL_SCALE) * ((rgb / np.float32(255)) ** np.float32(DISPLAY_GAMMA))
    return light


def draw_phantom(seed: int, index: int, defect: Defect | None) -> MaskedPhoto:
    """Phantom `index`, all tones and focal lesions in turn: everyday variation, and the defect if there is one."""
    rng = random.Random(f"guidance {seed} {index}")
    clean = Capture(
        distance=rng.uniform(0.75, 1.4),
        offset_xy=(rng.uniform(-0.07, 0.07), rng.uniform(-0.07, 0.07)),
        ev=rng.uniform(*CLEAN_EV),
        gradient_ev=abs(rng.gauss(0, 0.4)),
        light_deg=rng.uniform(0, 360),
        noise_sigma=rng.uniform(0, 0.012),
        white_balance_ev=(rng.gauss(0, 0.1), rng.gauss(0, 0.15)),
    )
    capture = clean
    if defect is not None and defect.kind == "distance":
        capture = replace(clean, distance=1 / (3 * defect.amount))
    elif defect is not None and defect.kind == "off-centring":
        turn = rng.uniform(0, 2 * np.pi)
        reach = defect.amount / max(abs(np.cos(turn)), abs(np.sin(turn)))
        capture = replace(clean, offset_xy=(float(reach * np.cos(turn)), float(reach * np.sin(turn))))
    elif defect is not None:
        capture = conditions(defect, lambda: _draw(seed, index, clean), clean, rng)
    return _draw(seed, index, capture)


def conditions(
    defect: Defect, without: Callable[[], MaskedPhoto], clean: Capture, rng: random.Random
) -> Capture:
    """The conditions `clean` with a defect of light, focus or motion added.

    Args:
        without: the photo without it, asked for only where needed: brightness is counted from its skin.
    """
    turned = replace(clean, light_deg=rng.uniform(0, 360), motion_deg=rng.uniform(0, 180))
    if defect.kind == "brightness":
        photo = without()
        bright = rank(photo.rgb[~photo.mask].max(axis=1).astype(np.float64), 0.75)
        return replace(turned, ev=clean.ev + defect.amount - float(stops(bright)))
    if defect.kind == "darkness":
        return replace(turned, ev=clean.ev - defect.amount)
    if defect.kind == "glare":
        return replace(turned, glare=defect.amount, glare_size=0.1 * defect.amount)
    condition: dict[str, Any] = {CONDITION_OF[defect.kind]: defect.amount}
    return replace(turned, **condition)


def _draw(seed: int, index: int, capture: Capture) -> MaskedPhoto:
    photo = draw_photo(
        seed,
        index,
        lesion=FOCAL_LESIONS[index % len(FOCAL_LESIONS)],
        location=BARE_SITES[index // TONES % len(BARE_SITES)],
        tone=1 + index % TONES,
        size=PHOTO_SIDE_PX,
        capture=capture,
    )
    return MaskedPhoto(photo.image_rgb, photo.mask > 0, f"phantom {index}", str(photo.skin_tone))


def _seen_from_afar(photo: MaskedPhoto, extent: float) -> np.ndarray | None:
    """The photo made smaller, and around it its own skin, the lesion painted over, mirrored."""
    x0, y0, x1, y1 = photo.box
    side = photo.rgb.shape[0]
    scale = extent * side / max(x1 - x0, y1 - y0)
    if scale >= 1 or round(scale * side) < 8:
        return None
    small, small_skin = (
        cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for plane in (photo.rgb, _without_lesion(photo))
    )
    margin = side - small.shape[0]
    low, high = margin // 2, margin - margin // 2
    far = np.pad(small_skin, ((low, high), (low, high), (0, 0)), mode="symmetric")
    far[low : low + small.shape[0], low : low + small.shape[1]] = small
    return far


@lru_cache(maxsize=1)
def _without_lesion(photo: MaskedPhoto) -> np.ndarray:
    around = cv2.dilate(photo.mask.astype(np.uint8), np.ones((15, 15), np.uint8))
    return cv2.inpaint(photo.rgb, around, 5, cv2.INPAINT_TELEA)


def _aimed_beside(photo: MaskedPhoto, offset: float, direction: float) -> np.ndarray | None:
    """A window of the photo in which the lesion lies off the centre, enlarged to the photo's side."""
    x0, y0, x1, y1 = photo.box
    side = photo.rgb.shape[0]
    window = round(0.6 * side)
    away = np.array([np.cos(direction), np.sin(direction)])
    away *= offset * window / np.abs(away).max()
    left, top = (round(v) for v in (np.array([x0 + x1, y0 + y1]) - window) / 2 - away)
    if not (0 <= left <= side - window and 0 <= top <= side - window):
        return None
    seen = photo.rgb[top : top + window, left : left + window]
    return np.asarray(cv2.resize(seen, (side, side), interpolation=cv2.INTER_CUBIC))

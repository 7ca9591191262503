"""Corrections of a photo, those that the page suggests and those that were tried: for `benchmarks.correction`.

    ways = correct(photo_rgb, reference)
    ways["gamma, suggested"]                   # (h, w, 3) uint8 RGB, or the very photo where nothing is suggested

White balances that were tried: grey-world (Buchsbaum 1980), shades of grey (Finlayson & Trezzi 2004, Minkowski
norm 6) and the skin's own median, each on every photo. Torch-free.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from capture_app.balance import (
    DARKEST,
    NORM,
    Stops,
    apply_balance,
    light_colour,
    suggest_balance,
    to_light,
    without_luminance,
)
from capture_app.crop.square import cut, suggest_square
from capture_app.locate import Scene, read_scene
from capture_app.tone import MAX_GAMMA, MIN_GAMMA, apply_gamma
from capture_app.tone_rule import Skin, measure_skin, suggest_gamma

AS_IS, GAMMA, CROP = "as it is", "gamma, suggested", "crop, suggested"
BALANCE, TOGETHER = "white balance, suggested", "all three, suggested"
ALWAYS = "gamma, always to the median"
BALANCES = {"grey-world": 1.0, "shades of grey": NORM, "from the skin": 0.0}
"""The Minkowski norm over the photo; 0 for the median of the skin."""
SUGGESTED = (GAMMA, BALANCE, CROP, TOGETHER)
METHODS = (AS_IS, GAMMA, ALWAYS, BALANCE, *BALANCES, CROP, TOGETHER)


@dataclass(frozen=True)
class Reference:
    """What clean training photos show."""

    photos: int
    skin_luma: tuple[float, float, float]
    """5th, 50th and 95th percentile over photos of the skin's median luma."""
    skin_redness: tuple[float, float, float]
    """5th, 75th and 95th percentile."""
    extent: tuple[float, float, float]
    """5th, 50th and 95th percentile of the lesion's longer side, in shorter sides of the photo."""
    colours: dict[str, tuple[float, float, float]]
    """By white balance: log2 of linear R, G, B, medians over photos."""


def measure_reference(photos: Sequence[np.ndarray], *, progress: bool = True) -> Reference:
    """Look at clean training photos, (H, W, 3) uint8 RGB each."""
    skins: list[Skin] = []
    extents = []
    colours: dict[str, list[np.ndarray]] = {name: [] for name in BALANCES}
    for photo in tqdm(
        photos, "training photos", unit="photo", leave=False, disable=None if progress else True
    ):
        scene = read_scene(photo)
        skins.append(measure_skin(scene))
        extents.append(scene.lesion.extent)
        for name, norm in BALANCES.items():
            colours[name].append(_colour(photo, scene, norm))

    def percentiles(values: Sequence[float], *which: int) -> tuple[float, float, float]:
        low, middle, high = (float(value) for value in np.percentile(values, which))
        return low, middle, high

    return Reference(
        photos=len(photos),
        skin_luma=percentiles([skin.luma for skin in skins], 5, 50, 95),
        skin_redness=percentiles([skin.redness for skin in skins], 5, 75, 95),
        extent=percentiles(extents, 5, 50, 95),
        colours={name: _triple(np.median(found, axis=0)) for name, found in colours.items()},
    )


def correct(photo_rgb: np.ndarray, reference: Reference) -> dict[str, np.ndarray]:
    """The photo by every one of `METHODS`; the very same array where a method leaves it alone."""
    scene = read_scene(photo_rgb)
    skin = measure_skin(scene)
    gamma, tint = suggest_gamma(skin), suggest_balance(photo_rgb)
    square = suggest_square(scene.lesion, photo_rgb.shape)

    def brightened(image_rgb: np.ndarray) -> np.ndarray:
        return image_rgb if gamma == 1 else apply_gamma(image_rgb, gamma)

    def balanced(image_rgb: np.ndarray) -> np.ndarray:
        return image_rgb if tint is None else apply_balance(image_rgb, tint)

    def cropped(image_rgb: np.ndarray) -> np.ndarray:
        return image_rgb if square is None else cut(image_rgb, square)

    ways = {AS_IS: photo_rgb, GAMMA: brightened(photo_rgb), BALANCE: balanced(photo_rgb)}
    ways[ALWAYS] = apply_gamma(photo_rgb, gamma_to(skin, reference))
    for name, norm in BALANCES.items():
        wanted = np.array(reference.colours[name])
        ways[name] = apply_balance(photo_rgb, without_luminance(wanted - _colour(photo_rgb, scene, norm)))
    ways[CROP] = cropped(photo_rgb)
    asked_for = {GAMMA: gamma != 1, BALANCE: tint is not None, CROP: square is not None}
    alone = [name for name, asked in asked_for.items() if asked]
    ways[TOGETHER] = ways[alone[0]] if len(alone) == 1 else cropped(brightened(balanced(photo_rgb)))
    return ways


def gamma_to(skin: Skin, reference: Reference) -> float:
    """The gamma that brings the skin to the median of clean photos, brighter or darker, in the page's range."""
    luma = min(max(skin.luma, 1.0), 254.0)
    gamma = math.log(luma / 255) / math.log(reference.skin_luma[1] / 255)
    return min(max(gamma, MIN_GAMMA), MAX_GAMMA)


def _colour(photo_rgb: np.ndarray, scene: Scene, norm: float) -> np.ndarray:
    """(3,) log2 of the linear colour that is taken for the light's."""
    if norm:
        return light_colour(photo_rgb, norm)
    skin = np.median(to_light(scene.frame.cells[scene.skin]), axis=0)
    return np.asarray(np.log2(np.maximum(skin, DARKEST)))


def _triple(values: np.ndarray) -> Stops:
    red, green, blue = (float(value) for value in values)
    return red, green, blue

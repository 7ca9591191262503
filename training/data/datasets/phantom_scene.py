"""Skin and lesion to light: how a synthetic scene is put together and shaded.

    linear_rgb, mask = render_scene(person, canvas, capture, size=256, rng=rng)

Heights give normals, normals give Lambert's diffuse light and a Blinn-Phong highlight; colour is computed band by
band (phantom_skin), covers and hair are laid on it, and the background behind. Torch-free.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from training.data.datasets.phantom_canvas import CANVAS_PX, RGB, Canvas
from training.data.datasets.phantom_capture import Capture, gains, glare_light, light_field
from training.data.datasets.phantom_fields import banks, ramp
from training.data.datasets.phantom_skin import (
    DERMIS,
    HAEMOGLOBIN,
    LOW_PX,
    MELANIN,
    SURFACE,
    Person,
    Skin,
    render_skin,
)

LIGHT_ELEVATION_DEG = 48.0
AMBIENT = 0.38
"""Share of the light that has no direction."""
LESION_SHARE = 1 / 3
"""Of the frame's side that the lesion's longer side takes at distance 1."""


def render_scene(
    person: Person, canvas: Canvas | None, capture: Capture, *, size: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], np.ndarray]:
    """Draw the scene as the lens sees it.

    Args:
        canvas: the lesion, or None for the same skin without one.

    Returns:
        Three bands, R, G, B, each (size, size) float32, linear; (size, size) uint8 lesion mask, 0 or 255.
    """
    centre = (0.5 + capture.offset_xy[0], 0.5 + capture.offset_xy[1])
    skin = render_skin(person, size=size, distance=capture.distance, centre_xy=centre)
    glare = glare_light(capture, skin.relief * np.float32(0.7 * 256 / size), rng) if capture.glare else None
    lesion = None if canvas is None else _lay_lesion(canvas, skin, capture, size)
    light = _diffuse_light(skin, lesion, capture)
    light *= cv2.resize(
        np.exp(skin.shade + light_field(capture, LOW_PX, rng)), (size, size), interpolation=cv2.INTER_LINEAR
    )
    hair = _hair_alpha(skin, person, lesion, size, capture.distance)
    shine = None
    if lesion is not None and "gloss" in lesion.planes:
        shine = _highlight(skin, lesion, capture) * light[lesion.window]
        if hair is not None:
            shine *= 1 - hair[0][lesion.window]
    bands = []
    for band, gain in enumerate(gains(capture)):
        plane = _reflectance(skin, band, gain)
        if lesion is not None and "cover" in lesion.planes:
            under = plane[lesion.window]
            under += lesion.planes["cover"] * (lesion.planes[RGB[band]] * np.float32(gain) - under)
        if hair is not None:
            alpha, tone = hair
            strand = tone * np.float32(person.hair_rgb[band] * gain) - plane
            strand *= alpha
            plane += strand
        plane *= light
        if lesion is not None and shine is not None:
            plane[lesion.window] += shine * np.float32(gain)
        if skin.body is not None and skin.backdrop is not None:
            back = skin.backdrop * np.float32(person.backdrop_rgb[band] * gain)
            plane -= back
            plane *= skin.body
            plane += back
        if glare is not None:
            plane += glare * np.float32(gain)
        bands.append(plane)
    mask = np.zeros((size, size), np.uint8)
    if lesion is not None:
        level = (
            lesion.planes["mask"] if skin.body is None else lesion.planes["mask"] * skin.body[lesion.window]
        )
        mask[lesion.window] = _as_mask(level)
    return bands, mask


@dataclass
class Laid:
    """A lesion at its place in the frame: the canvas's planes, and its mask, in a window of the frame."""

    window: tuple[slice, slice]
    planes: dict[str, np.ndarray]
    steepness: np.ndarray | None = None
    """Length of its unnormalised normal, 1 where it is flat; None = flat all over."""


def _lay_lesion(canvas: Canvas, skin: Skin, capture: Capture, size: int) -> Laid:
    """Bring the canvas to its size and place, and change the skin there: pigment, blood and height."""
    laid, scale = _place(canvas, capture, size)
    window, planes = laid.window, laid.planes
    if "smooth" in planes:
        skin.relief[window] *= 1 - np.minimum(planes["smooth"], 1)
    if "height" in planes:
        planes["height"] *= np.float32(scale)
        skin.relief[window] += planes["height"]
        laid.steepness = _steepness(planes["height"])
    melanin, blood = skin.melanin[window], skin.blood[window]
    if "depigment" in planes:
        melanin *= 1 - planes["depigment"]
    if "melanin" in planes:
        melanin += planes["melanin"]
    if "blood" in planes:
        blood += planes["blood"]
    np.maximum(melanin, 0.03, out=melanin)
    np.maximum(blood, 0.02, out=blood)
    return laid


def _reflectance(skin: Skin, band: int, gain: float) -> np.ndarray:
    """Beer-Lambert: the light of one band that bare skin sends back, times the camera's gain."""
    melanin, blood = -float(MELANIN[band]), -float(HAEMOGLOBIN[band])
    plane = cv2.addWeighted(skin.melanin, melanin, skin.blood, blood, math.log(DERMIS[band] * gain))
    light: np.ndarray = np.asarray(cv2.exp(plane, dst=plane), np.float32)
    return np.add(light, np.float32(SURFACE * gain), out=light)


def _as_mask(level: np.ndarray) -> np.ndarray:
    """uint8, 255 where `level` is above a half."""
    return (level > 0.5).astype(np.uint8) * np.uint8(255)


def _place(canvas: Canvas, capture: Capture, size: int) -> tuple[Laid, float]:
    """Scale the canvas so that its mask's box has its size and place; and by how much it was scaled."""
    left, top, width, depth = cv2.boundingRect(_as_mask(canvas.mask))
    target = LESION_SHARE * size / capture.distance
    side = max(4, round(CANVAS_PX * target / max(width, depth)))
    scale = side / CANVAS_PX
    middle = left + width / 2, top + depth / 2
    start = [round((0.5 + capture.offset_xy[i]) * size - scale * middle[i]) for i in (0, 1)]
    first = [min(max(0, -low), side - 1) for low in start]
    low = [min(max(0, low), size - 1) for low in start]
    shown = [max(1, min(side - first[i], size - low[i])) for i in (0, 1)]
    window = slice(low[1], low[1] + shown[1]), slice(low[0], low[0] + shown[0])
    part = slice(first[1], first[1] + shown[1]), slice(first[0], first[0] + shown[0])
    return Laid(
        window,
        {
            name: cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR)[part]
            for name, plane in (canvas.planes | {"mask": canvas.mask}).items()
        },
    ), scale


def _light_direction(capture: Capture) -> tuple[float, float, float]:
    azimuth, elevation = math.radians(capture.light_deg), math.radians(LIGHT_ELEVATION_DEG)
    flat = math.cos(elevation)
    return math.cos(azimuth) * flat, math.sin(azimuth) * flat, math.sin(elevation)


def _slope_along(height: np.ndarray, dx: float, dy: float, offset: float) -> np.ndarray:
    """`offset` less the slope of `height` in a direction (Sobel's derivative): one pass of a 3x3 kernel."""
    smooth, difference = np.array([1, 2, 1]) / 8, np.array([-1, 0, 1])
    kernel = -dx * np.outer(smooth, difference) - dy * np.outer(difference, smooth)
    return cv2.filter2D(height, cv2.CV_32F, kernel, delta=offset, borderType=cv2.BORDER_REPLICATE)


def _steepness(height: np.ndarray) -> np.ndarray:
    """Length of the unnormalised normal of a surface."""
    steep = _slope_along(height, 1, 0, 0)
    steep *= steep
    down = _slope_along(height, 0, 1, 0)
    down *= down
    steep += down
    steep += 1
    return cv2.sqrt(steep)


def _diffuse_light(skin: Skin, lesion: Laid | None, capture: Capture) -> np.ndarray:
    """Lambert's light on the relief, 1 on a flat surface: (size, size) float32.

    The skin's own relief is shallow: only the lesion's slopes enter the length of the normal.
    """
    lx, ly, lz = _light_direction(capture)
    directed = 1 - AMBIENT
    light = _slope_along(skin.relief, directed * lx / lz, directed * ly / lz, directed)
    if lesion is not None and lesion.steepness is not None:
        light[lesion.window] /= lesion.steepness
    np.maximum(light, 0.05 * directed, out=light)
    light += np.float32(AMBIENT)
    return light


def _highlight(skin: Skin, lesion: Laid, capture: Capture) -> np.ndarray:
    """Blinn-Phong's highlight in the lesion's window: broad and faint, with a sharp core."""
    lx, ly, lz = _light_direction(capture)
    length = math.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)
    mirror = _slope_along(skin.relief[lesion.window], lx / length, ly / length, (lz + 1) / length)
    if lesion.steepness is not None:
        mirror /= lesion.steepness
    np.maximum(mirror, 0, out=mirror)
    np.minimum(mirror, 1, out=mirror)
    for _ in range(5):
        mirror *= mirror
    shine = mirror * mirror * np.float32(0.85)
    shine += mirror * np.float32(0.22)
    shine *= lesion.planes["gloss"]
    return shine


def _hair_alpha(
    skin: Skin,
    person: Person,
    lesion: Laid | None,
    size: int,
    distance: float,
) -> tuple[np.ndarray, np.ndarray | np.float32] | None:
    """Opacity and tone of the hairs: those of rank below the local density show."""
    if skin.hair is None:
        return None
    density = np.full((1, 1), np.float32(person.hair_density))
    if lesion is not None and "bald" in lesion.planes:
        density = np.full((size, size), density[0, 0])
        density[lesion.window] *= 1 - lesion.planes["bald"]
    alpha = (density - skin.hair) * np.float32(18 if person.dense_hair else 40)
    np.maximum(alpha, 0, out=alpha)
    np.minimum(alpha, 1, out=alpha)
    tone: np.ndarray | np.float32 = np.float32(0.8)
    if skin.hair_tone is None:
        alpha *= np.float32(0.5 / max(1.0, distance))
    else:
        roots = np.float32(0.9) * ramp(density, 0.3, 0.85)
        tone = (skin.hair_tone * np.float32(1 / 255)) ** 2
        tone *= (np.minimum(alpha * 2, 1) * np.float32(2.1)) + np.float32(0.2)
        sheen = np.exp(banks().noise["broad"][:LOW_PX, :LOW_PX] * np.float32(0.4))
        tone *= cv2.resize(sheen, (size, size), interpolation=cv2.INTER_LINEAR)
        alpha = np.maximum(alpha * np.float32(0.97), roots)
    return alpha, tone

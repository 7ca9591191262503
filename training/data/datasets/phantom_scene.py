"""Skin and lesion to light: how a synthetic scene is put together and shaded.

    linear_rgb, mask = render_scene(person, canvas, capture, size=256, rng=rng)

Heights give normals, normals give Lambert's diffuse light and a Blinn-Phong highlight. A lesion changes the skin
in its own window only: it dims each band (Beer-Lambert, phantom_skin), covers it, and tilts the surface. What lies
in front of the skin (hair, background, reflections) is a plane of light times one colour. Torch-free.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from training.data.datasets.phantom_canvas import CANVAS_PX, RGB, WHOLE, Canvas
from training.data.datasets.phantom_capture import FULL_SCALE, Capture, gains, glare_light, light_field
from training.data.datasets.phantom_fields import NO_HAIR, banks, clip_to_one, curve, ramp
from training.data.datasets.phantom_person import Person
from training.data.datasets.phantom_skin import (
    HAEMOGLOBIN,
    LOW_PX,
    MELANIN,
    Skin,
    enlarge,
    render_skin,
)

LIGHT_ELEVATION_DEG = 48.0
AMBIENT = 0.38
"""Share of the light that has no direction."""
DIRECTED = 1 - AMBIENT
LESION_SHARE = 1 / 3
"""Of the frame's side that the lesion's longer side takes at distance 1."""
DIM = ("dim_r", "dim_g", "dim_b")
WHITE = (1.0, 1.0, 1.0)
Window = tuple[slice, slice]


@dataclass
class Layer:
    """Light of one colour that is added in a window of the frame."""

    light: np.ndarray
    rgb: tuple[float, ...]
    window: Window = WHOLE


@dataclass
class Laid:
    """A lesion at its place in the frame; each plane float32 in a window of it.

    dim_r, dim_g, dim_b: what is left of the skin's light; cover_r ...: the light of what lies on it; lambert: the
    light by its slopes; shine: highlight; rough: how much of the skin's own relief shows; bald, mask: as on the
    canvas.
    """

    window: Window
    planes: dict[str, np.ndarray]


def render_scene(
    person: Person, canvas: Canvas | None, capture: Capture, *, size: int, rng: random.Random
) -> tuple[Iterator[np.ndarray], np.ndarray]:
    """Draw the scene as the lens sees it.

    Args:
        canvas: the lesion, or None for the same skin without one.

    Returns:
        Three bands, R, G, B, each (size, size) float32, linear, FULL_SCALE = 1; each is drawn when it is asked
        for and is the caller's to change. (size, size) uint8 lesion mask, 0 or 255.
    """
    centre = (0.5 + capture.offset_xy[0], 0.5 + capture.offset_xy[1])
    skin = render_skin(person, size=size, distance=capture.distance, centre_xy=centre)
    layers = []
    if capture.glare:
        layers.append(
            Layer(glare_light(capture, skin.relief * (skin.relief_px * 0.7 * 256 / size), rng), WHITE)
        )
    lesion = None if canvas is None else _place(canvas, person, skin, capture, size)
    light = _diffuse_light(skin, lesion, capture)
    cv2.multiply(light, enlarge(np.exp(skin.shade + light_field(capture, LOW_PX, rng)), size), dst=light)
    if skin.body is not None and skin.backdrop is not None:
        cv2.multiply(light, skin.body, dst=light)
        layers.append(Layer(skin.backdrop, person.backdrop_rgb))
    if skin.hair is not None:
        layers.append(_lay_hair(skin.hair, skin.hair_tone, light, person, lesion, capture.distance))
    if lesion is not None and "shine" in lesion.planes:
        shine = lesion.planes["shine"]
        layers.append(Layer(cv2.multiply(shine, light[lesion.window], dst=shine), WHITE, lesion.window))
    mask = np.zeros((size, size), np.uint8)
    if lesion is not None:
        level = lesion.planes["mask"]
        mask[lesion.window] = as_mask(level if skin.body is None else level * skin.body[lesion.window])
    gains_rgb = [gain * FULL_SCALE for gain in gains(capture)]
    return (_band(band, gains_rgb[band], skin, lesion, light, layers) for band in range(3)), mask


def _band(
    band: int,
    gain: float,
    skin: Skin,
    lesion: Laid | None,
    light: np.ndarray,
    layers: list[Layer],
) -> np.ndarray:
    """One band of the scene: the skin's colour, the lesion's, the light on both, and what is added to it.

    In place, and band by band, so that it stays in the processor's cache.
    """
    plane = enlarge(skin.colour[band] * gain, light.shape[0])
    if skin.spots is not None:
        share, units = skin.surface[band], np.arange(256) * 0.01
        dimmed = (share + (1 - share) * np.exp(-MELANIN[band] * units)).astype(np.float32)
        cv2.multiply(plane, cv2.LUT(skin.spots, dimmed), dst=plane)
    if lesion is not None:
        part = plane[lesion.window]
        cv2.multiply(part, lesion.planes[DIM[band]], dst=part)
        if RGB[band] in lesion.planes:
            cv2.scaleAdd(lesion.planes[RGB[band]], gain, part, dst=part)
    cv2.multiply(plane, light, dst=plane)
    for layer in layers:
        part = plane[layer.window]
        cv2.scaleAdd(layer.light, layer.rgb[band] * gain, part, dst=part)
    return plane


def as_mask(level: np.ndarray) -> np.ndarray:
    """uint8, 255 where `level` is above a half."""
    return np.asarray(level > 0.5).view(np.uint8) * np.uint8(255)


def _place(canvas: Canvas, person: Person, skin: Skin, capture: Capture, size: int) -> Laid:
    """Scale the canvas so that its mask's box has its size and place."""
    left, top, width, depth = cv2.boundingRect(as_mask(canvas.mask))
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
    planes = _optics(canvas, person, skin, capture) | {"mask": canvas.mask}
    return Laid(
        window,
        {
            name: cv2.resize(plane, (side, side), interpolation=cv2.INTER_LINEAR)[part]
            for name, plane in planes.items()
        },
    )


def _optics(canvas: Canvas, person: Person, skin: Skin, capture: Capture) -> dict[str, np.ndarray]:
    """What the canvas's pigments and heights do to the light: the planes of `Laid`, on the canvas."""
    painted = canvas.planes
    names = ("bald", *RGB) if skin.hair is not None else RGB
    planes = {name: painted[name] for name in names if name in painted}
    melanin, blood = canvas.plane("melanin"), canvas.plane("blood")
    if "depigment" in painted:
        melanin = cv2.scaleAdd(painted["depigment"], -person.melanin, melanin)
    melanin, blood = np.maximum(melanin, 0.03 - person.melanin), np.maximum(blood, 0.02 - person.blood)
    for band, share in enumerate(skin.surface):
        dim = cv2.exp(
            cv2.addWeighted(melanin, -MELANIN[band], blood, -HAEMOGLOBIN[band], math.log(1 - share))
        )
        dim += share
        if "cover" in painted:
            dim -= cv2.multiply(dim, painted["cover"])
        planes[DIM[band]] = dim
    if "smooth" in painted:
        planes["rough"] = 1 - painted["smooth"]
    if "height" in painted:
        planes |= _shading(painted["height"], painted.get("gloss"), capture)
    elif "gloss" in painted:
        planes["shine"] = painted["gloss"] * FLAT_SHINE
    return planes


def _shading(height: np.ndarray, gloss: np.ndarray | None, capture: Capture) -> dict[str, np.ndarray]:
    """Lambert's light and Blinn-Phong's highlight on a lesion that the skin's relief does not reach."""
    lx, ly, lz = _light_direction(capture)
    right = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    facing = cv2.addWeighted(right, -lx / lz, down, -ly / lz, 1)
    cv2.multiply(right, right, dst=right)
    cv2.accumulateSquare(down, right)
    right += 1
    flat = 1 / cv2.sqrt(right, dst=right)
    cv2.multiply(facing, flat, dst=facing)
    shading: dict[str, np.ndarray] = {"lambert": DIRECTED * np.maximum(facing, 0.05) + AMBIENT}
    if gloss is not None:
        halfway = math.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)
        mirror = cv2.addWeighted(facing, lz / halfway, flat, 1 / halfway, 0)
        shading["shine"] = cv2.multiply(curve(mirror, 0.8, 1, _HIGHLIGHT), gloss)
    return shading


def _highlight(cosine: np.ndarray | float) -> np.ndarray | float:
    """Blinn-Phong's: broad and faint, with a sharp core."""
    return 0.22 * cosine**32 + 0.85 * cosine**64


_HIGHLIGHT = np.asarray(_highlight(np.linspace(0.8, 1, 256)), np.float32)
FLAT_SHINE = float(_highlight(math.cos(math.radians(45 - LIGHT_ELEVATION_DEG / 2))))


def _light_direction(capture: Capture) -> tuple[float, float, float]:
    azimuth, elevation = math.radians(capture.light_deg), math.radians(LIGHT_ELEVATION_DEG)
    flat = math.cos(elevation)
    return math.cos(azimuth) * flat, math.sin(azimuth) * flat, math.sin(elevation)


def _diffuse_light(skin: Skin, lesion: Laid | None, capture: Capture) -> np.ndarray:
    """Lambert's light on the relief, 1 on a flat surface, less in furrows: (size, size) float32.

    The skin's own relief is shallow: only the lesion's slopes enter the length of the normal.
    """
    lx, ly, lz = _light_direction(capture)
    smooth, difference = np.array([1, 2, 1]) / 8, np.array([-1, 0, 1])
    kernel = (
        -DIRECTED
        / lz
        * skin.relief_px
        * (lx * np.outer(smooth, difference) + ly * np.outer(difference, smooth))
    )
    kernel[1, 1] = skin.staining
    light = cv2.filter2D(skin.relief, -1, kernel, delta=1.0, borderType=cv2.BORDER_REPLICATE)
    if lesion is not None and "rough" in lesion.planes:
        here = light[lesion.window]
        here -= 1
        cv2.multiply(here, lesion.planes["rough"], dst=here)
        here += lesion.planes.get("lambert", 1)
    cv2.threshold(light, 0, 0, cv2.THRESH_TOZERO, dst=light)
    return light


def _lay_hair(
    ranks: np.ndarray,
    tones: np.ndarray | None,
    light: np.ndarray,
    person: Person,
    lesion: Laid | None,
    distance: float,
) -> Layer:
    """Take from `light` what the hairs hide, and give what they send back.

    Hairs of a rank below the local density show. Below dense hair the skin is dark with roots.
    """
    dense, density = person.dense_hair, person.hair_density
    sharp, opacity = (18, 0.97) if dense else (40, 0.5 / max(1.0, distance))
    shown = np.clip((density - np.arange(256) / NO_HAIR) * sharp, 0, 1).astype(np.float32)
    roots = 0.9 * float(ramp(np.full((1, 1), density, np.float32), 0.3, 0.85)[0, 0]) if dense else 0.0
    alpha = cv2.LUT(ranks, np.maximum(opacity * shown, roots).astype(np.float32))
    depth = cv2.LUT(ranks, _depth(shown)) if dense else None
    if lesion is not None and "bald" in lesion.planes:
        window, bald = lesion.window, lesion.planes["bald"]
        rank = ranks[window].astype(np.float32)
        strands = cv2.addWeighted(bald, -density * sharp, rank, -sharp / NO_HAIR, density * sharp)
        clip_to_one(strands)
        alpha[window] = opacity * strands
        if depth is not None:
            alpha[window] = np.maximum(alpha[window], 0.9 * ramp(bald, 1 - 0.3 / density, 1 - 0.85 / density))
            depth[window] = _depth(strands)
    hidden = cv2.multiply(light, alpha, dst=alpha)
    cv2.subtract(light, hidden, dst=light)
    if depth is None or tones is None:
        return Layer(hidden, tuple(0.8 * band for band in person.hair_rgb))
    for factor in (cv2.LUT(tones, _SQUARE), depth, _sheen(light.shape[0])):
        cv2.multiply(hidden, factor, dst=hidden)
    return Layer(hidden, person.hair_rgb)


def _depth(strands: np.ndarray) -> np.ndarray:
    """How much light the strands on top take from those below."""
    depth: np.ndarray = np.minimum(strands * 2, 1) * 2.1 + 0.2
    return depth


_SQUARE = ((np.arange(256) / 255) ** 2).astype(np.float32)


@lru_cache(maxsize=4)
def _sheen(size: int) -> np.ndarray:
    return enlarge(np.exp(banks().noise["broad"][:LOW_PX, :LOW_PX] * 0.4), size)

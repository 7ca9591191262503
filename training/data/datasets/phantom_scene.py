"""Skin and lesion to light: how a synthetic scene is put together and shaded.

    linear_rgb, mask = render_scene(person, canvas, capture, size=256, rng=rng)

Heights give normals, normals give Lambert's diffuse light and a Blinn-Phong highlight; colour is computed band by
band (phantom_skin), covers and hair are laid on it, and the background behind. Torch-free.
"""

import math

import cv2
import numpy as np

from training.data.datasets.phantom_canvas import CANVAS_PX, Canvas
from training.data.datasets.phantom_capture import Capture, gains, glare_light, light_field
from training.data.datasets.phantom_fields import banks, ramp
from training.data.datasets.phantom_skin import (
    DERMIS,
    HAEMOGLOBIN,
    LOW_PX,
    MELANIN,
    SITE_LOOKS,
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
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the scene as the lens sees it.

    Args:
        canvas: the lesion, or None for the same skin without one.

    Returns:
        (size, size, 3) float32 linear RGB; (size, size) uint8 lesion mask, 0 or 255.
    """
    centre = (0.5 + capture.offset_xy[0], 0.5 + capture.offset_xy[1])
    skin = render_skin(person, size=size, distance=capture.distance, centre_xy=centre)
    site = SITE_LOOKS[person.location]
    height, gloss = skin.relief, np.full((size, size), np.float32(site.sheen))
    relief = skin.relief * np.float32(0.7 * 256 / size) if capture.glare else skin.relief
    bald = cover = colour = window = None
    mask = np.zeros((size, size), np.uint8)
    if canvas is not None:
        matrix, window = _placement(canvas, capture, size)
        planes = {name: _place(plane, matrix, window) for name, plane in canvas.planes.items()}
        if "smooth" in planes:
            height[window] *= 1 - np.clip(planes["smooth"], 0, 1)
        if "height" in planes:
            height[window] += planes["height"] * np.float32(matrix[0, 0])
        if "depigment" in planes:
            skin.melanin[window] *= 1 - planes["depigment"]
        for name, target in (("melanin", skin.melanin), ("blood", skin.blood), ("gloss", gloss)):
            if name in planes:
                target[window] += planes[name]
        bald, cover = planes.get("bald"), planes.get("cover")
        if canvas.cover_rgb is not None:
            colour = cv2.split(_place(canvas.cover_rgb, matrix, window))
        mask[window] = np.where(_place(canvas.mask, matrix, window) > 0.5, 255, 0)
    light, highlight = _shading(height, gloss, capture)
    slow = np.exp(skin.shade + light_field(capture, LOW_PX, rng))
    light *= cv2.resize(slow, (size, size), interpolation=cv2.INTER_LINEAR)
    glare = glare_light(capture, relief, rng)
    np.maximum(skin.melanin, 0.03, out=skin.melanin)
    np.maximum(skin.blood, 0.02, out=skin.blood)
    highlight *= light
    hair = _hair_alpha(skin, person, bald, window, size, capture.distance)
    if hair is not None:
        highlight *= 1 - hair[0]
    bands, gain = [], gains(capture)
    for band in range(3):
        plane = _reflectance(skin, band)
        if cover is not None and colour is not None:
            plane[window] += cover * (colour[band] - plane[window])
        if hair is not None:
            alpha, tone = hair
            strand = tone * np.float32(person.hair_rgb[band])
            strand -= plane
            strand *= alpha
            plane += strand
        plane *= light
        plane += highlight
        if skin.body is not None and skin.backdrop is not None:
            back = skin.backdrop * np.float32(person.backdrop_rgb[band])
            plane -= back
            plane *= skin.body
            plane += back
        if glare is not None:
            plane += glare
        plane *= np.float32(gain[band])
        bands.append(plane)
    if skin.body is not None:
        mask[skin.body < 0.5] = 0
    return cv2.merge(bands), mask


def _reflectance(skin: Skin, band: int) -> np.ndarray:
    """Beer-Lambert: the share of the light of one band that bare skin sends back."""
    plane = cv2.addWeighted(skin.melanin, -float(MELANIN[band]), skin.blood, -float(HAEMOGLOBIN[band]), 0.0)
    return cv2.addWeighted(cv2.exp(plane, dst=plane), float(DERMIS[band]), plane, 0.0, SURFACE)


def _placement(canvas: Canvas, capture: Capture, size: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Canvas to frame: the 2x3 matrix that brings the mask's box to its size and place, and the frame's window
    that the canvas then covers."""
    rows, columns = (
        np.flatnonzero(canvas.mask.max(axis=1) > 0.5),
        np.flatnonzero(canvas.mask.max(axis=0) > 0.5),
    )
    box = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    scale = LESION_SHARE * size / capture.distance / max(box[2] - box[0], box[3] - box[1])
    middle = (box[0] + box[2] - 1) / 2, (box[1] + box[3] - 1) / 2
    target = [(0.5 + offset) * size - 0.5 for offset in capture.offset_xy]
    shift = [target[i] - scale * middle[i] for i in (0, 1)]
    low = [min(size - 1, max(0, math.floor(s))) for s in shift]
    high = [max(low[i] + 1, min(size, math.ceil(shift[i] + scale * (CANVAS_PX - 1)))) for i in (0, 1)]
    matrix = np.array([[scale, 0, shift[0] - low[0]], [0, scale, shift[1] - low[1]]])
    return matrix, (slice(low[1], high[1]), slice(low[0], high[0]))


def _place(plane: np.ndarray, matrix: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
    """A plane of the canvas at its place in the frame's window, nothing beyond the canvas."""
    shape = window[1].stop - window[1].start, window[0].stop - window[0].start
    return cv2.warpAffine(plane, matrix, shape, flags=cv2.INTER_LINEAR)


def _shading(height: np.ndarray, gloss: np.ndarray, capture: Capture) -> tuple[np.ndarray, np.ndarray]:
    """The diffuse light, 1 on a flat surface, and the highlight, both (size, size) float32."""
    slope_x: np.ndarray = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    slope_y: np.ndarray = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    azimuth, elevation = math.radians(capture.light_deg), math.radians(LIGHT_ELEVATION_DEG)
    lx, ly, lz = (
        math.cos(azimuth) * math.cos(elevation),
        math.sin(azimuth) * math.cos(elevation),
        math.sin(elevation),
    )
    steep = slope_x * slope_x
    steep += slope_y * slope_y
    steep += 1
    length: np.ndarray = cv2.sqrt(steep)
    diffuse: np.ndarray = cv2.addWeighted(slope_x, -lx / lz, slope_y, -ly / lz, 1.0)
    diffuse /= length
    np.maximum(diffuse, 0.05, out=diffuse)
    diffuse *= np.float32(1 - AMBIENT)
    diffuse += np.float32(AMBIENT)
    half = np.array([lx, ly, lz + 1]) / math.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)
    mirror: np.ndarray = cv2.addWeighted(slope_x, -float(half[0]), slope_y, -float(half[1]), float(half[2]))
    mirror /= length
    np.maximum(mirror, 0, out=mirror)
    for _ in range(5):
        mirror *= mirror
    wet = mirror * mirror
    wet *= np.float32(0.85)
    mirror *= np.float32(0.22)
    wet += mirror
    wet *= gloss
    return diffuse, wet


def _hair_alpha(
    skin: Skin,
    person: Person,
    bald: np.ndarray | None,
    window: tuple[slice, slice] | None,
    size: int,
    distance: float,
) -> tuple[np.ndarray, np.ndarray | np.float32] | None:
    """Opacity and tone of the hairs: those of rank below the local density show."""
    if skin.hair is None:
        return None
    density: np.ndarray | np.float32 = np.float32(person.hair_density)
    if bald is not None and window is not None:
        density = np.full((size, size), density)
        density[window] *= 1 - bald
    alpha = (density - skin.hair) * np.float32(18 if person.dense_hair else 40)
    np.clip(alpha, 0, 1, out=alpha)
    tone: np.ndarray | np.float32 = np.float32(0.8)
    if skin.hair_tone is None:
        alpha *= np.float32(0.6 / max(1.0, distance))
    else:
        roots = np.float32(0.9) * ramp(np.asarray(density, np.float32), 0.3, 0.85)
        tone = (skin.hair_tone * np.float32(1 / 255)) ** 2
        tone *= (np.minimum(alpha * 2, 1) * np.float32(2.1)) + np.float32(0.2)
        sheen = np.exp(banks().noise["broad"][:LOW_PX, :LOW_PX] * np.float32(0.4))
        tone *= cv2.resize(sheen, (size, size), interpolation=cv2.INTER_LINEAR)
        alpha = np.maximum(alpha * np.float32(0.97), roots)
    if skin.body is not None:
        alpha = alpha * ramp(skin.body, 0.2, 0.8)
    return alpha, tone

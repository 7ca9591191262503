"""What a synthetic lesion is painted on: planes of pigment, blood, height and cover, and the shapes to paint with.

    canvas = Canvas(skin_melanin=0.8)
    canvas.plane("blood")[:] += ramp(outline(rng), 0, 0.2)

The canvas is a square of CANVAS_PX, its lesion about 2 x UNIT_PX across; phantom.py finds the mask's box and
scales the canvas to the frame, mask and all. Torch-free.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np

from training.data.datasets.phantom_fields import banks, crop, ramp

CANVAS_PX = 136
UNIT_PX = 42.5
"""A lesion of radius 1 in pixels."""
FADE_PX = 10
WHOLE = (slice(None), slice(None))
RGB = ("cover_r", "cover_g", "cover_b")
Colour = tuple[float, float, float]


@dataclass
class Canvas:
    """Planes are (136, 136) float32 and made when first asked for.

    melanin, blood: units to add (phantom_skin); height in pixels of the canvas; gloss 0 to 1 (wet); smooth 0 to 1
    (the skin's own relief is stretched away); bald 0 to 1 (hairs gone); depigment 0 to 1 (the skin's own melanin
    gone); cover 0 to 1, the opacity of the linear colour in cover_r, cover_g, cover_b.
    """

    skin_melanin: float
    planes: dict[str, np.ndarray] = field(default_factory=dict)
    mask: np.ndarray = field(default_factory=lambda: np.zeros((CANVAS_PX, CANVAS_PX), np.float32))

    def plane(self, name: str) -> np.ndarray:
        """The plane of that name, to add to in place."""
        if name not in self.planes:
            self.planes[name] = np.zeros((CANVAS_PX, CANVAS_PX), np.float32)
        return self.planes[name]

    def lay(self, window: tuple[slice, slice], alpha: np.ndarray, rgb: Sequence[float | np.ndarray]) -> None:
        """Lay a linear colour, even or a plane a band, where `alpha` is, over what was laid before."""
        cover = self.plane("cover")[window]
        left = 1 - alpha
        left *= cover
        left += alpha
        share = alpha / np.maximum(left, np.float32(1e-4))
        for name, band in zip(RGB, rgb, strict=True):
            below = self.plane(name)[window]
            below += share * (band - below)
        cover[...] = left

    def mark(self, window: tuple[slice, slice], mask: np.ndarray) -> None:
        """Count these pixels as lesion."""
        np.maximum(self.mask[window], mask, out=self.mask[window])

    def fade_out(self) -> None:
        """Let everything end before the canvas does."""
        for name, plane in self.planes.items():
            if name not in RGB:
                plane *= _fade()
        self.mask *= _fade()


@lru_cache(maxsize=1)
def _fade() -> np.ndarray:
    ticks = np.arange(CANVAS_PX, dtype=np.float32)
    edge = ramp(np.minimum(ticks, CANVAS_PX - 1 - ticks), 0, FADE_PX)
    return edge[None] * edge[:, None]


@lru_cache(maxsize=1)
def grid() -> tuple[np.ndarray, np.ndarray]:
    """u (right) and v (down) in units of a lesion's radius: (1, 136) and (136, 1) float32."""
    ticks = ((np.arange(CANVAS_PX) - (CANVAS_PX - 1) / 2) / UNIT_PX).astype(np.float32)
    return ticks[None], ticks[:, None]


def noise(rng: np.random.Generator, name: str) -> np.ndarray:
    """A canvas of noise, mean 0, variance about 1."""
    return crop(rng, banks().noise[name], CANVAS_PX)


def oval(
    rng: np.random.Generator,
    *,
    centre: tuple[float, float] = (0.0, 0.0),
    radius: float = 1.0,
    aspect: tuple[float, float] = (0.6, 1.0),
    rough: float = 0.12,
    fray: float = 0.0,
    window: tuple[slice, slice] = WHOLE,
) -> np.ndarray:
    """Distance from the centre of an irregular oval in its own radii: (136, 136) float32, 1 on the outline.

    Args:
        aspect: range of the short axis over the long one.
        rough: how far the outline strays at large, in radii.
        fray: how far it strays in detail.
        window: the part of the canvas that is wanted.
    """
    u, v = grid()[0][:, window[1]], grid()[1][window[0]]
    angle, ratio = rng.uniform(0, math.pi), rng.uniform(*aspect)
    c, s = np.float32(math.cos(angle) / radius), np.float32(math.sin(angle) / radius)
    du, dv = u - np.float32(centre[0]), v - np.float32(centre[1])
    along, across = c * du + s * dv, (c * dv - s * du) * np.float32(1 / ratio)
    rho = cv2.sqrt(along * along + across * across)
    if rough:
        rho += noise(rng, "broad" if radius > 0.5 else "mid")[window] * np.float32(rough)
    if fray:
        rho += noise(rng, "fine")[window] * np.float32(fray)
    return rho


def around(centre: tuple[float, float], radius: float) -> tuple[slice, slice]:
    """The window of the canvas within `radius` of a centre, at least one pixel."""
    middle, reach = (CANVAS_PX - 1) / 2, radius * UNIT_PX
    low = [min(CANVAS_PX - 1, max(0, int(c * UNIT_PX + middle - reach))) for c in centre]
    high = [
        max(low[i] + 1, min(CANVAS_PX, int(c * UNIT_PX + middle + reach) + 2)) for i, c in enumerate(centre)
    ]
    return slice(low[1], high[1]), slice(low[0], high[0])


def beads(
    centres: list[tuple[float, float]], radii: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Small round things all at once.

    Returns:
        Distance from the nearest of them in its own radii, 9 beyond `reach`, (136, 136) float32; and which one
        that is, (136, 136) uint8.
    """
    nearest = np.full((CANVAS_PX, CANVAS_PX), 9.0, np.float32)
    owner = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    u, v = grid()
    for index, ((x, y), radius) in enumerate(zip(centres, radii.tolist(), strict=True)):
        at = around((x, y), reach * radius)
        du, dv = (u[:, at[1]] - np.float32(x)) / radius, (v[at[0]] - np.float32(y)) / radius
        rho = np.sqrt(du * du + dv * dv)
        closer = rho < nearest[at]
        np.copyto(nearest[at], rho, where=closer)
        owner[at][closer] = index
    return nearest, owner


def scatter(
    rng: np.random.Generator, n: int, *, spread: float, gap: float, radii: np.ndarray
) -> list[tuple[float, float]]:
    """Centres of `n` things in a cluster, at most `spread` from the middle, that overlap at most by `gap`."""
    ratio, angle = rng.uniform(0.5, 1.0), rng.uniform(0, math.pi)
    tries = np.clip(rng.normal(0, 0.5, (n, 8, 2)), -1, 1) * (spread, spread * ratio)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    tries = tries @ turn
    placed = np.full((n, 2), 9.0)
    for index in range(n):
        gaps = tries[index][:, None] - placed[None, :index]
        gaps *= gaps
        free = (gaps.sum(axis=2) > (gap * (radii[index] + radii[:index])) ** 2).all(axis=1)
        placed[index] = tries[index][free.argmax()]
    return [(x, y) for x, y in placed.tolist()]


def palette(*stops: tuple[float, Colour]) -> np.ndarray:
    """Colours between stops at places in [0, 1]: (3, 256) float32, for `colours_at`."""
    places, colours = [place for place, _ in stops], np.array([colour for _, colour in stops])
    ticks = np.linspace(0, 1, 256)
    return np.stack([np.interp(ticks, places, colours[:, band]) for band in range(3)]).astype(np.float32)


def colours_at(table: np.ndarray, share: np.ndarray) -> list[np.ndarray]:
    """A `palette`'s colours at `share`, 0 to 1: a plane a band."""
    index = cv2.convertScaleAbs(np.maximum(share, 0), alpha=255)
    return [cv2.LUT(index, band) for band in table]


def blend(low: Colour, high: Colour, share: np.ndarray) -> list[np.ndarray]:
    """Between two colours, `share` of the second, 0 to 1: a plane a band."""
    return [np.float32(a) + share * np.float32(b - a) for a, b in zip(low, high, strict=True)]


def vessels(rng: np.random.Generator, n: int, radius: float) -> np.ndarray:
    """Branching, tapering vessels that run in from the rim (telangiectasia): (136, 136) float32 in [0, 1]."""
    picture = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    middle = CANVAS_PX / 2
    for _ in range(n):
        start, heading = rng.uniform(0, 2 * math.pi), 0.0
        heading = start + math.pi + rng.normal(0, 0.6)
        x, y = middle + radius * UNIT_PX * math.cos(start), middle + radius * UNIT_PX * math.sin(start)
        for branch in range(2):
            turns = (
                heading + branch * (0.7 if rng.random() < 0.5 else -0.7) + np.cumsum(rng.normal(0, 0.35, 9))
            )
            run = radius * UNIT_PX * rng.uniform(0.06, 0.11)
            points = np.stack([x + np.cumsum(np.cos(turns)) * run, y + np.cumsum(np.sin(turns)) * run], 1)
            line = np.round(points * 16).astype(np.int32)
            cv2.polylines(picture, [line], False, 255, 1, cv2.LINE_AA, 4)
            x, y = points[3]
    return picture.astype(np.float32) * np.float32(1 / 255)

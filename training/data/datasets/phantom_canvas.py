"""What a synthetic lesion is painted on: planes of pigment, blood, height and cover, and the shapes to paint with.

    canvas = Canvas(skin_melanin=0.8)
    canvas.planes["blood"] = ramp(oval(rng), 1.2, 0.8)

The canvas is a square of CANVAS_PX, its lesion about 2 x UNIT_PX across; phantom_scene.py finds the mask's box and
scales the canvas to the frame, mask and all. Distances grow steeply near its border, so that whatever is painted
by distance ends before the canvas does. Torch-free.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np

from training.data.datasets.phantom_fields import BANK_PX, banks, clip_to_one, crop

CANVAS_PX = 136
UNIT_PX = 42.5
"""A lesion of radius 1 in pixels."""
FAR = 9.0
"""A distance, in radii, at which nothing is painted."""
WHOLE = (slice(None), slice(None))
RGB = ("cover_r", "cover_g", "cover_b")
Colour = tuple[float, float, float]
Window = tuple[slice, slice]


@dataclass
class Canvas:
    """Planes are (136, 136) float32; one that is missing is 0 all over.

    melanin, blood: units to add (phantom_skin); height in pixels of the canvas; gloss 0 to 1 (wet); smooth 0 to 1
    (the skin's own relief is stretched away); bald 0 to 1 (hairs gone); depigment 0 to 1 (the skin's own melanin
    gone); cover 0 to 1, the opacity of what lies on the skin, and cover_r, cover_g, cover_b its linear colour
    times that opacity.
    """

    skin_melanin: float
    planes: dict[str, np.ndarray] = field(default_factory=dict)
    mask: np.ndarray = field(default_factory=lambda: np.zeros((CANVAS_PX, CANVAS_PX), np.float32))

    def plane(self, name: str) -> np.ndarray:
        """The plane of that name, to add to in place."""
        if name not in self.planes:
            self.planes[name] = np.zeros((CANVAS_PX, CANVAS_PX), np.float32)
        return self.planes[name]

    def lay(self, alpha: np.ndarray, rgb: Sequence[float | np.ndarray], window: Window = WHOLE) -> None:
        """Lay a linear colour, even or a plane a band, where `alpha` is, over what was laid before."""
        first = "cover" not in self.planes and window is WHOLE
        through = None if first else 1 - alpha
        for name, band in zip(("cover", *RGB), (1.0, *rgb), strict=True):
            laid = alpha * band
            if through is None:
                self.planes[name] = laid
            else:
                below = self.plane(name)[window]
                below *= through
                below += laid


@lru_cache(maxsize=1)
def _far_out() -> np.ndarray:
    """Added to distances: 0, but for the canvas's outermost pixels."""
    ticks = np.arange(CANVAS_PX, dtype=np.float32)
    edge = np.clip(1 - np.minimum(ticks, CANVAS_PX - 1 - ticks) / 10, 0, 1)
    return FAR * np.maximum(edge[None], edge[:, None]) ** 2


@lru_cache(maxsize=1)
def grid() -> tuple[np.ndarray, np.ndarray]:
    """u (right) and v (down) in units of a lesion's radius: two (136, 136) float32."""
    ticks = ((np.arange(CANVAS_PX) - (CANVAS_PX - 1) / 2) / UNIT_PX).astype(np.float32)
    whole = (CANVAS_PX, CANVAS_PX)
    return np.broadcast_to(ticks, whole).copy(), np.broadcast_to(ticks[:, None], whole).copy()


@lru_cache(maxsize=1)
def _cone() -> np.ndarray:
    """Distance from the middle of a plane twice the canvas's size."""
    ticks = (np.arange(2 * CANVAS_PX, dtype=np.float32) - CANVAS_PX) / UNIT_PX
    return np.hypot(ticks[None], ticks[:, None])


def distance_from(centre: tuple[float, float], window: Window = WHOLE) -> np.ndarray:
    """Distance from the pixel of a centre, in units of a lesion's radius: a view, not to be written to."""
    x, y = (min(max(round(c * UNIT_PX + CANVAS_PX / 2), 0), CANVAS_PX) for c in centre)
    whole = _cone()[CANVAS_PX - y : 2 * CANVAS_PX - y, CANVAS_PX - x : 2 * CANVAS_PX - x]
    return whole[window]


def noise(rng: np.random.Generator, name: str) -> np.ndarray:
    """A canvas of noise, mean 0, variance about 1: a view, not to be written to."""
    return crop(rng, banks().noise[name], CANVAS_PX)


def oval(
    rng: np.random.Generator,
    *,
    centre: tuple[float, float] = (0.0, 0.0),
    radius: float = 1.0,
    aspect: tuple[float, float] = (0.6, 1.0),
    rough: float = 0.12,
    fray: float = 0.0,
    window: Window = WHOLE,
) -> np.ndarray:
    """Distance from the centre of an irregular oval in its own radii: (136, 136) float32, 1 on the outline.

    Args:
        aspect: range of the short axis over the long one.
        rough: how far the outline strays at large, in radii.
        fray: how far it strays in detail.
        window: the part of the canvas that is wanted.
    """
    u, v = (ticks[window] for ticks in grid())
    angle, ratio = rng.uniform(0, math.pi), rng.uniform(*aspect)
    c, s = math.cos(angle) / radius, math.sin(angle) / radius
    x, y = centre
    rho = cv2.magnitude(
        cv2.addWeighted(u, c, v, s, -c * x - s * y),
        cv2.addWeighted(v, c / ratio, u, -s / ratio, (s * x - c * y) / ratio),
    )
    rho += _far_out()[window]
    if rough:
        cv2.scaleAdd(noise(rng, "broad" if radius > 0.5 else "mid")[window], rough, rho, dst=rho)
    if fray:
        cv2.scaleAdd(noise(rng, "fine")[window], fray, rho, dst=rho)
    return rho


def soft_edge(rho: np.ndarray, width: float = 0.08) -> np.ndarray:
    """1 inside, 0 outside, falling evenly over `width` radii around the outline."""
    return clip_to_one(cv2.addWeighted(rho, -1 / width, rho, 0, 0.5 + 1 / width))


def dome(rho: np.ndarray, round_off: float = 0.2) -> np.ndarray:
    """1 in the middle, 0 at the rim; half an ellipsoid at `round_off` 0, a paraboloid at 1."""
    bowl = 1 - cv2.multiply(rho, rho)
    cv2.threshold(bowl, 0, 0, cv2.THRESH_TOZERO, dst=bowl)
    return cv2.addWeighted(cv2.sqrt(bowl), 1 - round_off, bowl, round_off, 0)


def cells(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """`side` pixels of the cell bank enlarged to a canvas: distance from the borders, and each cell's number."""
    y, x = (int(rng.random() * (BANK_PX - side)) for _ in range(2))
    window, whole = (slice(y, y + side), slice(x, x + side)), (CANVAS_PX, CANVAS_PX)
    edge = cv2.resize(banks().cell_edge[window], whole, interpolation=cv2.INTER_LINEAR)
    return edge, cv2.resize(banks().cell_value[window], whole, interpolation=cv2.INTER_NEAREST)


def join(rho: np.ndarray, other: np.ndarray, radius: float) -> None:
    """Let an oval of a smaller `radius` run into one of radius 1, in place: the distance from either."""
    np.minimum(rho, cv2.addWeighted(other, radius, other, 0, 1 - radius), out=rho)


def rounds(centres: Sequence[tuple[float, float]], radii: Sequence[float]) -> np.ndarray:
    """Distance from the outlines of circles that run together, negative inside: (136, 136) float32."""
    level = np.full((CANVAS_PX, CANVAS_PX), FAR, np.float32)
    for centre, radius in zip(centres, radii, strict=True):
        np.minimum(level, distance_from(centre) - radius, out=level)
    level += _far_out()
    return level


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
        Distance from the nearest of them in its own radii, FAR beyond `reach`, (136, 136) float32; and which one
        that is, (136, 136) uint8.
    """
    nearest = np.full((CANVAS_PX, CANVAS_PX), FAR, np.float32)
    owner = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    for index, (centre, radius) in enumerate(zip(centres, radii.tolist(), strict=True)):
        at = around(centre, reach * radius)
        rho, so_far = distance_from(centre, at) * (1 / radius), nearest[at]
        np.copyto(owner[at], index, where=rho < so_far)
        np.minimum(rho, so_far, out=so_far)
    nearest += _far_out()
    return nearest, owner


def scatter(
    rng: np.random.Generator, n: int, *, spread: float, gap: float, radii: np.ndarray
) -> list[tuple[float, float]]:
    """Centres of `n` things in a cluster, at most `spread` from the middle, that overlap at most by `gap`."""
    ratio, angle = rng.uniform(0.5, 1.0), rng.uniform(0, math.pi)
    tries = np.clip(rng.normal(0, 0.5, (n, 8, 2)), -1, 1) * (spread, spread * ratio)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    placed: list[tuple[float, float]] = []
    sizes = radii.tolist()
    for size, places in zip(sizes, (tries @ turn).tolist(), strict=True):
        free = (
            (x, y)
            for x, y in places
            if all(
                math.dist((x, y), other) > gap * (size + taken)
                for other, taken in zip(placed, sizes, strict=False)
            )
        )
        placed.append(next(free, tuple(places[0])))
    return placed


def palette(*stops: tuple[float, Colour]) -> np.ndarray:
    """Colours between stops at places in [0, 1]: (3, 256) float32, for `colours_at`."""
    places, colours = [place for place, _ in stops], np.array([colour for _, colour in stops])
    ticks = np.linspace(0, 1, 256)
    return np.stack([np.interp(ticks, places, colours[:, band]) for band in range(3)]).astype(np.float32)


def colours_at(table: np.ndarray, share: np.ndarray) -> list[np.ndarray]:
    """A `palette`'s colours at `share`, 0 to 1: a plane a band."""
    index = cv2.addWeighted(share, 255, share, 0, 0, dtype=cv2.CV_8U)
    return [cv2.LUT(index, band) for band in table]


def blend(low: Colour, high: Colour, share: np.ndarray) -> list[np.ndarray]:
    """Between two colours, `share` of the second, 0 to 1: a plane a band."""
    return [cv2.addWeighted(share, b - a, share, 0, a) for a, b in zip(low, high, strict=True)]


def vessels(rng: np.random.Generator, n: int, radius: float) -> np.ndarray:
    """Branching, tapering vessels that run in from the rim (telangiectasia): (136, 136) float32 in [0, 1]."""
    picture = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    middle = CANVAS_PX / 2
    for _ in range(n):
        start = rng.uniform(0, 2 * math.pi)
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
    return cv2.LUT(picture, np.linspace(0, 1, 256, dtype=np.float32))

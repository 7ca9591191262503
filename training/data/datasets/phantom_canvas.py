"""What a synthetic lesion is painted on: planes of pigment, blood, height and cover, and the shapes to paint with.

    canvas = Canvas(skin_melanin=0.8)
    canvas.plane("blood")[:] += ramp(outline(rng), 0, 0.2)

The canvas is a square of CANVAS_PX, its lesion about 2 x UNIT_PX across; phantom.py finds the mask's box and
scales the canvas to the frame, mask and all. Torch-free.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np

from training.data.datasets.phantom_fields import banks, crop

CANVAS_PX = 168
UNIT_PX = 52.0
"""A lesion of radius 1 in pixels."""
PLANES = ("melanin", "blood", "height", "gloss", "smooth", "bald", "cover", "depigment")

WHOLE = (slice(None), slice(None))
Colour = tuple[float, float, float]


@dataclass
class Canvas:
    """Planes are (168, 168) float32 and made when first asked for.

    melanin, blood: units to add (phantom_skin); height in pixels of the canvas; gloss 0 to 1 (wet); smooth 0 to 1
    (the skin's own relief is stretched away); bald 0 to 1 (hairs gone); cover 0 to 1 (opacity of `cover_rgb`);
    depigment 0 to 1 (the skin's own melanin gone).
    """

    skin_melanin: float
    planes: dict[str, np.ndarray] = field(default_factory=dict)
    mask: np.ndarray = field(default_factory=lambda: np.zeros((CANVAS_PX, CANVAS_PX), np.float32))
    cover_rgb: np.ndarray | None = None
    """(192, 192, 3) float32 linear RGB."""

    def plane(self, name: str) -> np.ndarray:
        """The plane of that name, to add to in place."""
        if name not in self.planes:
            self.planes[name] = np.zeros((CANVAS_PX, CANVAS_PX), np.float32)
        return self.planes[name]

    def lay(self, window: tuple[slice, slice], alpha: np.ndarray, rgb: np.ndarray | Colour) -> None:
        """Lay an opaque colour on the skin where `alpha` is, over what was laid before."""
        if self.cover_rgb is None:
            self.cover_rgb = np.zeros((CANVAS_PX, CANVAS_PX, 3), np.float32)
        cover, below = self.plane("cover")[window], self.cover_rgb[window]
        share = (alpha / np.maximum(alpha + cover * (1 - alpha), 1e-4))[..., None]
        below += share * (np.asarray(rgb, np.float32) - below)
        cover += alpha * (1 - cover)

    def mark(self, window: tuple[slice, slice], mask: np.ndarray) -> None:
        """Count these pixels as lesion."""
        np.maximum(self.mask[window], mask, out=self.mask[window])


@lru_cache(maxsize=1)
def grid() -> tuple[np.ndarray, np.ndarray]:
    """u (right) and v (down) in units of a lesion's radius: (1, 168) and (168, 1) float32."""
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
    """Distance from the centre of an irregular oval in its own radii: (168, 168) float32, 1 on the outline.

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


def disc(centre: tuple[float, float], radius: float, reach: float) -> tuple[tuple[slice, slice], np.ndarray]:
    """A small round thing: its window of the canvas, out to `reach` radii, and the distance there in radii."""
    middle = (CANVAS_PX - 1) / 2
    cx, cy, r = centre[0] * UNIT_PX + middle, centre[1] * UNIT_PX + middle, radius * UNIT_PX
    x0, x1 = max(0, int(cx - reach * r)), min(CANVAS_PX, int(cx + reach * r) + 2)
    y0, y1 = max(0, int(cy - reach * r)), min(CANVAS_PX, int(cy + reach * r) + 2)
    x = ((np.arange(x0, max(x1, x0 + 1)) - cx) / r).astype(np.float32)
    y = ((np.arange(y0, max(y1, y0 + 1)) - cy) / r).astype(np.float32)
    window = slice(y0, max(y1, y0 + 1)), slice(x0, max(x1, x0 + 1))
    return window, np.sqrt(x[None] ** 2 + y[:, None] ** 2)


def around(centre: tuple[float, float], radius: float) -> tuple[slice, slice]:
    """The window of the canvas within `radius` of a centre, at least one pixel."""
    middle, reach = (CANVAS_PX - 1) / 2, radius * UNIT_PX
    low = [min(CANVAS_PX - 1, max(0, int(c * UNIT_PX + middle - reach))) for c in centre]
    high = [
        max(low[i] + 1, min(CANVAS_PX, int(c * UNIT_PX + middle + reach) + 2)) for i, c in enumerate(centre)
    ]
    return slice(low[1], high[1]), slice(low[0], high[0])


def scatter(
    rng: np.random.Generator, n: int, *, spread: float, gap: float, radii: np.ndarray
) -> list[tuple[float, float]]:
    """Centres of `n` things in a cluster, at most `spread` from the middle, that overlap at most by `gap`."""
    ratio, angle = rng.uniform(0.5, 1.0), rng.uniform(0, math.pi)
    placed: list[tuple[float, float]] = []
    for radius in radii[:n]:
        for _ in range(12):
            along, across = np.clip(rng.normal(0, 0.5, 2), -1, 1) * (spread, spread * ratio)
            x = float(along * math.cos(angle) - across * math.sin(angle))
            y = float(along * math.sin(angle) + across * math.cos(angle))
            if all(
                math.hypot(x - a, y - b) > (radius + r) * gap
                for (a, b), r in zip(placed, radii, strict=False)
            ):
                break
        placed.append((x, y))
    return placed


def blend(low: Colour, high: Colour, share: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32 between two colours, `share` of the second."""
    bottom = np.asarray(low, np.float32)
    return bottom + np.clip(share, 0, 1)[..., None] * (np.asarray(high, np.float32) - bottom)


def vessels(rng: np.random.Generator, n: int, radius: float) -> np.ndarray:
    """Branching, tapering vessels that run in from the rim (telangiectasia): (168, 168) float32 in [0, 1]."""
    picture = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    middle = CANVAS_PX / 2
    for _ in range(n):
        start, heading = rng.uniform(0, 2 * math.pi), 0.0
        heading = start + math.pi + rng.normal(0, 0.6)
        x, y = middle + radius * UNIT_PX * math.cos(start), middle + radius * UNIT_PX * math.sin(start)
        for branch in range(2):
            turns = heading + branch * rng.choice((-0.7, 0.7)) + np.cumsum(rng.normal(0, 0.35, 9))
            run = radius * UNIT_PX * rng.uniform(0.06, 0.11)
            points = np.stack([x + np.cumsum(np.cos(turns)) * run, y + np.cumsum(np.sin(turns)) * run], 1)
            line = np.round(points * 16).astype(np.int32)
            cv2.polylines(picture, [line], False, 255, 1, cv2.LINE_AA, 4)
            x, y = points[3]
    return picture.astype(np.float32) * np.float32(1 / 255)

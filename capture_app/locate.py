"""Where is the lesion, and where is plain skin? A first look at a photo, for the capture checks.

    scene = read_scene(image_rgb)
    scene.lesion.box, scene.skin.mean()

Skin is a smooth surface of colour (a quadratic in x and y, fitted robustly, so that shading and curvature are
part of it); the lesion is the region near the middle that stands out most from it. No network, no tone table:
the skin in view is its own reference. Torch-free.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

WORKING_SIDE_PX = 256
"""Shorter side at which every photo is looked at."""
MAX_ASPECT = 2
"""Of a longer photo only the middle is looked at."""
FIT_FACTOR = 4
"""The surface is fitted on a copy this much smaller."""
FIT_ROUNDS = 8
LAB_SIGMA_PX = 2.0
LAB_WEIGHTS = (1.0, 2.0, 1.0)
"""L, a, b: redness is what sets a lesion apart from a shadow."""
THRESHOLD_FACTOR = 1.2
"""Of Otsu's threshold."""
OPEN_PX, CLOSE_PX = 9, 11
CENTRE_SIGMA = 0.6
"""Width of the preference for the middle, in half frames."""
BORDER_AVERSION = 20.0
"""How fast a region loses weight with the share of the border that it covers: a table's edge is no lesion."""
MAX_DISTANCE = 40.0
"""Beyond it a colour is no more lesion-like, in weighted Lab units: clothes and tables are further from skin."""
MIN_SKIN_SHARE = 0.05


@dataclass(frozen=True)
class Lesion:
    """The most lesion-like region of a photo."""

    box: tuple[int, int, int, int]
    """(x0, y0, x1, y1) in pixels of the given photo, x1 and y1 exclusive."""
    offset_xy: tuple[float, float]
    """From the photo's centre to the box's, right and down positive, in shorter sides of the photo."""
    extent: float
    """The box's longer side, in shorter sides of the photo."""
    cut_off: float
    """Share of the photo's border that the region covers, in [0, 1]."""
    contrast: float
    """Mean distance from the skin's colour, in weighted Lab units."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo at the working size, taken apart."""

    luma: np.ndarray
    """(h, w) uint8."""
    skin: np.ndarray
    """(h, w) bool: plain skin, the reference for light."""
    lesion: Lesion | None


def read_scene(image_rgb: np.ndarray) -> Scene:
    """Find the lesion and the plain skin around it.

    Args:
        image_rgb: (H, W, 3) uint8, RGB, upright.
    """
    working, scale, corner_xy = _working_copy(image_rgb)
    distance = _distance_from_skin(working)
    threshold = _otsu(distance)
    region = _lesion_region(distance, threshold)
    skin = distance <= threshold
    lesion = None
    if region is not None:
        skin &= ~region
        lesion = _describe(region, distance, image_rgb.shape[:2], scale, corner_xy)
    if skin.mean() < MIN_SKIN_SHARE:
        skin = np.ones_like(skin)
    return Scene(cv2.cvtColor(working, cv2.COLOR_RGB2GRAY), skin, lesion)


def _working_copy(image_rgb: np.ndarray) -> tuple[np.ndarray, float, tuple[int, int]]:
    """The photo's middle at the working size; its scale; its corner in the photo."""
    height, width = image_rgb.shape[:2]
    longest = MAX_ASPECT * min(height, width)
    y0, x0 = max(0, height - longest) // 2, max(0, width - longest) // 2
    middle = image_rgb[y0 : y0 + longest, x0 : x0 + longest]
    scale = WORKING_SIDE_PX / min(height, width)
    size = round(middle.shape[1] * scale), round(middle.shape[0] * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(middle, size, interpolation=how), scale, (x0, y0)


@lru_cache(maxsize=8)
def _axes(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """y, (h, 1), and x, (1, w), of each pixel's centre in (-1, 1), float32."""
    y, x = (np.arange(1 - size, size, 2, dtype=np.float32) / np.float32(size) for size in (height, width))
    return y[:, None], x[None]


@lru_cache(maxsize=8)
def _surface_terms(height: int, width: int) -> np.ndarray:
    """(6, h * w) float64: the terms of a quadratic in x and y, each in (-1, 1)."""
    y, x = np.mgrid[1 - height : height : 2, 1 - width : width : 2]
    y, x = y / height, x / width
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y]).reshape(6, -1)


def _distance_from_skin(working_rgb: np.ndarray) -> np.ndarray:
    """(h, w) float32: how far each pixel's colour is from the skin's, in weighted Lab units."""
    lab = cv2.cvtColor(working_rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), LAB_SIGMA_PX)
    height, width = lab.shape[:2]
    small = cv2.resize(lab, (width // FIT_FACTOR, height // FIT_FACTOR), interpolation=cv2.INTER_AREA)
    one, to_x, to_y, to_xx, to_xy, to_yy = _fit_surface(small).astype(np.float32)
    y, x = _axes(height, width)
    x = x.reshape(-1, 1)
    by_power_of_y = [one + x * (to_x + x * to_xx), to_y + x * to_xy, np.broadcast_to(to_yy, (width, 3))]
    surface = np.hstack([np.ones_like(y), y, y * y]) @ np.reshape(by_power_of_y, (3, -1))
    residual = lab - surface.reshape(lab.shape)
    squares = cv2.transform(cv2.multiply(residual, residual), np.square([LAB_WEIGHTS]))
    return np.minimum(cv2.sqrt(squares), np.float32(MAX_DISTANCE))


def _fit_surface(lab: np.ndarray) -> np.ndarray:
    """(6, 3) float64: a quadratic a channel, whose terms are those of `_surface_terms`.

    Iteratively reweighted least squares with a Cauchy-like weight; the rim, where skin is likelier, counts more.
    """
    terms = _surface_terms(*lab.shape[:2])
    colours = np.ascontiguousarray(lab.reshape(-1, 3).T, dtype=np.float64)
    rim = np.clip((terms[1] ** 2 + terms[2] ** 2) / 0.5, 0.1, 1)
    weights = rim
    for _ in range(FIT_ROUNDS):
        weighted = terms * weights
        surface = np.linalg.solve(weighted @ terms.T, weighted @ colours.T)
        residual = colours - surface.T @ terms
        spread = 1.4826 * _medians(np.abs(residual)) + 0.5
        outlying = ((residual / spread) ** 2).mean(axis=0)
        weights = rim / (1 + outlying / 1.5**2) ** 2
    return surface


def _medians(rows: np.ndarray) -> np.ndarray:
    """`np.median` of each row, (n, 1), without its care for NaN, which takes four times as long."""
    middle = [(rows.shape[1] - 1) // 2, rows.shape[1] // 2]
    return np.partition(rows, middle, axis=1)[:, middle].mean(axis=1, keepdims=True)


def _otsu(distance: np.ndarray) -> float:
    """Otsu's threshold of the distances, raised."""
    top = float(distance.max()) or 1.0
    level, _ = cv2.threshold(
        np.round(distance * (255 / top)).astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU
    )
    return THRESHOLD_FACTOR * level * top / 255


def _lesion_region(distance: np.ndarray, threshold: float) -> np.ndarray | None:
    """(h, w) bool: of the regions beyond the threshold, that with the most distance near the middle."""
    beyond = (distance > threshold).astype(np.uint8)
    opened = cv2.morphologyEx(beyond, cv2.MORPH_OPEN, np.ones((OPEN_PX, OPEN_PX), np.uint8))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((CLOSE_PX, CLOSE_PX), np.uint8))
    count, labels = cv2.connectedComponents(closed)
    if count < 2:
        return None
    y_nearness, x_nearness = (np.exp(-(axis**2) / (2 * CENTRE_SIGMA**2)) for axis in _axes(*distance.shape))
    attraction = distance * y_nearness * x_nearness
    weight = np.bincount(labels.ravel(), weights=attraction.ravel(), minlength=count)
    on_border = np.bincount(_border(labels), minlength=count) / len(_border(labels))
    weight *= np.exp(-BORDER_AVERSION * on_border)
    region: np.ndarray = labels == 1 + int(np.argmax(weight[1:]))
    return region


def _border(plane: np.ndarray) -> np.ndarray:
    """The outermost pixels, in a row."""
    return np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])


def _describe(
    region: np.ndarray,
    distance: np.ndarray,
    size_hw: tuple[int, ...],
    scale: float,
    corner_xy: tuple[int, int],
) -> Lesion:
    height, width = size_hw
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    x0, x1 = (columns[0] / scale + corner_xy[0], (columns[-1] + 1) / scale + corner_xy[0])
    y0, y1 = (rows[0] / scale + corner_xy[1], (rows[-1] + 1) / scale + corner_xy[1])
    shorter = min(height, width)
    return Lesion(
        box=(round(x0), round(y0), min(round(x1), width), min(round(y1), height)),
        offset_xy=(float(x0 + x1 - width) / 2 / shorter, float(y0 + y1 - height) / 2 / shorter),
        extent=float(max(x1 - x0, y1 - y0)) / shorter,
        cut_off=float(_border(region).mean()),
        contrast=float(distance[region].mean()),
    )

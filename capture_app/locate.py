"""Where is the lesion, and where is plain skin? A first look at a photo, for the capture checks.

    scene = read_scene(image_rgb)
    scene.lesion.box, scene.skin.mean()

The locator says how lesion-like each cell is; the lesion is the region with the most of it, near the middle first.
Plain skin is what is left and has the hue of most of the rest: no table of tones, the skin in view is its own
reference. `camera/scene.js` does the same. Torch-free.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import onnxruntime

from capture_app.frame import CELL_PX, Frame
from capture_app.locator import lesion_probability, opponent_planes

REGION_THRESHOLD = 0.6
THRESHOLD_OF_PEAK = 0.6
"""Where nothing is that likely, the region reaches down to this share of its peak."""
JOIN_CELLS = 2
"""Spots with at most twice as many cells between them are one lesion."""
BOX_MARGIN = 0.01
"""Of the region's width and height, added to the box on each side: the region ends a little inside the lesion."""
CENTRE_SIGMA = 0.6
"""Width of the preference for the middle, in half shorter sides."""
SKIN_PROBABILITY = 0.2
"""Of a lesion, below which a cell may be skin."""
SKIN_HUE = 1.8
"""How far skin goes from its median, in the locator's units of red against green and of yellow against blue."""
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
    """Share of the frame's border that the region covers, in [0, 1]."""
    likelihood: float
    """The locator's answer at its surest cell, in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame, taken apart."""

    frame: Frame
    skin: np.ndarray
    """(rows, columns) bool, by cell: plain skin, the reference for light."""
    body: np.ndarray
    """(rows, columns) bool, by cell: all but what lies beyond the skin at the frame's border, cloth or a table."""
    lesion: Lesion


def read_scene(image_rgb: np.ndarray, network: onnxruntime.InferenceSession | None = None) -> Scene:
    """Find the lesion and the plain skin around it.

    Args:
        image_rgb: (H, W, 3) uint8, RGB, upright.
        network: of `capture_app.locator.open_network`; that of `locator.safetensors` if None.
    """
    frame = Frame.of(image_rgb)
    probability = lesion_probability(frame, network)
    region = lesion_region(probability)
    skin = _plain_skin(frame, probability)
    lesion = _describe(region, frame, image_rgb.shape[:2])
    return Scene(frame, skin, _body(skin, probability), lesion)


@dataclass(frozen=True, eq=False)
class Region:
    """The cells of the lesion, at least one."""

    cells: np.ndarray
    """(rows, columns) bool."""
    box: tuple[float, float, float, float]
    """(x0, y0, x1, y1) in cells: where, between the middles of its outermost cells and of their neighbours, the
    locator's answer falls to what is asked of a cell, and `BOX_MARGIN`; at most the frame's border."""
    likelihood: float
    """The locator's answer at the surest of them, in [0, 1]."""


def lesion_region(probability: np.ndarray) -> Region:
    """Where the lesion is.

    Args:
        probability: (rows, columns) float32 in [0, 1].
    """
    rows, columns = probability.shape
    side = min(rows, columns)
    y, x = np.mgrid[1 - rows : rows : 2, 1 - columns : columns : 2] / side
    weight = probability * np.exp(-(x**2 + y**2) / (2 * CENTRE_SIGMA**2))
    peak = float(probability.flat[np.argmax(weight)])
    level = min(REGION_THRESHOLD, THRESHOLD_OF_PEAK * peak)
    beyond = probability >= level
    joined = cv2.dilate(beyond.astype(np.uint8), np.ones((2 * JOIN_CELLS + 1,) * 2, np.uint8))
    count, labels = cv2.connectedComponents(joined, connectivity=4)
    mass = np.bincount(labels[beyond], weights=weight[beyond], minlength=count)
    cells = beyond & (labels == 1 + int(np.argmax(mass[1:])))
    x0, x1 = _extent(cells, probability, level)
    y0, y1 = _extent(cells.T, probability.T, level)
    return Region(cells, (x0, y0, x1, y1), float(probability[cells].max()))


def _extent(cells: np.ndarray, probability: np.ndarray, level: float) -> tuple[float, float]:
    """From which column to which, in columns, a region goes."""
    end = cells.shape[1]
    low = _left_edge(cells, probability, level)
    high = end - _left_edge(cells[:, ::-1], probability[:, ::-1], level)
    margin = BOX_MARGIN * (high - low)
    return max(low - margin, 0.0), min(high + margin, float(end))


def _left_edge(cells: np.ndarray, probability: np.ndarray, level: float) -> float:
    """In columns: where, left of the first ones with a cell of the region, the answer falls to the level."""
    first = int(np.flatnonzero(cells.any(axis=0))[0])
    if first == 0:
        return 0.0
    inside, outside = (probability[cells[:, first], column].astype(float) for column in (first, first - 1))
    return first + 0.5 - float(((inside - level) / (inside - outside)).max())


def _plain_skin(frame: Frame, probability: np.ndarray) -> np.ndarray:
    hue = opponent_planes(frame.cells)[1:]
    apart = probability < SKIN_PROBABILITY
    if apart.mean() < MIN_SKIN_SHARE:
        return np.ones_like(apart)
    of_skin = [np.sort(plane[apart])[np.count_nonzero(apart) // 2] for plane in hue]
    near = np.all(
        [np.abs(plane - middle) < SKIN_HUE for plane, middle in zip(hue, of_skin, strict=True)], axis=0
    )
    skin: np.ndarray = apart & near
    return skin if skin.mean() >= MIN_SKIN_SHARE else np.ones_like(apart)


def _body(skin: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Without the cells that are neither skin nor lesion and that others of their kind join to the border."""
    other = ~skin & (probability < SKIN_PROBABILITY)
    _, labels = cv2.connectedComponents(other.astype(np.uint8), connectivity=4)
    beyond = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return ~(other & np.isin(labels, beyond))


def _describe(region: Region, frame: Frame, size_hw: tuple[int, ...]) -> Lesion:
    height, width = size_hw
    size = CELL_PX / frame.scale
    x0, y0, x1, y1 = np.array(region.box) * size + np.tile(frame.corner_xy, 2)
    shorter = min(height, width)
    cells = region.cells
    border = np.concatenate([cells[0], cells[-1], cells[1:-1, 0], cells[1:-1, -1]])
    return Lesion(
        box=(round(x0), round(y0), round(x1), round(y1)),
        offset_xy=(float(x0 + x1 - width) / 2 / shorter, float(y0 + y1 - height) / 2 / shorter),
        extent=float(max(x1 - x0, y1 - y0)) / shorter,
        cut_off=float(border.mean()),
        likelihood=region.likelihood,
    )

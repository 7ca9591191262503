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
BOX_MARGIN = 0.02
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
    region, likelihood = lesion_region(probability)
    skin = _plain_skin(frame, probability)
    lesion = _describe(region, likelihood, frame, image_rgb.shape[:2])
    return Scene(frame, skin, _body(skin, probability), lesion)


def lesion_region(probability: np.ndarray) -> tuple[np.ndarray, float]:
    """The cells of the lesion, at least one, and the locator's answer at the surest of them.

    Args:
        probability: (rows, columns) float32 in [0, 1].

    Returns:
        (rows, columns) bool; a number in [0, 1].
    """
    rows, columns = probability.shape
    side = min(rows, columns)
    y, x = np.mgrid[1 - rows : rows : 2, 1 - columns : columns : 2] / side
    weight = probability * np.exp(-(x**2 + y**2) / (2 * CENTRE_SIGMA**2))
    peak = float(probability.flat[np.argmax(weight)])
    beyond = probability >= min(REGION_THRESHOLD, THRESHOLD_OF_PEAK * peak)
    joined = cv2.dilate(beyond.astype(np.uint8), np.ones((2 * JOIN_CELLS + 1,) * 2, np.uint8))
    count, labels = cv2.connectedComponents(joined, connectivity=4)
    mass = np.bincount(labels[beyond], weights=weight[beyond], minlength=count)
    region = beyond & (labels == 1 + int(np.argmax(mass[1:])))
    return region, float(probability[region].max())


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


def _describe(region: np.ndarray, likelihood: float, frame: Frame, size_hw: tuple[int, ...]) -> Lesion:
    height, width = size_hw
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    size = CELL_PX / frame.scale
    (x0, x1), (y0, y1) = (
        _with_margin(own[0] * size + corner, (own[-1] + 1) * size + corner, end)
        for own, corner, end in zip((columns, rows), frame.corner_xy, (width, height), strict=True)
    )
    shorter = min(height, width)
    border = np.concatenate([region[0], region[-1], region[1:-1, 0], region[1:-1, -1]])
    return Lesion(
        box=(round(x0), round(y0), round(x1), round(y1)),
        offset_xy=(float(x0 + x1 - width) / 2 / shorter, float(y0 + y1 - height) / 2 / shorter),
        extent=float(max(x1 - x0, y1 - y0)) / shorter,
        cut_off=float(border.mean()),
        likelihood=likelihood,
    )


def _with_margin(low: float, high: float, end: float) -> tuple[float, float]:
    margin = BOX_MARGIN * (high - low)
    return max(low - margin, 0.0), min(high + margin, float(end))

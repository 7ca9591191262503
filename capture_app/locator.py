"""How lesion-like is each cell of a frame? A small convolutional network, in NumPy.

    probability = lesion_probability(frame.cells)

Trained by `benchmarks.guidance_locator`.
Depthwise separable blocks at four scales and back (Howard et al. 2017; Ronneberger et al. 2015), over logarithmic
opponent colours from which the frame's median is taken, so that exposure, tone and white balance fall out. Small
enough for a phone's browser: `camera/locator.js` runs the same weights, `locator.json`. Torch-free.
"""

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np

LOG_OFFSET = 8.0
"""Levels added before the logarithm, so that noise in the dark stays small."""
CHANNEL_GAIN = (2.0, 6.0, 6.0)
"""Of lightness, red against green, and yellow against blue."""

Weights = dict[str, np.ndarray]


@cache
def locator_weights() -> Weights:
    """The arrays of `locator.json` by name, float32."""
    table = json.loads(Path(__file__).with_name("locator.json").read_text(encoding="utf-8"))
    return {
        name: np.array(array["values"], np.float32).reshape(array["shape"])
        for name, array in table["arrays"].items()
    }


def opponent_planes(cells: np.ndarray) -> np.ndarray:
    """What the network reads.

    Args:
        cells: (rows, columns, 3) float32, RGB, 0 to 255.

    Returns:
        (3, rows, columns) float32: lightness, red against green, yellow against blue, less their medians.
    """
    red, green, blue = np.moveaxis(np.log(cells.astype(np.float64) + LOG_OFFSET), 2, 0)
    planes = np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue])
    middle = np.sort(planes.reshape(3, -1), axis=1)[:, planes[0].size // 2]
    return ((planes - middle[:, None, None]) * np.array(CHANNEL_GAIN)[:, None, None]).astype(np.float32)


def lesion_probability(cells: np.ndarray, weights: Weights | None = None) -> np.ndarray:
    """Run the network.

    Args:
        cells: (rows, columns, 3) float32, RGB, 0 to 255.
        weights: those of `locator.json` if None.

    Returns:
        (rows, columns) float32 in [0, 1].
    """
    own = locator_weights() if weights is None else weights
    planes = opponent_planes(cells)
    first = _block(own, "e1", np.maximum(_convolve(planes, own["stem"], own["stem_bias"]), 0), 1)
    second = _block(own, "e2b", _block(own, "e2a", first, 2), 1)
    third = _block(own, "e3b", _block(own, "e3a", second, 2), 1)
    fourth = _block(own, "e4b", _block(own, "e4a", third, 2), 1)
    gate = own["gate"] @ fourth.mean((1, 2)) + own["gate_bias"]
    up = fourth * _sigmoid(gate)[:, None, None]
    for name, skip in (("3", third), ("2", second), ("1", first)):
        narrowed = _pointwise(up, own[f"u{name}"], own[f"u{name}_bias"])
        up = _block(own, f"f{name}", skip + _nearest(narrowed, skip.shape[1:]), 1)
    logit = _pointwise(up, own["out"], own["out_bias"])[0]
    rows, columns = cells.shape[:2]
    return cv2.resize(
        _sigmoid(logit), (2 * logit.shape[1], 2 * logit.shape[0]), interpolation=cv2.INTER_LINEAR
    )[:rows, :columns]


def _block(own: Weights, name: str, planes: np.ndarray, stride: int) -> np.ndarray:
    """3x3 within each channel, then 1x1 across them, then ReLU."""
    kernel = own[f"{name}_depth"]
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)))
    rows, columns = ((size - 1) // stride + 1 for size in planes.shape[1:])
    spread = sum(
        kernel[:, y, x, None, None]
        * padded[:, y : y + stride * rows : stride, x : x + stride * columns : stride]
        for y in range(3)
        for x in range(3)
    )
    return np.maximum(_pointwise(np.asarray(spread)[:, :rows, :columns], own[name], own[f"{name}_bias"]), 0)


def _convolve(planes: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3x3 over all channels, stride 2, a margin of zeros."""
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)))
    rows, columns = ((size - 1) // 2 + 1 for size in planes.shape[1:])
    total = bias[:, None, None] + sum(
        np.tensordot(
            kernel[:, :, y, x],
            padded[:, y : y + 2 * rows : 2, x : x + 2 * columns : 2][:, :rows, :columns],
            1,
        )
        for y in range(3)
        for x in range(3)
    )
    return np.asarray(total, np.float32)


def _pointwise(planes: np.ndarray, matrix: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.asarray(np.tensordot(matrix, planes, 1) + bias[:, None, None], np.float32)


def _nearest(planes: np.ndarray, size_hw: tuple[int, ...]) -> np.ndarray:
    rows = np.arange(size_hw[0]) * planes.shape[1] // size_hw[0]
    columns = np.arange(size_hw[1]) * planes.shape[2] // size_hw[1]
    return planes[:, rows][:, :, columns]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)

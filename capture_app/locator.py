"""How lesion-like is each cell of a frame? A small convolutional network, in NumPy.

    probability = lesion_probability(frame)

Trained by `benchmarks.guidance_locator`.
Depthwise separable blocks at five scales and back (Howard et al. 2017; Ronneberger et al. 2015), over logarithmic
opponent colours from which the frame's median is taken, so that exposure, tone and white balance fall out. Small
enough for a phone's browser: `camera/locator.js` runs the same weights, `locator.safetensors`. Torch-free.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import load_file

from capture_app.frame import Frame

LOG_OFFSET = 8.0
"""Levels added before the logarithm, so that noise in the dark stays small."""
CHANNEL_GAIN = (2.0, 6.0, 6.0)
"""Of lightness, red against green, and yellow against blue."""

Weights = dict[str, np.ndarray]


@cache
def locator_weights() -> Weights:
    """The arrays of `locator.safetensors` by name, float32."""
    stored = load_file(Path(__file__).with_name("locator.safetensors"))
    return {name: array.astype(np.float32) for name, array in stored.items()}


def opponent_planes(colours: np.ndarray, medians_of: np.ndarray | None = None) -> np.ndarray:
    """Lightness, red against green, and yellow against blue, each less its median.

    Args:
        colours: (rows, columns, 3) float32, RGB, 0 to 255.
        medians_of: the colours whose medians are taken away; their own if None.

    Returns:
        (3, rows, columns) float32.
    """
    planes = _planes(colours)
    reference = (planes if medians_of is None else _planes(medians_of)).reshape(3, -1)
    middle = np.sort(reference, axis=1)[:, reference.shape[1] // 2]
    return ((planes - middle[:, None, None]) * np.array(CHANNEL_GAIN)[:, None, None]).astype(np.float32)


def _planes(colours: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(np.log(colours.astype(np.float64) + LOG_OFFSET), 2, 0)
    return np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue])


def lesion_probability(frame: Frame, weights: Weights | None = None) -> np.ndarray:
    """Run the network.

    Args:
        weights: those of `locator.safetensors` if None.

    Returns:
        (rows, columns) float32 in [0, 1], by cell of the frame.
    """
    own = locator_weights() if weights is None else weights
    planes = opponent_planes(frame.fine, frame.cells)
    stem = np.maximum(_convolve(planes, own["stem"], own["stem_bias"]), 0)
    first = _block(own, "e1b", _block(own, "e1a", stem, 2), 1)
    second = _block(own, "e2b", _block(own, "e2a", first, 2), 1)
    third = _block(own, "e3b", _block(own, "e3a", second, 2), 1)
    fourth = _block(own, "e4b", _block(own, "e4a", third, 2), 1)
    gate = own["gate"] @ fourth.mean((1, 2)) + own["gate_bias"]
    up = fourth * _sigmoid(gate)[:, None, None]
    for name, skip in (("3", third), ("2", second), ("1", first)):
        narrowed = _pointwise(up, own[f"u{name}"], own[f"u{name}_bias"])
        up = _block(own, f"f{name}", skip + _nearest(narrowed, skip.shape[1:]), 1)
    logit = _pointwise(up, own["out"], own["out_bias"])[0]
    rows, columns = frame.cells.shape[:2]
    return cv2.resize(
        _sigmoid(logit), (2 * logit.shape[1], 2 * logit.shape[0]), interpolation=cv2.INTER_LINEAR
    )[:rows, :columns]


def _block(own: Weights, name: str, planes: np.ndarray, stride: int) -> np.ndarray:
    """3x3 within each channel, then 1x1 across them, then ReLU."""
    kernel, seen = own[f"{name}_depth"], _shifted(planes, stride)
    spread = np.zeros(seen[0, 0].shape, np.float32)
    term = np.empty_like(spread)
    for y, x in np.ndindex(3, 3):
        spread += np.multiply(kernel[:, y, x, None, None], seen[y, x], out=term)
    mixed = _pointwise(spread, own[name], own[f"{name}_bias"])
    return np.maximum(mixed, 0, out=mixed)


def _convolve(planes: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3x3 over all channels, stride 2, a margin of zeros."""
    columns = np.ascontiguousarray(_shifted(planes, 2).transpose(2, 0, 1, 3, 4))
    return _pointwise(columns.reshape(-1, *columns.shape[3:]), kernel.reshape(len(kernel), -1), bias)


def _shifted(planes: np.ndarray, stride: int) -> np.ndarray:
    """(3, 3, channels, rows, columns), a view: what each tap of a 3x3 kernel sees of planes in a zero margin."""
    channels, height, width = planes.shape
    padded = np.zeros((channels, height + 2, width + 2), np.float32)
    padded[:, 1:-1, 1:-1] = planes
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return windows[:, ::stride, ::stride].transpose(3, 4, 0, 1, 2)


def _pointwise(planes: np.ndarray, matrix: np.ndarray, bias: np.ndarray) -> np.ndarray:
    mixed = matrix @ planes.reshape(len(planes), -1)
    mixed += bias[:, None]
    return mixed.reshape(-1, *planes.shape[1:])


def _nearest(planes: np.ndarray, size_hw: tuple[int, ...]) -> np.ndarray:
    rows = np.arange(size_hw[0]) * planes.shape[1] // size_hw[0]
    columns = np.arange(size_hw[1]) * planes.shape[2] // size_hw[1]
    return planes[:, rows][:, :, columns]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)), np.float32)

"""What 8 bits must hold: of every tensor of the trunk, its range, and what rounding does to its mean.

    statistics = collect(onnx.load("model.onnx"), calibration_images)

A range takes in all of a tensor's values or, if that loses less, clips its rare extremes: the one of least squared
error is chosen (Banner et al. 2019, Sec. 3, by search over a histogram in place of a formula). Torch-free.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from tqdm import tqdm

from export.trunk import activations, watch

LEVELS = 255
"""Steps of uint8."""
BINS = 2048
"""Of a tensor's histogram: eight to a step, so that rounding shows."""
SHARES = np.linspace(0.3, 1.0, 71)
"""Of the whole range, that are tried."""


@dataclass(frozen=True)
class Statistics:
    """Of one tensor, over the calibration photos."""

    low: float
    """At most 0."""
    high: float
    """At least 0."""
    mean: np.ndarray
    """(C,) float64, by channel."""
    rounded_mean: np.ndarray
    """(C,) float64: the mean of its values clipped to the range and rounded to its steps."""


def collect(model: onnx.ModelProto, images: Sequence[np.ndarray]) -> dict[str, Statistics]:
    """Run the fp32 graph three times over the images: for the extremes, for the histograms, for the means.

    Args:
        model: fp32, as `export.graph.write_graph` wrote it.
        images: each (H, W, 3) uint8, RGB.

    Returns:
        By the name of each tensor that the trunk reads or writes, weights left out.
    """
    names = activations(model)
    ends = dict.fromkeys(names, (0.0, 0.0))
    counts = {name: np.zeros(BINS, np.int64) for name in names}
    means = {name: np.zeros((2, 1)) for name in names}

    def extremes(name: str, values: np.ndarray) -> None:
        low, high = ends[name]
        ends[name] = (min(low, float(values.min())), max(high, float(values.max())))

    def histogram(name: str, values: np.ndarray) -> None:
        low, high = ends[name]
        places = ((values - low) * (BINS / max(high - low, 1e-12))).astype(np.int32).ravel()
        counts[name] += np.bincount(np.minimum(places, BINS - 1), minlength=BINS)

    def both_means(name: str, values: np.ndarray) -> None:
        rounded = round_to_steps(values, *ranges[name])
        pair = np.stack([values, rounded]).reshape(2, len(values), -1).mean(2, np.float64)
        means[name] = means[name] + pair / len(images)

    with tqdm(total=3 * len(images), desc="calibrate", unit="photo", leave=False, disable=None) as bar:
        watch(model, _counted(images, bar), extremes)
        watch(model, _counted(images, bar), histogram)
        ranges = {name: best_range(counts[name], *ends[name]) for name in names}
        watch(model, _counted(images, bar), both_means)
    return {name: Statistics(*ranges[name], *means[name]) for name in names}


def best_range(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The range whose clipping and rounding together cost the least squared error.

    Args:
        counts: (B,) histogram over [low, high] in equal bins.
        low: at most 0.
        high: at least 0.

    Returns:
        A share of both ends.
    """
    values = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)
    errors = [
        (counts * (round_to_steps(values, low * share, high * share) - values) ** 2).sum() for share in SHARES
    ]
    # Of equal ones the widest: a tensor that never leaves its steps keeps its extremes.
    share = SHARES[len(errors) - 1 - int(np.argmin(errors[::-1]))]
    return float(low * share), float(high * share)


def round_to_steps(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as uint8 holds them over [low, high], 0 among the steps; of the values' shape."""
    step = (high - low) / LEVELS
    if step <= 0:
        return np.zeros_like(values)
    zero = round(-low / step)
    return (np.clip(np.rint(values / step) + zero, 0, LEVELS) - zero) * step


def _counted(images: Iterable[np.ndarray], bar: tqdm) -> Iterator[np.ndarray]:
    for image in images:
        yield image
        bar.update()

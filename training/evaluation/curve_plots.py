"""Curves and example strips as PNG bytes.

    png = plot_curves([gamma_curve(predict, manifest, view)])
    png = plot_strip(curve, sweep)

After Mishra et al. 2019, Fig. 14 and 15, which show one photo at two settings; here three by rule, at more.
"""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from training.evaluation.curves import Band, Curve, Example
from training.evaluation.plots import BLUE, GREEN, GRID, INK, MUTED, ORANGE, figure_png
from training.evaluation.sweeps import Sweep

CLAIMED = "#fdf1e3"
RED = "#c53030"
TILE_PX = 150
MOST_TILES = 8
CAPTION_WIDTH = 20
"""Letters that fit below a tile."""
AXIS = {
    "gamma": "gamma (above 1 is brighter)",
    "field of view": "field of view; below, the lesion's share of it",
    "distance": "distance; below, the lesion's share of the view",
}


def plot_curves(curves: Sequence[Curve]) -> bytes:
    """A row a curve: accuracies, probability of the true label, and the paired difference to the reference.

    Bands are 95% intervals; where the paper claims an improvement the ground is tinted.
    """

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(curves), 3, squeeze=False, sharey="col", sharex=True)
        for row, (axes, curve) in enumerate(zip(grid, curves, strict=True)):
            _draw_row(axes, curve, title=row == 0, below=row == len(curves) - 1)

    return figure_png(draw, 11.0, 0.9 + 2.6 * len(curves))


def plot_strip(
    curve: Curve, sweep: Sweep, look: Callable[[np.ndarray], np.ndarray], names: dict[str, str]
) -> bytes:
    """The curve's examples at several x, under each what was predicted and the true label's probability.

    Args:
        sweep: what the curve was measured on.
        look: a photo as given to the model to the part of it that the network sees (`seen`).
        names: labels as a person reads them.
    """
    columns = np.unique(np.linspace(0, len(curve.x) - 1, min(len(curve.x), MOST_TILES)).round().astype(int))
    if (reference := curve.x.index(curve.reference)) not in columns:
        columns[np.abs(columns - reference).argmin()] = reference

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(curve.examples), len(columns), squeeze=False)
        for row, (axes_row, example) in enumerate(zip(grid, curve.examples, strict=True)):
            views = sweep.views(example.row)
            for axes, column in zip(axes_row, columns, strict=True):
                axes.imshow(_tile(look(views[column])))
                _caption(axes, curve, example, int(column), names)
                if row == 0:
                    axes.set_title(_heading(curve, curve.x[column]))
            axes_row[0].set_ylabel(f"{_short(names, example.label)}\n{example.rule}")
            for axes in axes_row:
                axes.xaxis.label.set_fontsize(8)

    png_height = 0.2 + 1.95 * len(curve.examples)
    return figure_png(draw, 1.42 * len(columns) + 0.5, png_height)


def _draw_row(axes: Sequence[Any], curve: Curve, *, title: bool, below: bool) -> None:
    left, middle, right = axes
    _band(left, curve, curve.accuracy, BLUE, "accuracy")
    _line(left, curve, curve.balanced_accuracy, GREEN, "balanced accuracy")
    _band(middle, curve, curve.true_probability, BLUE, "")
    right.axhline(0, color=MUTED, linewidth=0.8, zorder=1)
    _band(right, curve, curve.accuracy_difference, BLUE, "accuracy")
    _band(right, curve, curve.true_probability_difference, ORANGE, "probability of the true label")
    if title:
        left.set_title("Share named rightly")
        middle.set_title("Mean probability of the true label")
        right.set_title(f"Change against {_reference(curve)}, same photos")
        left.legend(frameon=False, fontsize=7.5, loc="lower left")
        right.legend(frameon=False, fontsize=7.5, loc="lower left")
    if curve.condition and curve.name == "gamma":
        left.set_ylabel(f"photos {curve.condition}")
    left.set_ylim(0, 1)
    middle.set_ylim(0, 1)
    _leave_room(right, curve)
    for own in axes:
        own.axvspan(*_claimed_ends(curve), color=CLAIMED, zorder=0, linewidth=0)
        own.axvline(curve.reference, color=MUTED, linestyle=":", linewidth=1, zorder=1)
        own.grid(axis="y", color=GRID, linewidth=0.7, zorder=0)
        own.set_axisbelow(True)
        _x_axis(own, curve, below)


def _x_axis(axes: Any, curve: Curve, below: bool) -> None:
    if curve.name == "distance":
        axes.set_xscale("log")
        axes.minorticks_off()
    if curve.name != "gamma":
        ends = {0.0: "box", 1.0: "whole"} if curve.name == "field of view" else {}
        shown = range(len(curve.x))
        axes.set_xticks(
            [curve.x[i] for i in shown],
            [f"{ends.get(curve.x[i], f'{curve.x[i]:.2g}')}\n{curve.x_notes[i]}" for i in shown],
        )
    if below:
        axes.set_xlabel(AXIS[curve.name])


def _claimed_ends(curve: Curve) -> tuple[float, float]:
    """The ground that is tinted: up to the reference where everything on one side of it is claimed."""
    low, high = min(curve.claimed), max(curve.claimed)
    return (low, high) if curve.name == "gamma" else (low, curve.reference)


def _reference(curve: Curve) -> str:
    return {"gamma": "gamma 1", "field of view": "the whole photo"}.get(
        curve.name, f"distance {curve.reference:g}"
    )


def _band(axes: Any, curve: Curve, band: Band, colour: str, label: str) -> None:
    axes.fill_between(curve.x, band.low, band.high, color=colour, alpha=0.16, linewidth=0, zorder=2)
    _line(axes, curve, band, colour, label)


def _line(axes: Any, curve: Curve, band: Band, colour: str, label: str) -> None:
    axes.plot(curve.x, band.value, color=colour, marker="o", ms=3, linewidth=1.5, label=label, zorder=3)


def _tile(image_rgb: np.ndarray) -> np.ndarray:
    enlarges = image_rgb.shape[0] < TILE_PX
    how = cv2.INTER_CUBIC if enlarges else cv2.INTER_AREA
    return cv2.resize(image_rgb, (TILE_PX, TILE_PX), interpolation=how)


def _caption(axes: Any, curve: Curve, example: Example, column: int, names: dict[str, str]) -> None:
    predicted = example.predicted[column]
    axes.set_xlabel(
        f"{_short(names, predicted)}\n{example.true_probability[column]:.2f}",
        color=GREEN if predicted == example.label else RED,
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    if curve.x[column] == curve.reference:
        frame = Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, clip_on=False)
        frame.set(edgecolor=INK, linewidth=2)
        axes.add_patch(frame)


def _heading(curve: Curve, x: float) -> str:
    if curve.name == "field of view":
        return {0.0: "the lesion's box", 1.0: "whole photo"}.get(x, f"{x:.2g}")
    return f"{curve.name} {x:g}"


def _short(names: dict[str, str], label: str) -> str:
    """A label as a person reads it, on as many lines as its tile needs."""
    return "\n".join(textwrap.wrap(names.get(label, label), CAPTION_WIDTH))


def _leave_room(axes: Any, curve: Curve) -> None:
    """A scale that all rows share, symmetric enough to show 0, with a place for the legend below."""
    bands = (curve.accuracy_difference, curve.true_probability_difference)
    low, high = min(min(band.low) for band in bands), max(max(band.high) for band in bands)
    before = axes.get_ylim() if axes.dataLim.y0 != axes.dataLim.y1 else (0.0, 0.0)
    reach = max(high - low, 0.02)
    axes.set_ylim(min(before[0], low - 0.3 * reach), max(before[1], high + 0.08 * reach))

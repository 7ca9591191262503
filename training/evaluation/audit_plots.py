"""The pictures of an audit, as PNG bytes: photos a label, a body site, a source, a skin tone, and a patient.

figures = draw_figures(audit.manifest, audit.balances, audit.sides, audit.group_sizes)
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.data.balance import ASPECTS, Balance
from training.data.datasets.registry import display_name
from training.data.manifest import Manifest
from training.evaluation.plots import BLUE, GREEN, INK, ORANGE, figure_png

SIDE_COLOURS = {"": BLUE, "training": BLUE, "validation": ORANGE, "test": GREEN}
MOST_BARS = 30
"""More values than these are no picture any more; the counts stand in audit.json."""


def draw_figures(
    manifest: Manifest, balances: Mapping[str, Balance], sides: np.ndarray, group_sizes: Mapping[int, int]
) -> dict[str, bytes]:
    """The figures by name: "lesion", "groups", and each aspect of `balances` with more than one value."""
    figures = {"lesion": plot_lesions(manifest, sides)}
    for aspect, balance in balances.items():
        if aspect in ASPECTS and 1 < len(balance.counts) <= MOST_BARS:
            figures[aspect] = plot_values(f"Photos a {ASPECTS[aspect]}", balance.counts)
    if len(group_sizes) > 1:
        figures["groups"] = plot_group_sizes(group_sizes)
    return figures


def plot_lesions(manifest: Manifest, sides: np.ndarray) -> bytes:
    """Photos a lesion label, in the order of the labels, parted by side where there is a split."""
    targets = manifest.lesion_targets()
    names = [display_name(label) for label in manifest.lesion_labels]
    present = [side for side in SIDE_COLOURS if (sides == side).any()]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        base = np.zeros(len(names))
        for side in present:
            counts = targets[sides == side].sum(0)
            label = side or "on no side"
            axes.barh(names, counts, left=base, color=SIDE_COLOURS[side], label=label)
            base += counts
        for row, total in enumerate(base):
            axes.text(total, row, f" {total:,.0f}", va="center", fontsize=8, color=INK)
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.set(title="Photos a label", xlabel="photos")
        if len(present) > 1:
            axes.legend(frameon=False, fontsize=8)

    return figure_png(draw, height=1.1 + 0.27 * len(names))


def plot_values(title: str, counts: Mapping[str, int]) -> bytes:
    """Photos a value, most first."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.barh(list(counts), list(counts.values()), color=BLUE)
        for row, number in enumerate(counts.values()):
            axes.text(number, row, f" {number:,}", va="center", fontsize=8, color=INK)
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.set(title=title, xlabel="photos")

    return figure_png(draw, height=1.1 + 0.24 * len(counts))


def plot_group_sizes(group_sizes: Mapping[int, int]) -> bytes:
    """How many patients or lesions have one photo, two photos, and so on."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.bar(list(group_sizes), list(group_sizes.values()), color=BLUE)
        for size, number in group_sizes.items():
            axes.text(size, number, f"{number:,}", ha="center", va="bottom", fontsize=8, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(title="Photos a patient or lesion", xlabel="photos", ylabel="patients or lesions")

    return figure_png(draw, height=2.6)

"""Pictures of arms against each other, as PNG bytes.

png = plot_differences({"plain training": (0.04, -0.02, 0.11)})
"""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from training.evaluation.plots import BLUE, GREEN, GRID, INK, MUTED, ORANGE, figure_png

SET_COLOURS = {"even": BLUE, "outpatient": ORANGE, "resampled": GREEN}


def plot_differences(differences: dict[str, tuple[float, float, float]]) -> bytes:
    """Each arm's balanced accuracy less the recipe's with its paired 95% interval, filled where 0 is not in it.

    Args:
        differences: by the arm's words: value, low, high.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=MUTED, linewidth=1)
        for row, (value, low, high) in enumerate(differences.values()):
            clear = low > 0 or high < 0
            colour = (GREEN if value > 0 else ORANGE) if clear else MUTED
            axes.plot([low, high], [row, row], color=colour, linewidth=2)
            axes.plot([value], [row], "o", ms=7, color=colour, mfc=colour if clear else "white")
        axes.set_yticks(range(len(differences)), [textwrap.fill(words, 38) for words in differences])
        axes.set_ylim(-0.6, len(differences) - 0.4)
        axes.invert_yaxis()
        axes.grid(axis="x", color=GRID)
        axes.set_axisbelow(True)
        axes.set(
            title="Balanced accuracy less the recipe's",
            xlabel="left: the recipe is better; right: the other is",
        )

    return figure_png(draw, 8.5, 1.1 + 0.52 * len(differences))


def plot_depths(rows: list[tuple[str, tuple[float, float, float], float | None]]) -> bytes:
    """Top-1 accuracy of each depth with its 95% interval, and the paper's beside it where there is one.

    Args:
        rows: architecture; value, low, high; the paper's figure or None.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for position, (_, (value, low, high), theirs) in enumerate(rows):
            axes.plot([position, position], [low, high], color=BLUE, linewidth=2)
            axes.plot([position], [value], "o", color=BLUE, ms=7, label="here" if position == 0 else None)
            if theirs is not None:
                axes.plot([position], [theirs], "D", color=ORANGE, ms=6)
        if any(theirs is not None for *_, theirs in rows):
            axes.plot([], [], "D", color=ORANGE, ms=6, label="the paper, on its own photos")
        axes.set_xticks(range(len(rows)), [name for name, *_ in rows])
        axes.set_xlim(-0.6, len(rows) - 0.4)
        axes.set_ylim(0, 1)
        axes.grid(axis="y", color=GRID)
        axes.set(title="Top-1 accuracy with 95% interval")
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)

    return figure_png(draw, 6.5, 3.2)


def plot_recalls(recalls: dict[str, list[float | None]], names: list[str]) -> bytes:
    """Each label's recall after training on each of the three sets, side by side."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        width = 0.8 / len(recalls)
        places = np.arange(len(names))
        for number, (name, values) in enumerate(recalls.items()):
            heights = [np.nan if value is None else value for value in values]
            axes.bar(
                places + (number - (len(recalls) - 1) / 2) * width,
                heights,
                width * 0.92,
                color=SET_COLOURS[name],
                label=name,
            )
        axes.set_xticks(places, names, rotation=35, ha="right", color=INK)
        axes.set(title="Recall of each label by training set", ylabel="recall", ylim=(0, 1))
        figure.legend(loc="outside lower center", ncols=len(recalls), frameon=False, fontsize=8)

    return figure_png(draw, 8.5, 3.6)

"""The gains of each correction as intervals, and one photo degraded and corrected.

Path("gains.png").write_bytes(plot_gains(effects, n_photos=97))
"""

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from benchmarks.correction_conditions import CONDITIONS
from benchmarks.correction_methods import SUGGESTED, Reference, correct
from benchmarks.correction_scores import Effect
from training.evaluation.plots import BLUE, GREEN, GRID, INK, MUTED, ORANGE, figure_png

TITLES = (
    "gamma: dark photos only",
    "white balance: tinted photos only",
    "crop: small lesions only",
    "all three, each where suggested",
)
COLOURS = {"helps": GREEN, "harms": ORANGE, "cannot be told": MUTED}
STRIP = ("as they are", "3 stops darker", "4 stops darker", "2 stops brighter", "warm, 1.4 stops red to blue",
         "2 times as far")  # fmt: skip
TILE_PX = 150


def plot_gains(effects: Sequence[Effect], n_photos: int) -> bytes:
    """A panel a method, a row a condition: the gain in the probability of the true label and its 95% interval.

    Returns:
        A PNG's bytes.
    """
    names = list(dict.fromkeys(effect.condition for effect in effects))
    by_name = {(effect.condition, effect.method): effect for effect in effects}

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(SUGGESTED), sharey=True, sharex=True)
        for panel, method, title in zip(panels, SUGGESTED, TITLES, strict=True):
            for place, name in enumerate(names):
                effect = by_name[name, method]
                value, low, high = (100 * number for number in effect.gain["true_probability"])
                colour = COLOURS[effect.verdict]
                wide = 3.4 if name.endswith("mean of all") else 1.8
                panel.plot([low, high], [place, place], color=colour, linewidth=wide, solid_capstyle="round")
                panel.plot([value], [place], "o", color=colour, markersize=4.5)
            panel.axvline(0, color=INK, linewidth=0.8)
            panel.grid(axis="x", color=GRID)
            panel.set_axisbelow(True)
            panel.set_title(title)
            panel.set_xlabel("gain, points of probability")
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        figure.suptitle(
            f"Probability of the true label, after the correction minus before, {n_photos} held-out photos; "
            "95% intervals by patient\ngreen: the interval lies above 0, orange: below, grey: cannot be told",
            fontsize=9.5,
            color=INK,
        )

    return figure_png(draw, 13.0, 1.5 + 0.24 * len(names))


def plot_strip(photo_rgb: np.ndarray, reference: Reference) -> bytes:
    """A row a condition: the photo made worse, then what each correction makes of it."""
    titles = ("made worse", *SUGGESTED)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(STRIP), len(titles))
        for row, (axes, name) in enumerate(zip(grid, STRIP, strict=True)):
            worse = CONDITIONS[name].make(photo_rgb, np.random.default_rng(0))
            ways = correct(worse, reference)
            for column, (cell, title) in enumerate(zip(axes, titles, strict=True)):
                image = worse if column == 0 else ways[title]
                cell.set_xticks([])
                cell.set_yticks([])
                if column and image is worse:
                    cell.text(0.5, 0.5, "nothing\nsuggested", ha="center", va="center", color=MUTED, fontsize=8,
                              transform=cell.transAxes)  # fmt: skip
                    cell.set_frame_on(False)
                else:
                    cell.imshow(cv2.resize(image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA))
                if row == 0:
                    cell.set_title(title.replace(", ", ",\n"))
            axes[0].set_ylabel(name.replace(", ", ",\n"), fontsize=8, color=BLUE)

    return figure_png(draw, 1.6 * len(titles) + 0.6, 1.55 * len(STRIP) + 0.5)

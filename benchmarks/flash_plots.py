"""Drawn pairs and what was made of them, beside what they were drawn from.

Path("flash_pair.png").write_bytes(plot_pairs([pair]))
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.flash_scenes import Pair
from benchmarks.flash_scores import truth_in
from capture_app.flash.light import linearise, luminance, to_display
from capture_app.flash.pair import separate_pair
from training.evaluation.plots import figure_png

TITLES = (
    "plain photo",
    "with flash, aligned",
    "reflectance",
    "drawn reflectance",
    "shine, twice",
    "drawn shine, twice",
)


def plot_pairs(pairs: Sequence[Pair]) -> bytes:
    """A row a pair, which is one that is accepted.

    Returns:
        A PNG's bytes.

    Raises:
        PhotoError: one is refused.
    """

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(pairs), len(TITLES), squeeze=False)
        for axes, pair in zip(grid, pairs, strict=True):
            for cell, picture in zip(axes, _pictures(pair), strict=True):
                cell.imshow(picture)
                cell.set_xticks([])
                cell.set_yticks([])
        for cell, title in zip(grid[0], TITLES, strict=True):
            cell.set_title(title)

    return figure_png(draw, 2.0 * len(TITLES), 2.1 * len(pairs))


def _pictures(pair: Pair) -> list[np.ndarray]:
    found = separate_pair(pair.ambient_rgb, pair.flash_rgb)
    true, shine = truth_in(found.box, pair)
    level = np.median(luminance(linearise(found.reflectance_rgb))) / np.median(
        luminance(np.ascontiguousarray(true))
    )
    shines = [np.repeat(to_display(2 * plane[..., None]), 3, axis=2) for plane in (found.specular, shine)]
    drawn = to_display(true * np.float32(level))
    return [found.plain_rgb, found.lit_rgb, found.reflectance_rgb, drawn, *shines]

"""The pictures of Liao & Luo 2017's reproduction, as PNG bytes.

png = plot_matrix(R, lesions, sites)
"""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from training.data.datasets.registry import display_name
from training.evaluation.plots import BLUE, GREEN, GRID, INK, MUTED, ORANGE, figure_png

ARM_COLOURS = {
    "alexnet": MUTED,
    "lesion": BLUE,
    "site": BLUE,
    "mtl": ORANGE,
    "shuffled": "#b794c9",
    "ensemble": GREEN,
}
ARM_NAMES = {
    "alexnet": "AlexNet",
    "lesion": "ResNet",
    "site": "ResNet",
    "mtl": "MTL",
    "shuffled": "MTL, shuffled sites",
    "ensemble": "ensemble",
}


def plot_matrix(matrix: np.ndarray, lesions: list[str], sites: list[str]) -> bytes:
    """Fig. 1: (P, Q) shares, a row a lesion, a column a body site; numbers in the cells where they are legible."""
    rows, columns = matrix.shape
    highest = max(0.5, float(matrix.max()))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(matrix, cmap="YlGnBu", vmin=0, vmax=highest, aspect="auto")
        axes.set_xticks(range(columns), sites, rotation=45, ha="right")
        axes.set_yticks(range(rows), lesions)
        axes.set_title("Share of a lesion's photos that show the body site")
        if columns <= 16:
            for row, column in np.argwhere(matrix >= 0.005):
                axes.text(
                    column,
                    row,
                    f"{100 * matrix[row, column]:.0f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if matrix[row, column] > 0.55 * highest else INK,
                )
        bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
        bar.outline.set_visible(False)
        ticks = [tick for tick in (0, 0.25, 0.5, 0.75, 1) if tick <= highest]
        bar.set_ticks(ticks)
        bar.set_ticklabels([f"{100 * tick:.0f} %" for tick in ticks])

    return figure_png(draw, 2.6 + 0.42 * columns, 1.6 + 0.3 * rows)


def plot_average_precisions(rows: list[dict[str, Any]], arms: list[str]) -> bytes:
    """Table 1: each lesion's average precision by arm, commonest lesion first, with 95% intervals."""
    ordered = sorted(rows, key=lambda row: -row["photos"])
    offsets = np.linspace(0.3, -0.3, len(arms))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for offset, arm in zip(offsets, arms, strict=True):
            for place, row in enumerate(ordered):
                value = row["average_precision"][arm]
                if value is not None:
                    axes.plot(
                        [value["low"], value["high"]],
                        [place - offset] * 2,
                        color=ARM_COLOURS[arm],
                        linewidth=1.4,
                        alpha=0.6,
                    )
                    axes.plot([value["value"]], [place - offset], "o", ms=4.5, color=ARM_COLOURS[arm])
            axes.plot([], [], "o-", ms=4.5, color=ARM_COLOURS[arm], label=ARM_NAMES[arm])
        names = [f"{display_name(row['label'])} ({row['photos']})" for row in ordered]
        axes.set_yticks(range(len(ordered)), names)
        axes.set_ylim(len(ordered) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.grid(axis="x", color=GRID)
        axes.set_axisbelow(True)
        axes.set(
            title="Average precision of each lesion (photos), with 95% interval", xlabel="average precision"
        )
        figure.legend(loc="outside lower center", ncols=len(arms), frameon=False, fontsize=8)

    return figure_png(draw, 8.5, 1.5 + len(ordered) * max(0.36, 0.11 * len(arms)))


def plot_fold_differences(differences: list[dict[str, Any]]) -> bytes:
    """Differences in mAP-class: the mean with its bootstrap interval (thick) and that over folds (thin), and
    each fold as a tick; filled where both leave 0 out."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=MUTED, linewidth=1)
        for place, row in enumerate(differences):
            change = row["map_class"]
            colour = MUTED if not change["clear"] else GREEN if change["value"] > 0 else ORANGE
            if np.isfinite(change["fold_low"]):
                axes.plot([change["fold_low"], change["fold_high"]], [place] * 2, color=colour, linewidth=1)
            axes.plot([change["low"], change["high"]], [place] * 2, color=colour, linewidth=3.5, alpha=0.6)
            axes.plot(change["folds"], [place + 0.25] * len(change["folds"]), "|", color=MUTED, ms=7)
            face = colour if change["clear"] else "white"
            axes.plot([change["value"]], [place], "o", ms=7, color=colour, mfc=face)
        words = [textwrap.fill(row["words"], 42) for row in differences]
        axes.set_yticks(range(len(differences)), words)
        axes.set_ylim(len(differences) - 0.4, -0.6)
        axes.grid(axis="x", color=GRID)
        axes.set_axisbelow(True)
        axes.set(
            title="Difference in mAP-class",
            xlabel="right of 0 the first is better; thick: bootstrap by group, thin: over folds, ticks: the folds",
        )

    return figure_png(draw, 8.5, 1.1 + 0.6 * max(1, len(differences)))


def plot_site_accuracy(accuracy: dict[str, dict[str, Any]]) -> bytes:
    """Fig. 3: top-1 and top-3 accuracy of the body site, by arm, with 95% intervals."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        width = 0.8 / len(accuracy)
        for number, (arm, own) in enumerate(accuracy.items()):
            for place, k in enumerate((1, 3)):
                value = own[f"top_{k}"]
                x = place + (number - (len(accuracy) - 1) / 2) * width
                axes.bar(x, value["value"], width * 0.9, color=ARM_COLOURS[arm])
                axes.plot([x, x], [value["low"], value["high"]], color=INK, linewidth=1.2)
                axes.text(
                    x, value["high"] + 0.02, f"{100 * value['value']:.1f}", ha="center", fontsize=8, color=INK
                )
            axes.bar([0], [0], color=ARM_COLOURS[arm], label=ARM_NAMES[arm])
        axes.set_xticks([0, 1], ["top-1", "top-3"])
        axes.set(title="Accuracy of the body site, with 95% interval", ylim=(0, 1.08))
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.grid(axis="y", color=GRID)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=8, loc="upper left")

    return figure_png(draw, 6.5, 3.4)


def plot_gains(rows: list[dict[str, Any]]) -> bytes:
    """Each lesion's gain by MTL against its strongest share of one body site, and against how far its sites depart
    from all photos'."""

    def draw(figure: Figure) -> None:
        for axes, key, title in zip(
            figure.subplots(1, 2, sharey=True),
            ("highest", "departure"),
            ("highest share of one body site", "departure from the set's body sites"),
            strict=True,
        ):
            axes.axhline(0, color=MUTED, linewidth=1)
            for row in rows:
                gain = row["gain"]
                axes.plot([row[key]] * 2, [gain["low"], gain["high"]], color=BLUE, linewidth=1.2, alpha=0.5)
                axes.plot([row[key]], [gain["value"]], "o", color=BLUE, ms=5)
            axes.set_xlabel(title)
            axes.margins(x=0.3)
            axes.grid(color=GRID)
            axes.set_axisbelow(True)
            _name_points(axes, {display_name(r["label"]): (r[key], r["gain"]["value"]) for r in rows})
        figure.axes[0].set_ylabel("average precision, MTL less ResNet")

    return figure_png(draw, 8.5, 3.8)


def _name_points(axes: Axes, points: dict[str, tuple[float, float]]) -> None:
    """Write names beside points, those farthest from the middle first; a name that would lie on another is left
    out."""
    middle = np.median(list(points.values()), axis=0)
    spread = np.std(list(points.values()), axis=0) + 1e-9
    distance = {name: np.hypot(*((np.array(place) - middle) / spread)) for name, place in points.items()}
    axes.autoscale_view()
    taken: list[Bbox] = []
    for name in sorted(points, key=lambda name: -distance[name]):
        label = axes.annotate(
            name, points[name], xytext=(4, 3), textcoords="offset points", fontsize=6.5, color=INK
        )
        box = label.get_window_extent()
        if any(box.overlaps(other) for other in taken):
            label.remove()
        else:
            taken.append(box)


def plot_coupling(points: list[dict[str, Any]]) -> bytes:
    """MTL's gain in mAP-class over the phantom's coupling of lesion and body site, and both networks' own."""

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        x = [point["coupling"] for point in points]
        for arm, shift in (("lesion", -0.008), ("mtl", 0.008)):
            own = [point[arm] for point in points]
            places = [place + shift for place in x]
            left.vlines(places, [v["low"] for v in own], [v["high"] for v in own], color=ARM_COLOURS[arm])
            left.plot(
                places, [v["value"] for v in own], "o-", ms=5, color=ARM_COLOURS[arm], label=ARM_NAMES[arm]
            )
        left.set(title="mAP-class", xlabel="coupling of lesion and site", ylim=(0, 1))
        left.legend(frameon=False, fontsize=8, loc="lower right")
        gains = [point["gain"] for point in points]
        right.axhline(0, color=MUTED, linewidth=1)
        right.vlines(
            x, [v["low"] for v in gains], [v["high"] for v in gains], color=GREEN, linewidth=3, alpha=0.5
        )
        right.plot(x, [v["value"] for v in gains], "o-", ms=6, color=GREEN)
        right.set(title="MTL less ResNet", xlabel="coupling of lesion and site")
        for axes in (left, right):
            axes.grid(axis="y", color=GRID)
            axes.set_axisbelow(True)

    return figure_png(draw, 8.5, 3.2)

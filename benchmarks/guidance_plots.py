"""The guidance benchmark's picture: a row of examples a defect, and how well each is told, as ROC curves.

draw_results(looks, photos, Path("guidance.png"))
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from sklearn.metrics import roc_curve

from benchmarks.guidance_defects import DEFECTS, Defect, draw_phantom
from benchmarks.guidance_parts import MaskedPhoto
from benchmarks.guidance_scores import Look
from capture_app.quality import limits
from training.cli import whole_file

COLOURS = {"photos": "#0b6b63", "phantoms": "#b8651b"}
EXAMPLE_PHANTOM = 7
PIXELS_PER_INCH = 110


def draw_results(looks: dict[str, list[Look]], photos: Sequence[MaskedPhoto], path: Path) -> None:
    """Write a PNG: for each defect a drawn example, light and heavy, and one ROC curve a source.

    Photos of people are measured and not shown.
    """
    figure, axes = plt.subplots(
        len(DEFECTS), 3, figsize=(7.6, 2.25 * len(DEFECTS)), width_ratios=(1, 1, 1.25), layout="constrained"
    )
    for row, (kind, (fault, unit, amounts)) in zip(axes, DEFECTS.items(), strict=True):
        for axis, amount in zip(row, amounts, strict=False):
            axis.imshow(draw_phantom(0, EXAMPLE_PHANTOM, Defect(kind, amount)).rgb)
            axis.set_title(f"{kind}: {amount:g}", fontsize=10)
            axis.set_axis_off()
        row[0].text(0, 1.22, unit, transform=row[0].transAxes, fontsize=8, color="#52605c")
        for source, own in looks.items():
            _draw_curve(row[2], kind, fault, own, source)
        row[2].plot([0, 1], [0, 1], color="#c9d0cc", linewidth=0.8)
        row[2].set(
            xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1)
        )
        row[2].tick_params(labelsize=8)
        row[2].legend(loc="lower right", fontsize=8, frameon=False)
    axes[-1][2].set_xlabel("clean photos called poor", fontsize=9)
    axes[0][2].set_title("poor photos called poor", fontsize=10)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=PIXELS_PER_INCH)
    plt.close(figure)


def _draw_curve(axis: Axes, kind: str, fault: str, looks: list[Look], source: str) -> None:
    sign = 1 if limits()[fault].worse == "above" else -1
    kept = [look for look in looks if (look.framed if look.defect is None else look.defect.kind == kind)]
    truth = np.array([look.defect is not None for look in kept])
    if truth.all() or not truth.any():
        return
    scores = np.array([sign * look.measures[fault] for look in kept])
    false, true, _ = roc_curve(truth, scores)
    axis.plot(
        false, true, color=COLOURS[source], linewidth=1.6, label=f"{source} {np.trapezoid(true, false):.3f}"
    )
    at_limit = scores > sign * limits()[fault].advise
    axis.plot(at_limit[~truth].mean(), at_limit[truth].mean(), "o", color=COLOURS[source], markersize=5)

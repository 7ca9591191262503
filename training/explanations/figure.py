"""A case drawn as in Mishra et al. 2019, Fig. 7 to 12: Grad-CAM above, guided backpropagation below.

png = draw_case(view_rgb, [Panel(...), Panel(...)], mask)
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from training.evaluation.plots import INK, MUTED

COLOUR_MAP = "viridis"
"""As on the capture page: ordered in lightness, also for colour-blind eyes and in grey."""
OPACITY = 0.6
FULL_OPACITY_AT = 0.5
"""Share of the scale from which on the colour has its full opacity; below it fades into the photo."""
GRADIENT_PERCENTILE = 99.5
"""Of the two maps' absolute values: what lies above it is drawn as if at it."""
WIDTH_IN, HEIGHT_IN, DPI = 7.8, 5.25, 120


@dataclass(frozen=True)
class Panel:
    """One label's column.

    heat: (S, S) float, at least 0, in units of the logit.
    gradient: (S, S, 3) float, signed.
    """

    title: str
    probability: float
    heat: np.ndarray
    gradient: np.ndarray


def draw_case(view_rgb: np.ndarray, panels: Sequence[Panel], mask: np.ndarray | None) -> bytes:
    """A PNG of two rows: the sample and each panel's heat over it; the sample again and each panel's gradient.

    The heats of both panels share one scale, and so do the gradients, so that a weak map looks weak.

    Args:
        view_rgb: (S, S, 3) float in [0, 1], RGB: what the network saw.
        panels: the predicted label, and what it is held against.
        mask: (S, S) float in [0, 1]: where the lesion is, outlined in the lower sample; None if not known.
    """
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained", facecolor="white")
    axes = figure.subplots(2, 3)
    heat_limit = max(float(panel.heat.max()) for panel in panels)
    gradient_limit = float(
        np.percentile(np.abs(np.stack([panel.gradient for panel in panels])), GRADIENT_PERCENTILE)
    )
    view_rgb = view_rgb.clip(0, 1)
    _show(axes[0, 0], view_rgb, "sample")
    _show(axes[1, 0], view_rgb, "")
    axes[0, 0].set_ylabel("Grad-CAM", fontsize=9, color=INK)
    axes[1, 0].set_ylabel("Guided backpropagation", fontsize=9, color=INK)
    if mask is not None:
        for colour, width in (("black", 2.4), ("white", 1.2)):
            axes[1, 0].contour(mask, levels=[0.5], colors=colour, linewidths=width)
        axes[1, 0].set_xlabel("lesion mask outlined", fontsize=8, color=MUTED)
    for column, panel in enumerate(panels, start=1):
        _show(axes[0, column], overlay(view_rgb, panel.heat, heat_limit), _title(panel))
        if not panel.heat.any():
            axes[0, column].set_xlabel("no evidence for this label", fontsize=8, color=MUTED)
        _show(axes[1, column], signed_grey(panel.gradient, gradient_limit), "")
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, heat_limit or 1.0), COLOUR_MAP),
        cax=axes[0, -1].inset_axes((1.04, 0, 0.05, 1)),
        label="evidence, logits",
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=8)
    bar.ax.yaxis.label.set_fontsize(8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def overlay(view_rgb: np.ndarray, heat: np.ndarray, limit: float) -> np.ndarray:
    """Blend heat into a photo: (S, S, 3) float RGB in [0, 1] and (S, S) float, `limit` being full heat."""
    share = (heat / limit).clip(0, 1) if limit > 0 else np.zeros_like(heat)
    alpha = OPACITY * np.minimum(share / FULL_OPACITY_AT, 1)[..., None]
    return view_rgb + alpha * (colormaps[COLOUR_MAP](share)[..., :3] - view_rgb)


def signed_grey(gradient: np.ndarray, limit: float) -> np.ndarray:
    """(S, S, 3) signed float to RGB in [0, 1]: mid-grey for 0, white and black at `limit` and its negative."""
    return (0.5 + gradient / (2 * limit)).clip(0, 1) if limit > 0 else np.full_like(gradient, 0.5)


def _title(panel: Panel) -> str:
    return f"{panel.title}\nprobability {panel.probability:.2f}"


def _show(axes: Axes, image_rgb: np.ndarray, title: str) -> None:
    axes.imshow(image_rgb, interpolation="bilinear")
    axes.set_title(title, fontsize=9, color=INK)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)

"""The pictures of a run, as PNG bytes: what a person would rather look at than read.

png = plot_losses(history)
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1b2a34", "#6b7b86", "#e3e8eb"
BLUE, ORANGE, GREEN = "#2b6cb0", "#dd6b20", "#2f855a"


def figure_png(draw: Callable[[Figure], None], width: float = 7.5, height: float = 3.4) -> bytes:
    """What `draw` puts on a white figure of that size in inches, in this project's style, as PNG bytes."""
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
    draw(figure)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
        axes.tick_params(colors=INK, labelsize=8)
        axes.title.set_fontsize(10)
        axes.xaxis.label.set_fontsize(9)
        axes.yaxis.label.set_fontsize(9)
        axes.title.set_color(INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def plot_range_test(range_test: dict[str, Any]) -> bytes:
    """The loss against the learning rate, and its rate of change (Mishra et al. 2019, Fig. 1 and 2)."""
    from training import lr_range  # Imports torch, which the other figures do without.

    rates, losses = np.array(range_test["learning_rates"]), np.array(range_test["losses"])
    end = lr_range.fall_end(losses)
    smoothed, slopes = lr_range.smooth(losses[:end]), lr_range.slope(rates[:end], losses[:end])
    span = max(losses[0] - losses[:end].min(), 1e-3)

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.plot(rates, losses, color=MUTED, linewidth=1, label="after each step")
        left.plot(rates[:end], smoothed, color=BLUE, label="the fall, smoothed")
        left.set(title="Loss on the probe", xlabel="learning rate", ylabel="loss")
        left.set_ylim(losses[:end].min() - 0.3 * span, losses[0] + 0.8 * span)
        right.plot(rates[:end], slopes, color=BLUE)
        right.axhline(0, color=GRID, zorder=0)
        right.set(title="Its rate of change", xlabel="learning rate", ylabel="per factor of ten")
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_xlim(rates[0], rates[-1])
            axes.axvline(range_test["chosen"], color=ORANGE, linestyle="--", linewidth=1.2)
        left.plot([], [], color=ORANGE, linestyle="--", label=f"chosen: {range_test['chosen']:.1e}")
        left.legend(frameon=False, fontsize=8)

    return figure_png(draw)


def plot_learning_rate(history: dict[str, Any]) -> bytes:
    """The base learning rate of every step (Mishra et al. 2019, Fig. 3 and 4)."""
    steps = history["steps"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(_epochs_of(steps), [step["learning_rate"] for step in steps], color=BLUE, linewidth=1.2)
        _mark_phases(axes, history)
        axes.set(title="Learning rate", xlabel="epoch", ylabel="base learning rate", ylim=(0, None))

    return figure_png(draw)


def plot_losses(history: dict[str, Any]) -> bytes:
    """Loss in training and validation, and the validation metric (Mishra et al. 2019, Fig. 6)."""
    epochs = history["epochs"]
    numbers = [epoch["epoch"] for epoch in epochs]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        steps = history["steps"]
        left.plot(_epochs_of(steps), [step["loss"] for step in steps], color=GRID, linewidth=1, label="batch")
        left.plot(
            numbers, [epoch["train_loss"] for epoch in epochs], color=BLUE, marker="o", ms=3, label="training"
        )
        losses = [epoch["validation_loss"] for epoch in epochs]
        left.plot(numbers, losses, color=ORANGE, marker="o", ms=3, label="validation")
        left.set(title="Loss", xlabel="epoch")
        left.legend(frameon=False, fontsize=8)
        values = [epoch["metric"] for epoch in epochs]
        right.plot(numbers, values, color=GREEN, marker="o", ms=3)
        best = int(np.argmax(values))
        right.annotate(
            f"best: {values[best]:.3f}",
            (numbers[best], values[best]),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
        )
        right.set(title=f"Validation: {history['metric']}", xlabel="epoch", ylim=(0, 1.05))
        for axes in (left, right):
            _mark_phases(axes, history)

    return figure_png(draw)


def plot_confusion(confusion: list[list[int]], labels: list[str]) -> bytes:
    """Counts, rows actual and columns predicted; shaded by the share of the row (Mishra et al. 2019, Fig. 5)."""
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            if counts[row, column]:
                colour = "white" if shares[row, column] > 0.55 else INK
                axes.text(
                    column, row, str(counts[row, column]), ha="center", va="center", fontsize=8, color=colour
                )
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
        axes.set_yticks(range(len(labels)), labels)
        axes.set(title="Confusion on the validation part", xlabel="predicted", ylabel="actual")

    side = 2.6 + 0.42 * len(labels)
    return figure_png(draw, side + 0.8, side)


def plot_counts(training: dict[str, int], validation: dict[str, int], names: list[str]) -> bytes:
    """Photos a label in both parts (Mishra et al. 2019, Table 1)."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        own, held = list(training.values()), list(validation.values())
        axes.barh(names, own, color=BLUE, label="training")
        axes.barh(names, held, left=own, color=ORANGE, label="validation")
        for row, (first, second) in enumerate(zip(own, held, strict=True)):
            axes.text(first + second, row, f" {first} + {second}", va="center", fontsize=8, color=INK)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set(title="Photos a label", xlabel="photos")
        axes.legend(frameon=False, fontsize=8)

    return figure_png(draw, height=1.2 + 0.26 * len(names))


def _epochs_of(steps: list[dict[str, Any]]) -> np.ndarray:
    """Each step's place on the axis of epochs; an epoch's last step lies at its number."""
    epochs = np.array([step["epoch"] for step in steps])
    first = np.searchsorted(epochs, epochs, side="left")
    count = np.searchsorted(epochs, epochs, side="right") - first
    return epochs - 1 + (np.arange(len(epochs)) - first + 1) / count


def _mark_phases(axes: Any, history: dict[str, Any]) -> None:
    """A dashed line and the phase's name wherever a phase begins, if there is more than one."""
    epochs = history["epochs"]
    starts = [
        (epoch["epoch"] - 1, epoch["phase"])
        for before, epoch in zip([None, *epochs], epochs, strict=False)
        if before is None or before["phase"] != epoch["phase"]
    ]
    for start, name in starts if len(starts) > 1 else []:
        axes.axvline(start, color=MUTED, linestyle=":", linewidth=1)
        axes.text(
            start, 1.0, f" {name}", transform=axes.get_xaxis_transform(), va="top", fontsize=7, color=MUTED
        )

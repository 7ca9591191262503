"""The figures of one run of `benchmarks.capture`: as data, as text, as a plot.

print(report_text(report))
Path("capture.png").write_bytes(plot_stages(report))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.capture_memory import Memory
from benchmarks.capture_path import FULL_FP32, STAGES
from benchmarks.latency_demands import Outcome
from benchmarks.latency_report import DEMAND_COLUMNS, WHISKER_ROOM, Columns, markdown
from training.evaluation.plots import GRID, INK, figure_png

COLOURS = ("#2b6cb0", "#90cdf4", "#cbd5e0", "#f6ad55", "#2f855a", "#b83280", "#a0aec0")
"""Of the stages: decoding and the network, which nobody can leave out, stand out."""
LABELLED_FROM = 0.04
"""Share of a chart's width from which on a stage's time is written into its bar."""


@dataclass(frozen=True)
class StageTime:
    """Milliseconds of one stage, or of all."""

    stage: str
    median_ms: float
    interval_ms: tuple[float, float]
    """95%, by bootstrap over rounds."""
    fastest_ms: float


@dataclass(frozen=True)
class WayTimes:
    """One way from bytes to an answer."""

    name: str
    precision: str
    whole: StageTime
    stages: tuple[StageTime, ...]
    memory: Memory | None

    def stage(self, name: str) -> StageTime | None:
        return next((one for one in self.stages if one.stage == name), None)


@dataclass(frozen=True)
class CaptureReport:
    """All ways of one run, and what they ran on."""

    photo_size_hw: tuple[int, int]
    photo_bytes: int
    photo_drawn: bool
    decoded_hw: tuple[int, int]
    """The pixels that the model is given on the page."""
    network: str
    random_weights: bool
    model_ids: dict[str, str]
    """SHA-256 by precision."""
    machine: dict[str, Any]
    n_rounds: int
    ways: tuple[WayTimes, ...]
    behind: StageTime
    """What the page does when the answer is on the screen."""
    demands: tuple[Outcome, ...]


def report_text(report: CaptureReport) -> str:
    """All of a report, as Markdown."""
    machine, load = report.machine, report.machine["load_average_1min"]
    height, width = report.photo_size_hw
    photo = (
        f"{width}x{height} pixels, {report.photo_bytes:,} bytes, {'drawn' if report.photo_drawn else 'given'}"
    )
    parts = [
        f"{machine['cpu']}, one core, {machine['date']}; "
        + ", ".join(f"{name} {number}" for name, number in machine["versions"].items()),
        f"{report.network}{', random weights: this measures speed only' if report.random_weights else ''}; photo: "
        f"{photo}, of which the model is given {report.decoded_hw[1]}x{report.decoded_hw[0]}; load average "
        f"{load['before']} before, {load['after']} after",
        f"Milliseconds, medians of {report.n_rounds} rounds",
        table(report),
        f"Behind the answer: the sharper picture, {_span(report.behind)} ms",
        "Targets, set for a 12-megapixel JPEG",
        markdown(DEMAND_COLUMNS, report.demands),
    ]
    memory = [
        f"{way.name}: an answer adds {way.memory.added_mb:.0f} MB, {way.memory.process_mb:.0f} MB in all"
        for way in report.ways
        if way.memory is not None
    ]
    return "\n\n".join([*parts, *memory])


def table(report: CaptureReport) -> str:
    """A row a stage, a column a way, as Markdown; the last row has 95% intervals."""
    columns: Columns = {"stage": lambda row: row[0]}
    for i, way in enumerate(report.ways, start=1):
        columns[way.name] = lambda row, i=i: row[i]  # type: ignore[misc]
    rows = [[stage, *(_cell(way.stage(stage)) for way in report.ways)] for stage in STAGES]
    rows.append(["**whole**", *(f"**{way.whole.median_ms:.1f}**" for way in report.ways)])
    rows.append(["95% interval", *("{:.1f} to {:.1f}".format(*way.whole.interval_ms) for way in report.ways)])
    return markdown(columns, rows)


def _cell(time: StageTime | None) -> str:
    return "-" if time is None else f"{time.median_ms:.1f}"


def _span(time: StageTime) -> str:
    return "{:.1f} ({:.1f} to {:.1f})".format(time.median_ms, *time.interval_ms)


def plot_stages(report: CaptureReport) -> bytes:
    """Each way as a bar of its stages: all of them, and once more, larger, those at reduced scale."""
    near = [way for way in report.ways if way.name != FULL_FP32.name]

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, height_ratios=(len(report.ways), len(near)))
        _draw_bars(above, report.ways)
        _draw_bars(below, near)
        below.set_xlabel("milliseconds from the file's bytes, median; line: 95% interval over rounds")
        figure.legend(
            *above.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8
        )
        height, width = report.photo_size_hw
        figure.suptitle(
            f"From a photo of {width}x{height} pixels, {report.photo_bytes / 1e6:.1f} MB, to the heatmap\n"
            f"{report.network}{', random weights' if report.random_weights else ''}, one core of "
            f"{report.machine['cpu']}",
            fontsize=9,
            color=INK,
        )

    return figure_png(draw, 8.6, 4.6)


def _draw_bars(axes: Axes, ways: Sequence[WayTimes]) -> None:
    longest = WHISKER_ROOM * max(way.whole.median_ms for way in ways)
    starts = [0.0] * len(ways)
    for stage, colour in zip(STAGES, COLOURS, strict=True):
        found = [way.stage(stage) for way in ways]
        widths = [0.0 if one is None else one.median_ms for one in found]
        axes.barh(range(len(ways)), widths, left=starts, color=colour, height=0.66, label=stage)
        for place, (start, width) in enumerate(zip(starts, widths, strict=True)):
            if width > LABELLED_FROM * longest:
                dark = stage in (STAGES[0], "network", "heatmap")
                axes.text(
                    start + width / 2, place, f"{width:.0f}", ha="center", va="center", fontsize=7.5,
                    color="white" if dark else INK,
                )  # fmt: skip
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    for place, (end, way) in enumerate(zip(starts, ways, strict=True)):
        low, high = way.whole.interval_ms
        axes.plot((low, min(high, longest)), (place, place), color=INK, linewidth=1.2)
        axes.text(
            min(max(end, high), longest) + longest * 0.012,
            place,
            f"{way.whole.median_ms:.0f}",
            va="center",
            fontsize=9,
            color=INK,
        )
    axes.set_yticks(range(len(ways)), [way.name for way in ways])
    axes.set_xlim(0, longest * 1.08)
    axes.invert_yaxis()
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)

"""The figures of one run of `benchmarks.latency`: as data, as text, as a plot.

print(report_text(report))
Path("latency.png").write_bytes(plot_ratios(report))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.arithmetic import Limit
from benchmarks.cold_start import ColdStart
from benchmarks.latency_demands import Outcome
from benchmarks.latency_profile import Profile
from benchmarks.latency_rounds import Ratio
from benchmarks.latency_variants import CLASSIFIER
from training.evaluation.plots import BLUE, GREEN, GRID, INK, MUTED, ORANGE, figure_png


@dataclass(frozen=True)
class Latency:
    """One variant's times, in milliseconds a call; a call answers `batch_size` photos."""

    kind: str
    """A key of `benchmarks.latency_variants.MODULES`."""
    model: str
    """The name of the file, or of the run's folder."""
    model_id: str | None
    """SHA-256 of the file; None for what runs the checkpoint."""
    architecture: str
    input_size: int
    precision: str
    provider: str
    threads: int
    batch_size: int
    n_calls: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    fastest_ms: float
    photos_per_s: float
    """At the median."""
    gops_per_s: float
    """Of the network's multiply-adds, each counted as two, at the median."""
    share_of_limit: float | None
    """Of the fastest matrix product in this precision with as many threads; None on a GPU."""
    times_as_fast_as_baseline: Ratio
    open_ms: float | None
    """From the path to something that can predict, in a new process; None if it was not measured."""
    first_ms: float | None
    """The first prediction, there."""
    added_mb: float | None
    """Greatest resident set less what was there before the file was opened, there, 10^6 bytes."""
    process_mb: float | None
    """Greatest resident set of that whole process, libraries included."""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.precision}"


@dataclass(frozen=True)
class Report:
    """All variants of one run, and what they ran on."""

    photo_size_hw: tuple[int, int]
    random_weights: bool
    """Nothing but speed was measured."""
    machine: dict[str, Any]
    multiply_adds: dict[str, int]
    """Of one photo, by architecture and input size."""
    baseline: str
    """Which variant the ratios are over."""
    n_rounds: int
    latencies: tuple[Latency, ...]
    limits: tuple[Limit, ...]
    demands: tuple[Outcome, ...]
    cold_start: ColdStart | None
    profiles: tuple[Profile, ...]
    left_out: tuple[str, ...]
    """A sentence on each variant that could not be measured."""


WHISKER_ROOM = 1.25
"""A panel is this much wider than its longest bar; an interval that goes on is cut off."""

Columns = dict[str, Callable[[Any], str]]

COLUMNS: Columns = {
    "threads": lambda row: str(row.threads),
    "batch": lambda row: str(row.batch_size),
    "variant": lambda row: row.name,
    "model": lambda row: row.model,
    "median ms": lambda row: f"{row.median_ms:.2f}",
    "p95": lambda row: f"{row.p95_ms:.2f}",
    "p99": lambda row: f"{row.p99_ms:.2f}",
    "fastest": lambda row: f"{row.fastest_ms:.2f}",
    "photos/s": lambda row: f"{row.photos_per_s:.1f}",
    "ratio": lambda row: f"{row.times_as_fast_as_baseline.value:.2f}",
    "of the limit": lambda row: _or_dash(row.share_of_limit, "{:.0%}"),
    "MB added": lambda row: _or_dash(row.added_mb, "{:.0f}"),
    "open ms": lambda row: _or_dash(row.open_ms, "{:.0f}"),
    "calls": lambda row: str(row.n_calls),
}
LIMIT_COLUMNS: Columns = {
    "precision": lambda limit: limit.precision,
    "threads": lambda limit: str(limit.threads),
    "10^9 operations/s": lambda limit: f"{limit.gops_per_s:.0f}",
    "by": lambda limit: limit.how,
}
DEMAND_COLUMNS: Columns = {
    "demand": lambda row: row.demand,
    "batch": lambda row: _or_dash(row.batch_size, "{}"),
    "asked": lambda row: row.asked,
    "measured": lambda row: _or_dash(row.value, "{:.3g}"),
    "interval": lambda row: "-" if row.interval is None else "{:.3g} to {:.3g}".format(*row.interval),
    "": lambda row: row.verdict if row.certain else f"{row.verdict}, within the noise",
}


def _or_dash(value: Any, form: str) -> str:
    return "-" if value is None else form.format(value)


def markdown(columns: Columns, rows: Sequence[Any]) -> str:
    """A Markdown table of equally wide lines."""
    cells = [list(columns), *([cell(row) for cell in columns.values()] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def table(report: Report) -> str:
    """The variants as a Markdown table, by threads and batch size."""
    return markdown(COLUMNS, sorted(report.latencies, key=lambda row: (row.threads, row.batch_size)))


def report_text(report: Report) -> str:
    """All of a report but its profiles, as Markdown."""
    machine, load = report.machine, report.machine["load_average_1min"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    height, width = report.photo_size_hw
    networks = ", ".join(f"{name} {count / 1e9:.2f}" for name, count in report.multiply_adds.items())
    parts = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['gpu'] or 'no GPU'}, {machine['date']}",
        versions,
        f"photos of {height}x{width} (height x width); 10^9 multiply-adds a photo: {networks}; "
        f"load average {load['before']} before, {load['after']} after",
        f"{report.n_rounds} rounds; ratio: times as fast as {report.baseline}",
    ]
    if report.random_weights:
        parts.append("**The weights are random: this measures speed only.**")
    parts += [
        table(report),
        "Arithmetic limit: a large matrix product",
        markdown(LIMIT_COLUMNS, report.limits),
    ]
    threads = max((row.threads for row in report.demands), default=0)
    networks = ", ".join(report.multiply_adds)
    parts += [
        f"Targets met, with {threads} threads, for {networks} (they were set for resnet50 at 224 on 2 cores)",
        markdown(DEMAND_COLUMNS, report.demands),
    ]
    if (cold := report.cold_start) is not None:
        torch = "was imported" if cold.torch_imported else "was not imported"
        height, width = cold.photo_size_hw
        parts.append(
            f"Cold start: python -m export.classify {cold.model} on one photo of {height}x{width}: median "
            f"{cold.median_s:.2f} s of {len(cold.seconds)} runs ({min(cold.seconds):.2f} to "
            f"{max(cold.seconds):.2f}); torch {torch}"
        )
    return "\n\n".join([*parts, *report.left_out])


def plot_ratios(report: Report) -> bytes:
    """How many times as fast as the baseline each variant is: a panel a batch size and number of threads."""
    batches = sorted({row.batch_size for row in report.latencies})
    threads = sorted({row.threads for row in report.latencies})
    label = _labels(report)
    labels = list(dict.fromkeys(label(row) for row in report.latencies))
    longest = WHISKER_ROOM * max(row.times_as_fast_as_baseline.value for row in report.latencies)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(threads), len(batches), sharex=True, sharey=True, squeeze=False)
        for axes_row, n_threads in zip(grid, threads, strict=True):
            for axes, batch in zip(axes_row, batches, strict=True):
                rows = {
                    label(row): row
                    for row in report.latencies
                    if (row.threads, row.batch_size) == (n_threads, batch)
                }
                _draw_panel(axes, [rows.get(name) for name in labels], longest)
                axes.set_title(f"batch {batch}, {n_threads} thread{'s' if n_threads > 1 else ''}")
                axes.set_yticks(range(len(labels)), labels)
        for axes in grid[-1]:
            axes.set_xlabel(f"times as fast as {report.baseline}")
        for axes in grid.flat:
            axes.invert_yaxis()
            break
        note = "; random weights, speed only" if report.random_weights else ""
        networks = ", ".join(report.multiply_adds)
        figure.suptitle(
            f"{networks} on {report.machine['cpu']}{note}\n"
            "full colour: what a program of this project calls; line: 95% interval over rounds",
            fontsize=9,
            color=INK,
        )

    width = 2.2 + 2.6 * len(batches)
    return figure_png(draw, width, 0.8 + len(threads) * (0.7 + 0.24 * len(labels)))


def _labels(report: Report) -> Callable[[Latency], str]:
    """A variant's name, with its model where several files share one."""
    files = {(row.precision, row.model_id) for row in report.latencies if row.kind == CLASSIFIER}
    if len(files) == len({precision for precision, _ in files}):
        return lambda row: row.name
    return lambda row: (
        f"{row.name}, {row.architecture} at {row.input_size} ({(row.model_id or row.model)[:6]})"
    )


def _draw_panel(axes: Axes, rows: Sequence[Latency | None], longest: float) -> None:
    colours = {"int8": GREEN, "fp16": ORANGE}
    for place, row in enumerate(rows):
        if row is None:
            axes.text(longest * 0.01, place, "not measured", va="center", fontsize=7, color=MUTED)
            continue
        ratio = row.times_as_fast_as_baseline
        ours = row.kind == CLASSIFIER
        axes.barh(
            place,
            ratio.value,
            color=colours.get(row.precision, BLUE),
            alpha=1.0 if ours else 0.5,
            height=0.72,
        )
        low, high = ratio.interval
        axes.plot((low, min(high, longest)), (place, place), color=INK, linewidth=1)
        axes.text(
            min(max(ratio.value, high), longest) + longest * 0.015,
            place,
            f"{ratio.value:.2f}",
            va="center",
            fontsize=7.5,
            color=INK,
        )
    axes.axvline(1, color=MUTED, linewidth=0.8, linestyle="--")
    axes.set_xlim(0, longest * 1.14)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)

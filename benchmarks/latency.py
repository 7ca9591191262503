"""How long an exported model takes from pixels to ranked labels, measured side by side.

    python -m benchmarks.latency build/model.onnx --batch-sizes 1 8 --threads 1 2

Warm-up first; then rounds in which every variant runs once, in an order drawn anew, so that a machine that
speeds up or slows down does so for all of them. What is timed is `Classifier.predict`: crop, resize, network,
heatmaps and ranking; decoding is not. Opening the file, and parsing its card alone, are timed apart.
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
import tyro
from tqdm import tqdm

from export.runtime import Classifier, Provider
from training.cli import run, write_text
from training.errors import UserError
from training.machine import machine
from training.models.card import ModelCard

WARM_UP_CALLS = 3
MIN_ROUNDS = 5
CARD_PARSES = 50


@dataclass(frozen=True)
class Latency:
    """One variant's times, in milliseconds a call of `predict`."""

    model: str
    """The file's name."""
    model_id: str
    architecture: str
    input_size: int
    provider: str
    threads: int
    batch_size: int
    n_calls: int
    median_ms: float
    p95_ms: float
    fastest_ms: float
    photos_per_s: float
    """At the median."""
    open_ms: float
    """From the file's path to a classifier that can predict: reading, hashing, session, card."""
    card_ms: float
    """The share of the card's JSON in it, median."""


@dataclass(frozen=True)
class Report:
    """All variants of one run, and what they ran on."""

    photo_size_hw: tuple[int, int]
    machine: dict[str, Any]
    latencies: tuple[Latency, ...]


@dataclass(eq=False)
class Variant:
    """One classifier at one batch size, and the times it took."""

    classifier: Classifier
    threads: int
    open_ms: float
    card_ms: float
    images: list[np.ndarray] = field(repr=False)
    times_ms: list[float] = field(default_factory=list, repr=False)

    def call(self) -> float:
        """One call of `predict`, in milliseconds."""
        return _milliseconds(lambda: self.classifier.predict(self.images))

    def latency(self) -> Latency:
        card, times = self.classifier.card, np.array(self.times_ms)
        median = float(np.median(times))
        return Latency(
            model=self.classifier.path.name,
            model_id=self.classifier.model_id,
            architecture=card.architecture,
            input_size=card.preprocessing.input_size,
            provider=self.classifier.provider,
            threads=self.threads,
            batch_size=len(self.images),
            n_calls=len(times),
            median_ms=median,
            p95_ms=float(np.percentile(times, 95)),
            fastest_ms=float(times.min()),
            photos_per_s=len(self.images) * 1000 / median,
            open_ms=self.open_ms,
            card_ms=self.card_ms,
        )


def measure(
    models: Sequence[Path],
    *,
    batch_sizes: Sequence[int] = (1, 8),
    threads: Sequence[int] = (1,),
    providers: Sequence[Provider] = ("auto",),
    photo_size_hw: tuple[int, int] = (300, 300),
    seconds: float = 3.0,
) -> Report:
    """Time every combination of model, provider, threads and batch size in interleaved rounds.

    Args:
        models: ONNX files written by `python -m export`.
        batch_sizes: photos a call.
        threads: CPU threads a call.
        providers: what to run on.
        photo_size_hw: height and width of the photos, in pixels.
        seconds: of measuring, a variant, on average; at least five rounds are run.

    Raises:
        ModelFileError: a file cannot be opened or cannot run on a provider.
        UserError: a number is not positive.
    """
    for name, values in (("batch size", batch_sizes), ("threads", threads), ("photo size", photo_size_hw)):
        if not values or min(values) < 1:
            raise UserError(f"{name} is {list(values)}; whole numbers from 1 on are needed.")
    if not seconds > 0:
        raise UserError(f"seconds is {seconds}; a positive number is needed.")
    load_before = os.getloadavg()[0]
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (*photo_size_hw, 3), np.uint8) for _ in range(max(batch_sizes))]
    variants = [
        variant
        for path in models
        for provider in providers
        for n_threads in threads
        for variant in _variants(path, provider, n_threads, [images[:size] for size in batch_sizes])
    ]
    _run_rounds(variants, seconds * len(variants))
    return Report(photo_size_hw, _machine(load_before), tuple(variant.latency() for variant in variants))


def _variants(
    path: Path, provider: Provider, threads: int, batches: Sequence[list[np.ndarray]]
) -> list[Variant]:
    start = time.perf_counter()
    classifier = Classifier(path, provider=provider, threads=threads)
    open_ms = (time.perf_counter() - start) * 1000
    card_json = classifier.card.to_json()
    card_ms = float(
        np.median([_milliseconds(lambda: ModelCard.from_json(card_json)) for _ in range(CARD_PARSES)])
    )
    return [Variant(classifier, threads, open_ms, card_ms, images) for images in batches]


def _run_rounds(variants: Sequence[Variant], budget_s: float) -> None:
    for variant in tqdm(variants, desc="warming up", unit="variant", disable=None):
        for _ in range(WARM_UP_CALLS):
            variant.call()
    order, shuffle = list(variants), random.Random(0)
    start = time.perf_counter()
    with tqdm(total=round(budget_s, 1), desc="measuring", unit="s", disable=None) as progress:
        while len(variants[0].times_ms) < MIN_ROUNDS or time.perf_counter() - start < budget_s:
            shuffle.shuffle(order)
            for variant in order:
                variant.times_ms.append(variant.call())
            progress.update(round(min(time.perf_counter() - start, budget_s) - progress.n, 1))


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def _machine(load_before: float) -> dict[str, Any]:
    """What the figures were taken on, and how busy it was before and after."""
    facts = machine("numpy", "opencv-python")
    facts["versions"]["onnxruntime"] = onnxruntime.__version__
    return facts | {
        "load_average_1min": {"before": round(load_before, 2), "after": facts["load_average_1min"]}
    }


COLUMNS: dict[str, Callable[[Latency], str]] = {
    "model": lambda row: row.model,
    "network": lambda row: f"{row.architecture} at {row.input_size}",
    "provider": lambda row: row.provider,
    "threads": lambda row: str(row.threads),
    "batch": lambda row: str(row.batch_size),
    "median ms": lambda row: f"{row.median_ms:.1f}",
    "p95 ms": lambda row: f"{row.p95_ms:.1f}",
    "photos/s": lambda row: f"{row.photos_per_s:.1f}",
    "calls": lambda row: str(row.n_calls),
    "open ms": lambda row: f"{row.open_ms:.0f}",
    "card ms": lambda row: f"{row.card_ms:.2f}",
}


def table(report: Report) -> str:
    """The report as a Markdown table under two lines on the machine."""
    rows = [list(COLUMNS), *([cell(row) for cell in COLUMNS.values()] for row in report.latencies)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    load = report.machine["load_average_1min"]
    height, width = report.photo_size_hw
    head = [
        f"{report.machine['cpu']}, {report.machine['cores']} cores, onnxruntime "
        f"{report.machine['versions']['onnxruntime']}, {report.machine['date']}",
        f"photos of {height}x{width} (height x width); load average {load['before']} before, "
        f"{load['after']} after",
    ]
    return "\n".join([*head, "", *lines])


@dataclass(frozen=True)
class Arguments:
    """Time exported models from pixels to ranked labels."""

    models: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """ONNX files that python -m export wrote."""
    batch_sizes: tuple[int, ...] = (1, 8)
    """Photos a call."""
    threads: tuple[int, ...] = (1, 2)
    """CPU threads a call."""
    providers: tuple[Provider, ...] = ("auto",)
    """What to run on; auto takes CUDA where it really runs."""
    photo_size: tuple[int, int] = (300, 300)
    """Height and width of the photos, in pixels."""
    seconds: float = 3.0
    """Of measuring a variant, on average; at least five rounds are run."""
    out: Path | None = None
    """A JSON file for the figures, such as benchmarks/results/latency.json."""


def main(argv: Sequence[str] | None = None) -> None:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.latency", args=argv)
    if not arguments.models:
        raise UserError("no model is named; give one or more files that python -m export wrote.")
    report = measure(
        arguments.models,
        batch_sizes=arguments.batch_sizes,
        threads=arguments.threads,
        providers=arguments.providers,
        photo_size_hw=arguments.photo_size,
        seconds=arguments.seconds,
    )
    print(table(report))
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(asdict(report), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run(lambda: main()))

"""How long an exported model takes from pixels to ranked labels and heatmaps, beside its peers, in one run.

    python -m benchmarks.latency models/mine/*.onnx
    python -m benchmarks.latency models/mine/*.onnx --peers --against runs/mine --plot latency.png
    python -m benchmarks.latency --architecture resnet50 --input-size 224 --peers

Warm-up first; then rounds in which every variant has one turn, in an order drawn anew, so that a machine that
speeds up or slows down does so for all of them. What is timed runs from decoded photos to answers: crop, resize,
network, heatmaps and, for `Classifier`, ranking. Memory and opening are measured in processes of their own.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tqdm import tqdm

from benchmarks.arithmetic import Limit, limits, open_products
from benchmarks.cold_start import ColdStart, cold_start
from benchmarks.latency_demands import Variant, judge
from benchmarks.latency_memory import Alone, measure_alone
from benchmarks.latency_plan import Plan, plan_variants
from benchmarks.latency_profile import profile, profile_table
from benchmarks.latency_report import Latency, Report, plot_ratios, report_text
from benchmarks.latency_rounds import Timed, ratio_of_rounds, run_rounds
from benchmarks.latency_torch import multiply_adds
from benchmarks.latency_variants import EAGER, GRAD_CAM, Subject, drawn_photos, open_subject
from benchmarks.random_run import write_random_run, write_targets
from training.cli import run, whole_file, write_text
from training.errors import UserError
from training.machine import machine
from training.models.card import ModelCard


@dataclass(frozen=True)
class Settings:
    """How to measure."""

    batch_sizes: tuple[int, ...] = (1, 8, 32)
    """Photos a call; a Grad-CAM library, which is slow, is measured with the fewest alone."""
    threads: tuple[int, ...] = (1, 2)
    """CPU threads a call."""
    photo_size: tuple[int, int] = (300, 300)
    """Height and width of the photos, in pixels."""
    seconds: float = 3.0
    """Of measuring a variant, on average; at least five rounds are run."""
    memory: bool = True
    """Open every variant with the most threads in a process of its own, for its memory and how long it takes."""
    cold_start: bool = True
    """Time python -m export.classify as a whole process, on the int8 file if there is one."""
    profile: bool = False
    """Show which operators the time of each file goes to."""

    def __post_init__(self) -> None:
        numbers = {"batch size": self.batch_sizes, "threads": self.threads, "photo size": self.photo_size}
        for name, values in numbers.items():
            if not values or min(values) < 1:
                raise UserError(f"{name} is {list(values)}; whole numbers from 1 on are needed.")
        if not self.seconds > 0:
            raise UserError(f"seconds is {self.seconds}; a positive number is needed.")


def measure(
    models: Sequence[Path],
    settings: Settings | None = None,
    *,
    peers_of: Path | None = None,
    random_weights: bool = False,
) -> Report:
    """Time every model, by `Classifier` and in a bare session, and its peers, in interleaved rounds.

    Args:
        models: ONNX files written by `python -m export`.
        settings: batch sizes, threads and so on.
        peers_of: the folder of the run that the models were exported from, for torch, OpenVINO and a Grad-CAM
            library; None leaves them out.
        random_weights: is said in the report.

    Raises:
        ModelFileError: a file cannot be opened.
        CheckpointError: the run cannot be used.
        UserError: a model is not of that run, or no model runs here.
    """
    settings = settings or Settings()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        plan = plan_variants(models, settings.threads, peers_of, Path(scratch))
        if not plan.given:
            raise UserError(f"no model that was given runs here. {' '.join(plan.left_out)}")
        variants, failed = _open(plan.subjects, settings)
        products = open_products(settings.threads)
        everything = [*(variant.timed for variant in variants), *(product.timed for product in products)]
        run_rounds(everything, settings.seconds * len(variants))
        alone, also_failed = _measure_alone(variants, settings)
    cold = _cold_start(plan, settings)
    bounds = limits(products)
    baseline = next((v.subject.name for v in variants if v.subject.kind == EAGER), variants[0].subject.name)
    return Report(
        photo_size_hw=settings.photo_size,
        random_weights=random_weights,
        machine=_machine(load_before),
        multiply_adds={_network(one.card): multiply_adds(one.card) for one in plan.given},
        baseline=baseline,
        n_rounds=len(variants[0].timed.rounds_ms),
        latencies=tuple(
            _latency(variant, plan, _baseline(variants, variant), bounds, own)
            for variant, own in zip(variants, alone, strict=True)
        ),
        limits=bounds,
        demands=judge(variants, max(settings.threads), cold),
        cold_start=cold,
        profiles=tuple(
            profile(one.path, one.path.name, max(settings.threads), settings.photo_size)
            for one in plan.given
            if settings.profile and one.target.provider == "cpu"
        ),
        left_out=(*plan.left_out, *failed, *also_failed),
    )


def _open(subjects: Sequence[Subject], settings: Settings) -> tuple[list[Variant], list[str]]:
    """Every subject at every batch size, and a sentence on each that fails."""
    images = drawn_photos(max(settings.batch_sizes), settings.photo_size)
    variants, failed = [], []
    for subject in tqdm(subjects, desc="opening", unit="variant", disable=None):
        sizes = settings.batch_sizes if subject.kind != GRAD_CAM else (min(settings.batch_sizes),)
        try:
            bind = open_subject(subject)
            for size in sizes:
                call = bind(images[:size])
                call()
                variants.append(Variant(subject, size, Timed(subject.name, call)))
        except RuntimeError as error:  # What torch.compile and OpenVINO raise where they cannot run.
            failed.append(f"{subject.name}, {subject.threads} threads: not measured ({_first_line(error)}).")
    return variants, failed


def _measure_alone(variants: Sequence[Variant], settings: Settings) -> tuple[list[Alone | None], list[str]]:
    found: list[Alone | None] = []
    failed = []
    for variant in tqdm(variants, desc="memory", unit="variant", disable=None if settings.memory else True):
        one = None
        if settings.memory and variant.subject.threads == max(settings.threads):
            try:
                one = measure_alone(variant.subject, variant.batch_size, settings.photo_size)
            except RuntimeError as error:
                failed.append(f"memory: {_first_line(error)}")
        found.append(one)
    return found, failed


def _cold_start(plan: Plan, settings: Settings) -> ColdStart | None:
    on_cpu = [one for one in plan.given if one.target.provider == "cpu"]
    if not settings.cold_start or not on_cpu:
        return None
    chosen = next((one for one in on_cpu if one.target.precision == "int8"), on_cpu[0])
    return cold_start(chosen.path, chosen.target.name)


def _baseline(variants: Sequence[Variant], variant: Variant) -> Variant:
    """torch eager in the same place if it was measured, else the first file's first variant there."""
    place = [
        v
        for v in variants
        if (v.batch_size, v.subject.threads) == (variant.batch_size, variant.subject.threads)
    ]
    return next((v for v in place if v.subject.kind == EAGER), place[0])


def _latency(
    variant: Variant, plan: Plan, baseline: Variant, bounds: Sequence[Limit], alone: Alone | None
) -> Latency:
    subject, times, card = variant.subject, variant.timed.times_ms, plan.card_of(variant.subject)
    median = float(np.median(times))
    gops_per_s = 2 * multiply_adds(card) * variant.batch_size / median / 1e6
    bound = next(
        (
            bound.gops_per_s
            for bound in bounds
            if subject.provider == "cpu"
            and (bound.precision, bound.threads) == (subject.precision, subject.threads)
        ),
        None,
    )
    return Latency(
        kind=subject.kind,
        model=subject.model,
        model_id=plan.model_id_of(subject),
        architecture=card.architecture,
        input_size=card.preprocessing.input_size,
        precision=subject.precision,
        provider=subject.provider,
        threads=subject.threads,
        batch_size=variant.batch_size,
        n_calls=len(times),
        median_ms=median,
        p95_ms=float(np.percentile(times, 95)),
        p99_ms=float(np.percentile(times, 99)),
        fastest_ms=float(times.min()),
        photos_per_s=variant.batch_size * 1000 / median,
        gops_per_s=gops_per_s,
        share_of_limit=None if bound is None else gops_per_s / bound,
        times_as_fast_as_baseline=ratio_of_rounds(baseline.timed, variant.timed),
        open_ms=None if alone is None else alone.open_ms,
        first_ms=None if alone is None else alone.first_ms,
        added_mb=None if alone is None else alone.added_mb,
        process_mb=None if alone is None else alone.process_mb,
    )


def _network(card: ModelCard) -> str:
    return f"{card.architecture} at {card.preprocessing.input_size}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _machine(load_before: float) -> dict[str, Any]:
    """What the figures were taken on, and how busy it was before and after."""
    facts = machine("numpy", "opencv-python-headless", "onnxruntime", "torch", "openvino", "nncf", "grad-cam")
    return facts | {
        "load_average_1min": {"before": round(load_before, 2), "after": facts["load_average_1min"]}
    }


@dataclass(frozen=True)
class Arguments:
    """Time exported models from pixels to ranked labels and heatmaps, beside their peers, in one run."""

    models: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """ONNX files that python -m export wrote, one or several targets of one or several runs."""
    peers: bool = False
    """Measure torch eager, torch.compile, OpenVINO and a Grad-CAM library too."""
    against: Path | None = None
    """The folder of the run that all models were exported from: the checkpoint that the peers run."""
    architecture: str | None = None
    """In place of models: a network with random weights, exported for every target. For speed alone."""
    input_size: int = 224
    """Of that network, in pixels."""
    settings: Annotated[Settings, tyro.conf.OmitArgPrefixes] = Settings()
    out: Path | None = None
    """A JSON file for the figures, such as benchmarks/results/latency.json."""
    plot: Path | None = None
    """A PNG file for a bar chart of how many times as fast as torch eager each variant is."""


@contextlib.contextmanager
def _subjects(arguments: Arguments) -> Iterator[tuple[Sequence[Path], Path | None]]:
    """The files, and the run that they were exported from."""
    if arguments.architecture is None:
        yield arguments.models, arguments.against
        return
    with tempfile.TemporaryDirectory() as name:
        checkpoint = write_random_run(Path(name) / "random", arguments.architecture, arguments.input_size)
        yield write_targets(checkpoint, Path(name)), checkpoint


def main(argv: Sequence[str] | None = None) -> None:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.latency", args=argv)
    if bool(arguments.models) == (arguments.architecture is not None):
        raise UserError(
            "name either models, files that python -m export wrote, or an --architecture of random weights."
        )
    if arguments.peers and arguments.models and arguments.against is None:
        raise UserError("--peers run the checkpoint; name the folder of its run with --against.")
    with _subjects(arguments) as (models, checkpoint):
        report = measure(
            models,
            arguments.settings,
            peers_of=checkpoint if arguments.peers else None,
            random_weights=arguments.architecture is not None,
        )
    print(report_text(report))
    for found in report.profiles:
        print("", profile_table(found), sep="\n")
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(asdict(report), indent=2) + "\n")
    if arguments.plot is not None:
        with whole_file(arguments.plot) as temporary:
            temporary.write_bytes(plot_ratios(report))


if __name__ == "__main__":
    sys.exit(run(lambda: main()))

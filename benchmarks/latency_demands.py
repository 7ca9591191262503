"""What speed is asked for, and whether one run of `benchmarks.latency` shows it.

    outcomes = judge(variants, threads=2)

Each demand is a ratio of two variants at one batch size, formed within every round. They were set for a ResNet-50
at 224 pixels on 2 CPU cores; for another network they are still measured, and the report says which it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.cold_start import ColdStart
from benchmarks.latency_rounds import Ratio, Timed, ratio_of_rounds
from benchmarks.latency_variants import (
    CLASSIFIER,
    EAGER,
    GRAD_CAM,
    NO_HEATMAP,
    OPENVINO,
    OPENVINO_NNCF,
    SESSION,
    Subject,
)

Verdict = Literal["met", "missed", "not measured"]
COLD_START_S = 1.0


@dataclass(frozen=True)
class Demand:
    """The time of one way of answering, divided by another's."""

    text: str
    numerator: tuple[str, str]
    """Kind and precision."""
    denominator: tuple[str, str]
    batch_size: int
    at_least: float | None = None
    at_most: float | None = None

    @property
    def asked(self) -> str:
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"

    def met_by(self, value: float) -> bool:
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True)
class Outcome:
    """A demand, and what was measured."""

    demand: str
    model: str
    """The file's name."""
    threads: int
    batch_size: int | None
    asked: str
    value: float | None
    interval: tuple[float, float] | None
    """95%, over rounds; of the cold start, the fastest and the slowest run."""
    verdict: Verdict
    certain: bool
    """The whole interval lies on the verdict's side."""


@dataclass(eq=False)
class Variant:
    """A way of answering so many photos at once, and the times it took."""

    subject: Subject
    batch_size: int
    timed: Timed

    @property
    def key(self) -> tuple[str, str]:
        return self.subject.kind, self.subject.precision


def demands() -> tuple[Demand, ...]:
    """All that compare two variants of one run."""
    int8, fp32 = (CLASSIFIER, "int8"), (EAGER, "fp32")
    rows = [
        Demand("int8 with heatmaps: times as fast as torch eager fp32", fp32, int8, 1, at_least=6),
        Demand("int8 with heatmaps: times as fast as torch eager fp32", fp32, int8, 8, at_least=7),
    ]
    for kind, what in ((OPENVINO_NNCF, "nncf's int8"), (OPENVINO, "our int8 file")):
        text = f"int8: speed as a share of OpenVINO's on {what}"
        rows += [Demand(text, (kind, "int8"), (SESSION, "int8"), size, at_least=0.9) for size in (1, 8)]
    for precision in ("fp32", "int8"):
        text = f"{precision}: time with heatmaps, without them = 1"
        with_map, without = (SESSION, precision), (NO_HEATMAP, precision)
        rows += [Demand(text, with_map, without, size, at_most=1.01) for size in (1, 8)]
    rows.append(
        Demand(
            "int8 with heatmaps: times as fast as a Grad-CAM library",
            (GRAD_CAM, "fp32"),
            int8,
            1,
            at_least=20,
        )
    )
    for precision in ("fp32", "int8"):
        text = f"{precision}: time of Classifier, bare session = 1"
        rows.append(Demand(text, (CLASSIFIER, precision), (SESSION, precision), 1, at_most=1.05))
    return tuple(rows)


def judge(variants: Sequence[Variant], threads: int, cold: ColdStart | None = None) -> tuple[Outcome, ...]:
    """Every demand against the variants that were measured with so many threads.

    Args:
        variants: after the rounds.
        threads: of the CPU.
        cold: the cold start of the int8 file, if it was measured.
    """
    outcomes = []
    for demand in demands():
        pairs = list(_pairs(variants, demand, threads))
        if not pairs:
            outcomes.append(
                Outcome(
                    demand.text,
                    "",
                    threads,
                    demand.batch_size,
                    demand.asked,
                    None,
                    None,
                    "not measured",
                    True,
                )
            )
        for model, numerator, denominator in pairs:
            outcomes.append(
                judge_ratio(demand, model, threads, ratio_of_rounds(numerator.timed, denominator.timed))
            )
    return (*outcomes, _judge_cold(cold))


def _pairs(
    variants: Sequence[Variant], demand: Demand, threads: int
) -> Iterator[tuple[str, Variant, Variant]]:
    """Two of one file, or one of a file and a peer, which runs the same checkpoint."""
    at = [v for v in variants if v.batch_size == demand.batch_size and v.subject.threads == threads]
    for below in at:
        for above in at:
            if (above.key, below.key) != (demand.numerator, demand.denominator):
                continue
            ours = (SESSION, NO_HEATMAP, CLASSIFIER)
            if above.subject.kind in ours and above.subject.source != below.subject.source:
                continue
            yield below.subject.model, above, below


def judge_ratio(demand: Demand, model: str, threads: int, ratio: Ratio) -> Outcome:
    """A demand against the ratio that it is about."""
    met = demand.met_by(ratio.value)
    return Outcome(
        demand.text,
        model,
        threads,
        demand.batch_size,
        demand.asked,
        ratio.value,
        ratio.interval,
        "met" if met else "missed",
        all(demand.met_by(end) == met for end in ratio.interval),
    )


def _judge_cold(cold: ColdStart | None) -> Outcome:
    text = "int8: seconds of python -m export.classify MODEL PHOTO, torch not imported"
    asked = f"at most {COLD_START_S:g}"
    if cold is None or cold.target != "cpu-int8":
        return Outcome(text, "", 0, None, asked, None, None, "not measured", True)
    met = cold.median_s <= COLD_START_S and not cold.torch_imported
    ends = min(cold.seconds), max(cold.seconds)
    certain = cold.torch_imported or all((end <= COLD_START_S) == met for end in ends)
    return Outcome(text, cold.model, 0, None, asked, cold.median_s, ends, "met" if met else "missed", certain)

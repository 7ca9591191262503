"""How long a 12-megapixel photo takes from its bytes to the answer with its heatmap, stage by stage, on one core.

    python -m benchmarks.capture --out benchmarks/results/capture.json --plot capture.png
    python -m benchmarks.capture --model models/mine/model.int8.onnx models/mine/model.onnx --photo lesion.jpg

The capture page's own functions, with the int8 and the fp32 file; the same steps at full resolution in fp32; and
decoding and the network alone. Warm-up first, then rounds in which each has one turn, in an order drawn anew: the
times of one run hold for one machine, the ratios within its rounds for more. Opening the model is not part of it.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import tyro
from threadpoolctl import threadpool_limits

from benchmarks.capture_memory import Memory, measure_memory
from benchmarks.capture_path import FLOOR_INT8, FULL_FP32, PAGE_INT8, STAGES, WAYS, Laps, Way
from benchmarks.capture_photo import drawn_jpeg
from benchmarks.capture_report import CaptureReport, StageTime, WayTimes, plot_stages, report_text
from benchmarks.latency_demands import Demand, judge_ratio
from benchmarks.latency_rounds import (
    MOST_CALLS_A_TURN,
    TURN_S,
    Timed,
    median_of_rounds,
    ratio_of_rounds,
    run_rounds,
)
from benchmarks.random_run import write_random_run, write_targets
from capture_app.reading import read_capture_bytes, sharpened
from export.runtime import Classifier
from export.targets import find_target
from training.cli import run, whole_file, write_text
from training.data.photo import decode_photo, read_photo
from training.errors import UserError
from training.machine import machine
from training.models.card import ModelCard

ARCHITECTURE, INPUT_SIZE = "resnet50", 224
SHARPER = "sharper picture, behind the answer"
DEMANDS = (
    (
        Demand(
            "page, int8: times as fast as the same steps at full resolution in fp32",
            (FULL_FP32.name, "fp32"),
            (PAGE_INT8.name, "int8"),
            batch_size=1,
            at_least=4.5,
        ),
        FULL_FP32,
        PAGE_INT8,
    ),
    (
        Demand(
            "page, int8: time, decode + network alone = 1",
            (PAGE_INT8.name, "int8"),
            (FLOOR_INT8.name, "int8"),
            batch_size=1,
            at_most=1.3,
        ),
        PAGE_INT8,
        FLOOR_INT8,
    ),
)
"""Each demand, and the two ways whose times it divides."""


@dataclass(eq=False)
class TimedWay(Timed):
    """A way whose every call tells its stages' times."""

    call: Callable[[], Laps] = field(repr=False)
    stages_ms: dict[str, list[list[float]]] = field(default_factory=dict, repr=False)
    """By stage, as `rounds_ms`."""

    def take_turn(self) -> None:
        """One call that is not counted, then one or more that are."""
        self.call()
        turn: list[Laps] = []
        end = time.perf_counter() + TURN_S
        while not turn or (time.perf_counter() < end and len(turn) < MOST_CALLS_A_TURN):
            turn.append(self.call())
        self.rounds_ms.append([sum(laps.values()) for laps in turn])
        for stage in turn[0]:
            self.stages_ms.setdefault(stage, []).append([laps[stage] for laps in turn])


def measure(
    int8: Path,
    fp32: Path,
    data: bytes,
    *,
    seconds: float,
    memory: bool = True,
    drawn: bool = True,
    random_weights: bool = False,
) -> CaptureReport:
    """Time every way in interleaved rounds on one core.

    Args:
        int8: an exported file in 8 bits.
        fp32: the same network in float32.
        data: a photo's file.
        seconds: of measuring, all ways together; at least five rounds are run.
        memory: also answer in processes of their own, for what that adds.
        drawn: is said in the report, as is `random_weights`.

    Raises:
        ModelFileError: a file cannot be opened.
        PhotoError: not a photo that can be used.
    """
    load_before = os.getloadavg()[0]
    with _one_core():
        files = {"int8": int8, "fp32": fp32}
        opened = {key: Classifier(path, provider="cpu", threads=1) for key, path in files.items()}
        timed = {way: TimedWay(way.name, _call(way, data, opened[way.precision])) for way in WAYS}
        reading = read_capture_bytes(data, "the photo", opened["int8"].card)
        sharper = Timed(SHARPER, lambda: sharpened(reading))
        run_rounds([*timed.values(), sharper], seconds)
        added = {
            way: measure_memory(way, files[way.precision], data) if memory else None
            for way in (PAGE_INT8, FULL_FP32)
        }
    photo = decode_photo(data)
    facts = machine("numpy", "opencv-python-headless", "pillow", "onnxruntime")
    card = opened["int8"].card
    return CaptureReport(
        photo_size_hw=photo.original_size_hw,
        photo_bytes=len(data),
        photo_drawn=drawn,
        decoded_hw=reading.for_model.shape[:2],
        network=f"{card.architecture} at {card.preprocessing.input_size}",
        random_weights=random_weights,
        model_ids={key: classifier.model_id for key, classifier in opened.items()},
        machine=facts
        | {"load_average_1min": {"before": round(load_before, 2), "after": facts["load_average_1min"]}},
        n_rounds=len(sharper.rounds_ms),
        ways=tuple(_times(way, one, added.get(way)) for way, one in timed.items()),
        behind=_stage_time(SHARPER, sharper.rounds_ms),
        demands=tuple(
            judge_ratio(demand, int8.name, 1, ratio_of_rounds(timed[above], timed[below]))
            for demand, above, below in DEMANDS
        ),
    )


def _call(way: Way, data: bytes, classifier: Classifier) -> Callable[[], Laps]:
    return lambda: way.run(data, classifier)


def _times(way: Way, timed: TimedWay, memory: Memory | None) -> WayTimes:
    return WayTimes(
        name=way.name,
        precision=way.precision,
        whole=_stage_time("whole", timed.rounds_ms),
        stages=tuple(
            _stage_time(stage, timed.stages_ms[stage]) for stage in STAGES if stage in timed.stages_ms
        ),
        memory=memory,
    )


def _stage_time(stage: str, rounds_ms: Sequence[Sequence[float]]) -> StageTime:
    median, interval = median_of_rounds(rounds_ms)
    return StageTime(stage, median, interval, min(min(turn) for turn in rounds_ms))


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Keep the process to one core, and OpenCV and NumPy's products to one thread."""
    cores, threads = _cores(), cv2.getNumThreads()
    cv2.setNumThreads(1)
    if cores is not None:
        os.sched_setaffinity(0, {max(cores)})
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(threads)
        if cores is not None:
            os.sched_setaffinity(0, cores)


def _cores() -> set[int] | None:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


@dataclass(frozen=True)
class Arguments:
    """Time a photo's way through the capture page, from bytes to the answer with its heatmap, on one core."""

    model: tuple[Path, ...] = ()
    """Two files of one network that python -m export wrote, cpu-int8 and cpu-fp32; a ResNet-50 at 224 pixels with
    random weights if they are not given."""
    photo: Path | None = None
    """A photo; a drawn JPEG of 4000x3000 pixels if it is not given."""
    seconds: float = 150.0
    """Of measuring, all ways together; at least five rounds are run."""
    memory: bool = True
    """Measure in processes of their own how much memory an answer adds."""
    out: Path | None = None
    """A JSON file for the figures, such as benchmarks/results/capture.json."""
    plot: Path | None = None
    """A PNG file for a chart of the stages."""


@contextlib.contextmanager
def _files(models: Sequence[Path]) -> Iterator[dict[str, Path]]:
    """A file a precision."""
    if models:
        yield _by_precision(models)
        return
    with tempfile.TemporaryDirectory() as name:
        checkpoint = write_random_run(Path(name) / "random", ARCHITECTURE, INPUT_SIZE)
        yield _by_precision(write_targets(checkpoint, Path(name)))


def _by_precision(models: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    cards: dict[str, ModelCard] = {}
    for path in models:
        card = Classifier(path, provider="cpu", threads=1).card
        precision = find_target(card.export.get("target", "cpu-fp32")).precision
        found[precision], cards[precision] = path, card
    missing = [precision for precision in ("int8", "fp32") if precision not in found]
    if missing:
        raise UserError(
            f"no {' and no '.join(missing)} file is among {', '.join(map(str, models))}; name two of one network, "
            "as python -m export --target cpu-fp32 cpu-int8 writes them."
        )
    networks = {(cards[key].architecture, cards[key].preprocessing) for key in ("int8", "fp32")}
    if len(networks) > 1:
        raise UserError(
            f"{found['int8']} and {found['fp32']} are of different networks or inputs, so their times say nothing "
            "of each other; name two files of one export."
        )
    return found


def main(argv: Sequence[str] | None = None) -> None:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.capture", args=argv)
    if not arguments.seconds > 0:
        raise UserError(f"--seconds is {arguments.seconds:g}; a positive number is needed.")
    if arguments.photo is not None:
        read_photo(arguments.photo)  # Says what is wrong with it before a minute is spent on a model.
    data = drawn_jpeg() if arguments.photo is None else arguments.photo.read_bytes()
    with _files(arguments.model) as files:
        report = measure(
            files["int8"],
            files["fp32"],
            data,
            seconds=arguments.seconds,
            memory=arguments.memory,
            drawn=arguments.photo is None,
            random_weights=not arguments.model,
        )
    print(report_text(report))
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(asdict(report), indent=2) + "\n")
    if arguments.plot is not None:
        with whole_file(arguments.plot) as temporary:
            temporary.write_bytes(plot_stages(report))


if __name__ == "__main__":
    sys.exit(run(lambda: main()))

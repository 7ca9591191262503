"""How many synthetic photos one core draws a second, under everyday conditions.

    python -m benchmarks.phantom --out benchmarks/results/phantom.json

The process keeps to one core and OpenCV to one thread. Photos are drawn in batches that mix the labels as the data
set does, everyday conditions included, files left out. Wall-clock time is what a user waits; the process's own CPU
time tells what a machine that others share would have needed. The load average says how busy it was.
"""

import datetime
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from tqdm import trange

from training.cli import run, write_text
from training.data.datasets.phantom import LABELS, draw_photo
from training.errors import UserError

GOAL_PHOTOS_PER_S = 150


@dataclass(frozen=True)
class Options:
    """Time the phantom's drawing on one core."""

    out: Path | None = None
    """JSON file to write what was measured to; printed only, if not given."""
    size: int = 256
    """Side of each photo in pixels."""
    batches: int = 20
    """How many batches; medians are over these."""
    batch_photos: int = 50
    """Photos a batch."""
    per_label: int = 20
    """Photos a label for the times by label; 0 leaves them out."""


@dataclass(frozen=True)
class DrawingSpeed:
    """What was measured; times in milliseconds a photo."""

    size: int
    photos: int
    cpu_ms_median: float
    cpu_ms_fastest_batch: float
    wall_ms_median: float
    photos_per_cpu_s: float
    """At the median CPU time."""
    photos_per_wall_s: float
    goal_photos_per_s: int
    banks_s: float
    """Once a process: noise, relief and hair that all photos share."""
    cpu_ms_by_label: dict[str, float]
    load_average_before: float
    load_average_after: float
    cpu: str
    cores: int
    opencv: str
    numpy: str
    date: str


def measure(options: Options) -> DrawingSpeed:
    """Draw and time."""
    if options.batches < 1 or options.batch_photos < 1:
        raise UserError(f"batches {options.batches} of {options.batch_photos}: both are at least 1.")
    cv2.setNumThreads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    load_before = os.getloadavg()[0]
    start = time.process_time()
    draw_photo(0, 0, size=options.size)
    banks_s = time.process_time() - start
    cpu, wall = [], []
    for batch in trange(options.batches, desc="batches", unit="batch"):
        first = batch * options.batch_photos
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        for index in range(first, first + options.batch_photos):
            draw_photo(0, index, size=options.size)
        cpu.append((time.process_time() - cpu_start) * 1e3 / options.batch_photos)
        wall.append((time.perf_counter() - wall_start) * 1e3 / options.batch_photos)
    by_label = {}
    for label in LABELS if options.per_label else ():
        start = time.process_time()
        for index in range(options.per_label):
            draw_photo(1, index, lesion=label, size=options.size)
        by_label[label] = round((time.process_time() - start) * 1e3 / options.per_label, 2)
    cpu_ms, wall_ms = float(np.median(cpu)), float(np.median(wall))
    return DrawingSpeed(
        size=options.size,
        photos=options.batches * options.batch_photos,
        cpu_ms_median=round(cpu_ms, 2),
        cpu_ms_fastest_batch=round(min(cpu), 2),
        wall_ms_median=round(wall_ms, 2),
        photos_per_cpu_s=round(1e3 / cpu_ms, 1),
        photos_per_wall_s=round(1e3 / wall_ms, 1),
        goal_photos_per_s=GOAL_PHOTOS_PER_S,
        banks_s=round(banks_s, 2),
        cpu_ms_by_label=by_label,
        load_average_before=round(load_before, 2),
        load_average_after=round(os.getloadavg()[0], 2),
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        opencv=cv2.__version__,
        numpy=np.__version__,
        date=datetime.date.today().isoformat(),
    )


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def main() -> None:
    """The command line."""
    options = tyro.cli(Options)
    speed = measure(options)
    print(
        f"{speed.photos_per_cpu_s} synthetic photos a second of one core's time at {speed.size}x{speed.size} "
        f"({speed.cpu_ms_median} ms each; by the clock {speed.wall_ms_median} ms), load average "
        f"{speed.load_average_before} on {speed.cores} cores; the goal is {speed.goal_photos_per_s}"
    )
    if options.out is not None:
        write_text(options.out, json.dumps(asdict(speed), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run(main))

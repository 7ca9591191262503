"""How long a variant takes to open, and how much memory it adds: a process of its own opens it and predicts once.

    facts = measure_alone(subject, batch_size=1, photo_size_hw=(300, 300))

The kernel's high-water mark of the process (VmHWM in /proc/self/status) is read, so what is freed again counts
too. Libraries are imported before the first reading: what is added is the model's own.
"""

import dataclasses
import importlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.latency_rounds import milliseconds
from benchmarks.latency_variants import MODULES, Subject, drawn_photos, open_subject

ROOT = Path(__file__).parents[1]
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Alone:
    """What a process of its own saw."""

    open_ms: float
    """From the path to something that can predict."""
    first_ms: float
    """The first prediction."""
    added_mb: float | None
    """Greatest resident set less what was resident before the file was opened, 10^6 bytes; None without /proc."""
    process_mb: float | None
    """Greatest resident set of the whole process."""


def measure_alone(subject: Subject, batch_size: int, photo_size_hw: tuple[int, int]) -> Alone:
    """Open the subject in a new process and predict one batch.

    Raises:
        RuntimeError: the process failed; its last line says why.
    """
    asked = {"subject": dataclasses.asdict(subject), "batch_size": batch_size, "photo_size_hw": photo_size_hw}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.latency_memory"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RuntimeError(f"{subject.name} at batch {batch_size} failed in a process of its own: {last}")
    return Alone(**json.loads(done.stdout.splitlines()[-1]))


def open_and_predict(subject: Subject, batch_size: int, photo_size_hw: tuple[int, int]) -> Alone:
    """What the new process does."""
    importlib.import_module(MODULES[subject.kind])
    images = drawn_photos(batch_size, photo_size_hw)
    before = status_mb("VmRSS")
    calls = []
    open_ms = milliseconds(lambda: calls.append(open_subject(subject)(images)))
    first_ms = milliseconds(calls[0])
    peak = status_mb("VmHWM")
    added = None if peak is None or before is None else peak - before
    return Alone(open_ms, first_ms, added, peak)


def status_mb(key: str) -> float | None:
    """`VmRSS`, what is resident, or `VmHWM`, the most that ever was, 10^6 bytes; None without /proc."""
    if not STATUS.exists():
        return None
    match = re.search(
        rf"^{key}:\s+(\d+) kB", STATUS.read_text(encoding="ascii", errors="replace"), re.MULTILINE
    )
    return None if match is None else int(match[1]) * 1024 / 1e6


def main() -> None:
    asked = json.load(sys.stdin)
    facts = open_and_predict(Subject(**asked["subject"]), asked["batch_size"], tuple(asked["photo_size_hw"]))
    print(json.dumps(dataclasses.asdict(facts)))


if __name__ == "__main__":
    main()

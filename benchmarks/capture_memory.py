"""How much memory one way from bytes to an answer adds: a process of its own opens the model and answers once.

    added = measure_memory(PAGE_INT8, Path("model.int8.onnx"), data)

The kernel's high-water mark is set back after the model is open, so that what is added is the answer's own:
pixels, and what onnxruntime keeps for its activations.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from benchmarks.capture_path import Way
from benchmarks.latency_memory import ROOT, status_mb
from export.runtime import Classifier

CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What clear_refs takes to set VmHWM back to what is resident (proc(5))."""


@dataclass(frozen=True)
class Memory:
    """Of a process that answers once, 10^6 bytes."""

    added_mb: float
    """The most that was resident while it answered, less what was before."""
    process_mb: float
    """The most that was resident while it answered, libraries and model included."""


def measure_memory(way: Way, model: Path, data: bytes) -> Memory | None:
    """Answer once in a new process; None where the kernel does not tell.

    Raises:
        RuntimeError: the process failed; its last line says why.
    """
    asked = json.dumps({"way": asdict(way), "model": str(model.resolve())}).encode() + b"\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.capture_memory"],
        input=asked + data,
        capture_output=True,
        cwd=ROOT,
    )
    if done.returncode != 0:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{way.name} failed in a process of its own: {last}")
    found = json.loads(done.stdout.splitlines()[-1])
    return None if found is None else Memory(**found)


def answer_once(way: Way, model: Path, data: bytes) -> Memory | None:
    """What the new process does."""
    cv2.setNumThreads(1)
    classifier = Classifier(model, provider="cpu", threads=1)
    try:
        CLEAR_REFS.write_text(RESET_PEAK, encoding="ascii")
    except OSError:
        return None
    before = status_mb("VmRSS")
    way.run(data, classifier)
    peak = status_mb("VmHWM")
    return None if before is None or peak is None else Memory(peak - before, peak)


def main() -> None:
    asked = json.loads(sys.stdin.buffer.readline())
    found = answer_once(Way(**asked["way"]), Path(asked["model"]), sys.stdin.buffer.read())
    print(json.dumps(None if found is None else asdict(found)))


if __name__ == "__main__":
    main()

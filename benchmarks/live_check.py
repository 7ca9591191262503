"""How long the phone's live check of one frame takes, stage by stage, with SIMD and without.

    python -m benchmarks.live_check

Headless Chromium, in a worker as on the page, over drawn frames of 320x240: everything that `camera/worker.js`
times. The kernel's two binaries take turns, round by round, and nothing else runs between: a machine that slows
down does so for both. The worker is `live_check.js`.
"""

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro

from benchmarks.guidance_defects import defects, draw_phantom
from benchmarks.latency_rounds import Timed, ratio_of_rounds
from capture_app.camera import LIMITS
from capture_app.camera.build_kernel import PROCESSORS
from capture_app.camera.files import camera_routes
from training.cli import run, write_text
from training.errors import UserError
from training.machine import machine

WIDTH, HEIGHT = 320, 240
SEED, N_FRAMES = 29, 8
ASKED_MS = 8.0
"""For ten checks a second, with room for all else that a phone does."""
BINARIES = tuple(PROCESSORS)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HEADERS = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
"""Give the page a clock of 5 microseconds, not 100."""
START_S = 30

Rounds = list[list[float]]
"""Milliseconds, a list a round."""

MEASURE = """(setup) => new Promise((resolve, reject) => {
  const worker = new Worker("/worker.js", { type: "module" });
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage(setup);
})"""


def draw_frames() -> Iterator[np.ndarray]:
    """What the camera sees, (240, 320, 4) uint8, RGBA: clean and with every kind of defect in turn."""
    kinds = [None, *defects()]
    for index in range(N_FRAMES):
        drawn = draw_phantom(SEED, index, kinds[index % len(kinds)]).rgb
        seen = cv2.resize(drawn, (WIDTH, WIDTH), interpolation=cv2.INTER_AREA)
        margin = (WIDTH - HEIGHT) // 2
        yield cv2.cvtColor(seen[margin : margin + HEIGHT], cv2.COLOR_RGB2RGBA)


@contextmanager
def serve(frames: bytes) -> Iterator[str]:
    """The camera's modules, the worker and the frames, on this machine alone; gives their address."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    def route(path: str, content: bytes, media_type: str) -> Route:
        async def answer(_request: Request) -> Response:
            return Response(content, media_type=media_type, headers=HEADERS)

        return Route(path, answer)

    worker = Path(__file__).with_suffix(".js").read_bytes()
    own = [
        route("/", b"<!doctype html><title>Live check</title>", "text/html"),
        route("/worker.js", worker, "text/javascript"),
        route("/frames", frames, "application/octet-stream"),
    ]
    app = Starlette(routes=[*own, *camera_routes()])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START_S
        while not server.started:
            if time.monotonic() > deadline:
                raise UserError(f"the page was not served within {START_S} s; try again.")
            time.sleep(0.02)
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(timeout=START_S)


def measure(seconds: float) -> tuple[dict[str, dict[str, Rounds]], str]:
    """Time both binaries; gives milliseconds by binary, stage and round, and the browser's version.

    Raises:
        UserError: no Chromium, or no Playwright to drive it.
    """
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        executable = None
    if executable is None:
        raise UserError("Chromium and Playwright are needed: `make browser`, and pip install '.[dev]'.")
    frames = b"".join(frame.tobytes() for frame in draw_frames())
    limits = json.loads(LIMITS.read_text(encoding="utf-8"))
    setup = {
        "limits": limits,
        "binaries": BINARIES,
        "width": WIDTH,
        "height": HEIGHT,
        "seconds": seconds,
    }
    flags = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with serve(frames) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, headless=True, args=flags)
        page = chromium.new_page()
        page.goto(address)
        found = page.evaluate(MEASURE, setup)
        version = chromium.version
        chromium.close()
    return found, version


def summarise(times: dict[str, dict[str, Rounds]]) -> dict[str, Any]:
    """Median, 5% and 95% of each stage, and how many times as long the whole takes without SIMD."""
    with_simd, without = (Timed(name, lambda: None, times[name]["all"]) for name in BINARIES)
    ratio = ratio_of_rounds(without, with_simd)
    stages = {
        name: {
            stage: [round(float(ms), 3) for ms in np.quantile(np.concatenate(rounds), [0.5, 0.05, 0.95])]
            for stage, rounds in times[name].items()
        }
        for name in BINARIES
    }
    return {
        "checks": {name: len(np.concatenate(times[name]["all"])) for name in BINARIES},
        "median_5_95_ms": stages,
        "without_simd": {
            "times_as_long": round(ratio.value, 3),
            "interval": [round(end, 3) for end in ratio.interval],
            "rounds": ratio.n_rounds,
        },
    }


def table(record: dict[str, Any]) -> str:
    """The summary as Markdown."""
    stages = record["median_5_95_ms"]
    lines = [
        f"| ms, median (5% to 95%) | {' | '.join(BINARIES)} |",
        "|---|---|---|",
    ]
    for stage in stages[BINARIES[0]]:
        cells = ("{:.2f} ({:.2f} to {:.2f})".format(*stages[name][stage]) for name in BINARIES)
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    ratio = record["without_simd"]
    low, high = ratio["interval"]
    whole = stages[BINARIES[0]]["all"][0]
    lines += [
        "",
        f"without SIMD {ratio['times_as_long']:.2f} times as long ({low:.2f} to {high:.2f}, 95%, "
        f"{ratio['rounds']} rounds)",
        f"at most {ASKED_MS:g} ms are asked: {'met' if whole <= ASKED_MS else 'missed'} with {whole:.2f}",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Arguments:
    """Time the live check of drawn frames in headless Chromium, with SIMD and without."""

    seconds: float = 20.0
    """How long to measure."""
    out: Path = Path("benchmarks/results/live_check.json")
    """Where the result is written."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.live_check", args=argv)
    if not arguments.seconds > 0:
        raise UserError(f"--seconds is {arguments.seconds:g}; a positive number is needed.")
    facts = machine("playwright")  # Before the browser adds to the load.
    times, version = measure(arguments.seconds)
    record = {
        "command": f"python -m benchmarks.live_check --seconds {arguments.seconds:g}",
        "frame": [WIDTH, HEIGHT],
        "asked_ms": ASKED_MS,
        **summarise(times),
        "machine": {**facts, "chromium": version},
    }
    write_text(arguments.out, json.dumps(record, indent=1) + "\n")
    print(table(record))
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

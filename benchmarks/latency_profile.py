"""Where the time of a pass goes: onnxruntime's own profile, summed by operator.

    print(profile_table(profile(Path("model.int8.onnx"), "model.int8.onnx", threads=2, photo_size_hw=(300, 300))))

Operators are those of the graph that onnxruntime made of the file: what it fused is one, and what it put in to
change the layout of memory (ReorderInput, ReorderOutput, Transpose) shows under its own name.
"""

import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from benchmarks.latency_variants import drawn_photos, session_options
from export.contract import IMAGE, LESION_CAM

WARM_UP_CALLS = 3
CALLS = 20
CONVOLUTIONS = ("Conv", "FusedConv", "QLinearConv", "NhwcFusedConv", "NhwcConv", "ConvInteger")


@dataclass(frozen=True)
class Profile:
    """Of one photo's pass, medians over the calls."""

    model: str
    threads: int
    pass_ms: float
    """All operators together."""
    by_part: dict[str, float]
    """Share of the time by place: before the stem, the stem (first convolution), behind it, and the heatmap where
    it is a convolution, the last one."""
    by_operator: dict[str, float]
    """Share of the time, the greatest first."""
    counts: dict[str, int]
    """How many of each operator a pass runs."""


def profile(
    path: Path, name: str, threads: int, photo_size_hw: tuple[int, int], calls: int = CALLS
) -> Profile:
    """Run one photo `calls` times under the profiler, on the CPU."""
    image = drawn_photos(1, photo_size_hw)[0][None]
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for _ in range(WARM_UP_CALLS + calls):
            session.run(None, {IMAGE: image})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    passes = split_passes(events)[WARM_UP_CALLS:]
    operators = [Counter[str]() for _ in passes]
    parts = [Counter[str]() for _ in passes]
    graph = onnx.load(path).graph
    has_map = any(node.op_type == "Conv" and LESION_CAM in node.output for node in graph.node)
    for events_of_pass, by_operator, by_part in zip(passes, operators, parts, strict=True):
        part = "before the stem"
        convolutions = [e for e in events_of_pass if e["args"]["op_name"] in CONVOLUTIONS]
        for event in events_of_pass:
            operator, microseconds = event["args"]["op_name"], event["dur"]
            is_stem = part == "before the stem" and operator in CONVOLUTIONS
            part = "the stem" if is_stem else "behind the stem" if part == "the stem" else part
            by_operator[operator] += microseconds
            by_part["the heatmap" if has_map and event is convolutions[-1] else part] += microseconds
    pass_us = float(np.median([sum(by_part.values()) for by_part in parts]))
    return Profile(
        name,
        threads,
        pass_us / 1000,
        _shares(parts),
        dict(sorted(_shares(operators).items(), key=lambda item: -item[1])),
        dict(Counter(event["args"]["op_name"] for event in passes[-1])),
    )


def split_passes(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The operators' events of each `run`, in the order in which they ran.

    Args:
        events: of the profiler's JSON: an event a `model_run`, and one a node with the suffix `_kernel_time`.
    """
    runs = sorted(
        (event["ts"], event["ts"] + event["dur"]) for event in events if event["name"] == "model_run"
    )
    nodes = sorted(
        (event for event in events if event["cat"] == "Node" and event["name"].endswith("_kernel_time")),
        key=lambda event: event["ts"],
    )
    return [[event for event in nodes if start <= event["ts"] <= end] for start, end in runs]


def _shares(passes: list[Counter[str]]) -> dict[str, float]:
    """Of the sum of all medians, so that shares add up to 1."""
    names = dict.fromkeys(name for one in passes for name in one)
    medians = {name: float(np.median([one[name] for one in passes])) for name in names}
    return {name: median / sum(medians.values()) for name, median in medians.items()}


def profile_table(found: Profile, most: int = 12) -> str:
    """A Markdown table of the operators that take longest, under a line on where they stand."""
    places = ", ".join(f"{part} {share:.1%}" for part, share in found.by_part.items())
    lines = [
        f"{found.model}, one photo, threads {found.threads}: {found.pass_ms:.2f} ms in operators; {places}",
        "",
        "| operator | a pass | share |",
        "|----------|--------|-------|",
    ]
    shown = list(found.by_operator.items())[:most]
    lines += [f"| {name} | {found.counts.get(name, 0)} | {share:.1%} |" for name, share in shown]
    rest = sum(list(found.by_operator.values())[most:])
    return "\n".join([*lines, f"| all others | | {rest:.1%} |"] if rest else lines)

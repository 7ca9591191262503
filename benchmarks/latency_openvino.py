"""OpenVINO on the same ONNX files, and its own 8-bit quantiser on the fp32 one.

    bind = open_openvino(Subject("OpenVINO", "model.onnx", precision="fp32", threads=2))

Preprocessing, heatmaps and calibration are in the graph, so OpenVINO does the same work on the same photos; it is
given their fixed shape, which it runs faster than a free one. An optional extra: pip install 'dermcapture[bench]'.
"""

import contextlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import openvino

from benchmarks.latency_variants import OPENVINO, OPENVINO_NNCF, Bind, Call, Subject
from export.contract import IMAGE


def open_openvino(subject: Subject) -> Bind:
    """The graph compiled for one batch of photos of one size; fp32 stays fp32, also where bf16 would be faster."""
    core = openvino.Core()
    options = {
        "INFERENCE_NUM_THREADS": subject.threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }

    def bind(images: Sequence[np.ndarray]) -> Call:
        array = np.stack(images)
        model = core.read_model(subject.path)
        model.reshape({IMAGE: list(array.shape)})
        request = core.compile_model(model, "CPU", options).create_infer_request()
        return lambda: request.infer({IMAGE: array})

    return bind


def why_no_nncf() -> str | None:
    """One sentence if OpenVINO's quantiser is not installed."""
    if importlib.util.find_spec("nncf") is not None:
        return None
    return f"{OPENVINO_NNCF} int8: not measured, nncf is not installed (pip install nncf)."


def write_nncf(source: Path, path: Path, images: Sequence[np.ndarray]) -> None:
    """Quantise an fp32 file by nncf's defaults, with a range for every tensor from `images`.

    Args:
        source: the fp32 ONNX file.
        path: for the quantised graph, an `.xml`; its weights lie beside it.
        images: each (H, W, 3) uint8, RGB.
    """
    os.environ.setdefault("NNCF_CI", "1")  # nncf then reports nothing to its makers.
    import nncf

    nncf.set_log_level(logging.ERROR)
    dataset = nncf.Dataset(images, lambda image: {IMAGE: image[None]})
    model = openvino.Core().read_model(source)
    with contextlib.redirect_stdout(sys.stderr):  # Standard output belongs to the command's own result.
        quantised = nncf.quantize(model, dataset, subset_size=len(images))
    openvino.save_model(quantised, path, compress_to_fp16=False)


OPENERS: dict[str, Callable[[Subject], Bind]] = {OPENVINO: open_openvino, OPENVINO_NNCF: open_openvino}

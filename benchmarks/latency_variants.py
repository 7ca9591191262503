"""What is timed: one way of answering, on one file, with so many threads; and onnxruntime's ways.

    bind = open_subject(Subject("Classifier", "model.onnx", precision="fp32", threads=2))
    call = bind(images)   # call() answers all of them

A subject is plain data, so that a process of its own can open it and tell how much memory it takes. Which module
opens it stands in `MODULES`: torch and OpenVINO are imported only where they are asked for.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import onnx
import onnxruntime

from export.contract import IMAGE, LESION_CAM
from export.runtime import CPU, CUDA, LOG_ERROR, Classifier
from export.targets import Precision

Call = Callable[[], object]
Bind = Callable[[Sequence[np.ndarray]], Call]
"""(H, W, 3) uint8 RGB photos of one size to a call that answers all of them."""

CLASSIFIER = "Classifier"
"""What a program of this project calls: `export.runtime.Classifier.predict`, heatmaps included."""
SESSION = "onnxruntime"
"""The same file in a bare session: the same inputs, already stacked, and the same outputs, as arrays."""
NO_HEATMAP = "onnxruntime, no heatmap"
"""As above, on a copy of the graph without the class activation maps."""
EAGER = "torch eager"
COMPILED = "torch.compile"
HALF_ON_CUDA = "torch fp16 channels_last"
GRAD_CAM = "pytorch-grad-cam"
"""One label's heatmap by gradients, and the prediction that comes with it."""
OPENVINO = "OpenVINO"
OPENVINO_NNCF = "OpenVINO, nncf"
"""int8 by OpenVINO's own quantiser; plain `OPENVINO` at int8 runs our quantised file."""

MODULES = {
    **dict.fromkeys((CLASSIFIER, SESSION, NO_HEATMAP), "benchmarks.latency_variants"),
    **dict.fromkeys((EAGER, COMPILED, HALF_ON_CUDA), "benchmarks.latency_torch"),
    GRAD_CAM: "benchmarks.latency_grad_cam",
    **dict.fromkeys((OPENVINO, OPENVINO_NNCF), "benchmarks.latency_openvino"),
}


@dataclass(frozen=True)
class Subject:
    """One way of answering."""

    kind: str
    """A key of `MODULES`."""
    path: str
    """The ONNX file; of torch's ways, the run's folder."""
    precision: Precision
    threads: int
    provider: Literal["cpu", "cuda"] = "cpu"
    source: str = ""
    """The file or folder that was given; `path` may be a copy."""

    @property
    def model(self) -> str:
        """The name of what was given, without its folder."""
        return Path(self.source or self.path).name

    @property
    def name(self) -> str:
        """As tables have it."""
        return f"{self.kind} {self.precision}"


def open_subject(subject: Subject) -> Bind:
    """Open the file, with whatever library the kind needs."""
    opener: Callable[[Subject], Bind] = importlib.import_module(MODULES[subject.kind]).OPENERS[subject.kind]
    return opener(subject)


def drawn_photos(count: int, size_hw: tuple[int, int]) -> list[np.ndarray]:
    """Smooth coloured blotches, different in each: `count` times (H, W, 3) uint8, RGB."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (count, 12, 12, 3), np.uint8)
    return [cv2.resize(photo, size_hw[::-1], interpolation=cv2.INTER_CUBIC) for photo in coarse]


def open_classifier(subject: Subject) -> Bind:
    """`predict`, from photos to ranked labels and heatmaps."""
    classifier = Classifier(subject.path, provider=subject.provider, threads=subject.threads)
    return lambda images: lambda: classifier.predict(images)


def open_session(subject: Subject) -> Bind:
    """The graph alone, all of its outputs."""
    options = session_options(subject.threads)
    providers = [CUDA, CPU] if subject.provider == "cuda" else [CPU]
    session = onnxruntime.InferenceSession(subject.path, options, providers=providers)

    def bind(images: Sequence[np.ndarray]) -> Call:
        array = np.stack(images)
        return lambda: session.run(None, {IMAGE: array})

    return bind


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """As `Classifier` sets them."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = LOG_ERROR
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return options


def without_heatmap(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that does not give the class activation maps, so that onnxruntime does not compute them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = [output for output in copy.graph.output if output.name != LESION_CAM]
    del copy.graph.output[:]
    copy.graph.output.extend(kept)
    return copy


OPENERS: dict[str, Callable[[Subject], Bind]] = {
    CLASSIFIER: open_classifier,
    SESSION: open_session,
    NO_HEATMAP: open_session,
}

"""How lesion-like is each cell of a frame? A small convolutional network, in four mirrored looks, by onnxruntime.

    probability = lesion_probability(frame)

Trained by `benchmarks.guidance_locator`.
Depthwise separable blocks at five scales and back (Howard et al. 2017; Ronneberger et al. 2015), over logarithmic
opponent colours from which the frame's median is taken, so that exposure, tone and white balance fall out. Small
enough for a phone's browser: `camera/locator.js` runs the same weights, `locator.safetensors`. Torch-free.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from capture_app.frame import Frame

LOG_OFFSET = 8.0
"""Levels added before the logarithm, so that noise in the dark stays small."""
CHANNEL_GAIN = (2.0, 6.0, 6.0)
"""Of lightness, red against green, and yellow against blue."""

LOOKS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))
"""A frame is looked at as it is, mirrored sideways, upside down, and both: each by the axes along which it is. The
mean of four looks errs less often than one; docs/guidance.md says by how much."""

OPSET, IR_VERSION = 18, 10
SHIPPED = Path(__file__).with_name("locator.safetensors")

Weights = dict[str, np.ndarray]


def locator_weights(path: Path = SHIPPED) -> Weights:
    """The arrays of a locator's file by name, float32."""
    stored = load_file(path)
    return {name: array.astype(np.float32) for name, array in stored.items()}


@cache
def locator_network() -> onnxruntime.InferenceSession:
    """The network with the shipped weights, opened once a process."""
    return open_network(locator_weights())


def opponent_planes(colours: np.ndarray, medians_of: np.ndarray | None = None) -> np.ndarray:
    """Lightness, red against green, and yellow against blue, each less its median.

    Args:
        colours: (rows, columns, 3) float32, RGB, 0 to 255.
        medians_of: the colours whose medians are taken away; their own if None.

    Returns:
        (3, rows, columns) float32.
    """
    planes = _planes(colours)
    reference = (planes if medians_of is None else _planes(medians_of)).reshape(3, -1)
    middle = np.sort(reference, axis=1)[:, reference.shape[1] // 2]
    return ((planes - middle[:, None, None]) * np.array(CHANNEL_GAIN)[:, None, None]).astype(np.float32)


def _planes(colours: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(np.log(colours.astype(np.float64) + LOG_OFFSET), 2, 0)
    return np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue])


def lesion_probability(frame: Frame, network: onnxruntime.InferenceSession | None = None) -> np.ndarray:
    """Run the network on all looks, and take their mean.

    Args:
        network: of `open_network`; that of `locator.safetensors` if None.

    Returns:
        (rows, columns) float32 in [0, 1], by cell of the frame.
    """
    own = locator_network() if network is None else network
    planes = opponent_planes(frame.fine, frame.cells)
    found = own.run(None, {"planes": np.stack([np.flip(planes, axes) for axes in LOOKS])})[0][:, 0]
    mean: np.ndarray = np.mean([np.flip(look, axes) for look, axes in zip(found, LOOKS, strict=True)], axis=0)
    return mean


def open_network(weights: Weights) -> onnxruntime.InferenceSession:
    """The network with weights by the names of `locator.safetensors`, float32; on one thread of the CPU.

    It takes "planes", (N, 3, rows, columns) float32, and gives (N, 1, rows / 2, columns / 2), rounded up, in
    [0, 1].
    """
    graph = _Graph(weights)
    stem = graph.convolved("planes", "stem", stride=2)
    first = graph.encoded("e1", stem)
    second = graph.encoded("e2", first)
    third = graph.encoded("e3", second)
    fourth = graph.encoded("e4", third)
    gate = graph.convolved(graph.add("GlobalAveragePool", fourth), "gate", rectified=False)
    up = graph.add("Mul", fourth, graph.add("Sigmoid", gate))
    for level, skip in (("3", third), ("2", second), ("1", first), ("0", stem)):
        enlarged = graph.enlarged(graph.convolved(up, f"u{level}", rectified=False), skip)
        up = graph.block(f"f{level}", graph.add("Add", skip, enlarged))
    graph.add("Sigmoid", graph.convolved(up, "out", rectified=False), to="probability")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class _Graph:
    """An ONNX graph that grows by a node at a time; each method gives the name of what it computes."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[NodeProto] = []
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, operator: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        name = to or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def convolved(self, planes: str, name: str, *, stride: int = 1, rectified: bool = True) -> str:
        """3x3 or 1x1 over all channels, as the weights are; then ReLU, if asked."""
        kernel, bias = self.weights[name], self.weights[f"{name}_bias"]
        taps = kernel if kernel.ndim == 4 else kernel[:, :, None, None]
        found = self._convolution(planes, name, taps, stride, bias)
        return self.add("Relu", found) if rectified else found

    def block(self, name: str, planes: str, stride: int = 1) -> str:
        """3x3 within each channel, then 1x1 across them, then ReLU."""
        kernel = self.weights[f"{name}_depth"]
        return self.convolved(self._convolution(planes, f"{name}_depth", kernel[:, None], stride), name)

    def encoded(self, name: str, planes: str) -> str:
        """A block that halves, and one that does not."""
        return self.block(f"{name}b", self.block(f"{name}a", planes, stride=2))

    def enlarged(self, planes: str, like: str) -> str:
        """To the rows and columns of another, by the nearest."""
        kept, wanted = self.add("Shape", planes, end=2), self.add("Shape", like, start=2)
        size = self.add("Concat", kept, wanted, axis=0)
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.add("Resize", planes, "", "", size, **how)

    def _convolution(
        self, planes: str, name: str, kernel: np.ndarray, stride: int, bias: np.ndarray | None = None
    ) -> str:
        """Over all channels, or, without a bias, within each."""
        own = {name: kernel} if bias is None else {name: kernel, f"{name}_bias": bias}
        self.arrays |= own
        groups = 1 if bias is not None else len(kernel)
        margin = [kernel.shape[-1] // 2] * 4
        return self.add("Conv", planes, *own, strides=[stride] * 2, pads=margin, group=groups)

    def model(self) -> onnx.ModelProto:
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, channels, None, None])
            for name, channels in (("planes", 3), ("probability", 1))
        ]
        stored = [numpy_helper.from_array(array, name) for name, array in self.arrays.items()]
        graph = helper.make_graph(self.nodes, "locator", ends[:1], ends[1:], stored)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)

"""A CPU file in 8 bits: weights int8 by channel, activations uint8, ranges from the run's own training photos.

    Quantiser(onnx.load("model.onnx"), images).write(Path("model.int8.onnx"), card)

Static quantisation in the QDQ form (Jacob et al. 2018; Wu et al. 2020), written by onnxruntime's own quantiser.
uint8 activations with int8 weights are what x86 processors multiply in one instruction, and the form whose ReLU,
addition and pooling onnxruntime fuses. The stem's convolution stays in fp32: rounding hurts most there, and with
three channels to read, 8 bits save it no time. Rounding shifts the mean of what a layer answers; its bias takes
that back (Nagel et al. 2019, Sec. 4.2, with means measured on the calibration photos). Torch-free.
"""

import contextlib
import logging
import tempfile
from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
import onnx
from onnx.numpy_helper import from_array, to_array
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import TensorData, TensorsData, save_tensors_data

from export.ranges import Statistics, collect
from export.trunk import layer_name, trunk_nodes, write_card
from training.models.card import ModelCard

WEIGHT_STEPS = 127
"""Of a channel's greatest magnitude."""
IN_8_BITS = "_quantized"
"""What onnxruntime's quantiser appends to the name of a weight."""


class Quantiser:
    """An fp32 graph and what its calibration photos bring about in it.

    Args:
        model: as `export.graph.write_graph` wrote it.
        images: the calibration photos, each (H, W, 3) uint8, RGB.

    Attributes:
        kept: names of the layers that stay in fp32.
    """

    def __init__(self, model: onnx.ModelProto, images: Sequence[np.ndarray]) -> None:
        stem, *self._behind_stem = trunk_nodes(model)
        self.kept = [layer_name(stem)]
        self._model = model
        self._statistics = collect(model, images)

    def write(self, path: Path, card: ModelCard) -> None:
        """Write the graph with its trunk in 8 bits, all but the stem.

        Args:
            path: for the file.
            card: for the file.
        """
        pooling = list(takewhile(lambda node: node.op_type != "Conv", self._behind_stem))
        nodes = self._behind_stem[len(pooling) :]
        model = with_corrected_biases(self._model, nodes, self._statistics)
        _hold_poolings(model, {node.name for node in pooling})
        ranges = {
            name: TensorData(lowest=np.float32(own.low), highest=np.float32(own.high))
            for name, own in self._statistics.items()
        }
        with tempfile.TemporaryDirectory() as folder, _quiet():
            cache = Path(folder) / "ranges.json"
            save_tensors_data(TensorsData(CalibrationMethod.MinMax, ranges), cache)
            quantize_static(
                model,
                path,
                calibration_cache_path=cache,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=[node.name for node in nodes],
            )
        quantised = onnx.load(path)
        _store_once(quantised)
        write_card(quantised, card)
        onnx.save(quantised, path)


def with_corrected_biases(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], statistics: dict[str, Statistics]
) -> onnx.ModelProto:
    """A copy whose convolutions and fully connected layers, once their inputs, weights and (before an addition)
    outputs are rounded, answer with the mean of before.

    Args:
        model: fp32.
        nodes: those that will be quantised.
        statistics: by tensor, from `export.ranges.collect`.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in copy.graph.initializer}
    added = {name for node in nodes if node.op_type == "Add" for name in node.input}
    names = {node.name for node in nodes}
    for node in copy.graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.name not in names:
            continue
        reads, weight_name = node.input[:2]
        weight = to_array(tensors[weight_name]).astype(np.float64)
        if len(node.input) < 3:
            node.input.append(f"{weight_name}_bias")
            tensors[node.input[2]] = copy.graph.initializer.add()
            tensors[node.input[2]].CopyFrom(from_array(np.zeros(len(weight), np.float32), node.input[2]))
        bias_name = node.input[2]
        bias = to_array(tensors[bias_name])
        weight = weight.reshape(*weight.shape[:2], -1)  # Outputs, inputs, places of the kernel.
        steps = np.abs(weight).max((1, 2), keepdims=True) / WEIGHT_STEPS
        rounded = np.rint(weight / np.where(steps > 0, steps, 1)) * steps
        own = statistics[reads]
        shift = rounded.sum(2) @ own.rounded_mean - weight.sum(2) @ own.mean
        if node.output[0] in added:
            shift += statistics[node.output[0]].rounded_mean - statistics[node.output[0]].mean
        tensors[bias_name].CopyFrom(from_array((bias - shift).astype(bias.dtype), bias_name))
    return copy


def _hold_poolings(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Keep poolings behind a stem in fp32 there too, in place.

    onnxruntime moves the rounding to 8 bits up through a pooling, and then runs it by its slowest way, a sixth of
    a ResNet-50's time. A maximum with 0 of what a ReLU and a pooling left, which is never below, stops it.
    """
    graph = model.graph
    for index, node in reversed(list(enumerate(graph.node))):
        if node.name in names and node.op_type == "MaxPool":
            pooled, given = node.output[0], f"{node.output[0]}_in_fp32"
            node.output[0] = given
            graph.node.insert(index + 1, onnx.helper.make_node("Max", [given, f"{pooled}_zero"], [pooled]))
            graph.initializer.append(from_array(np.zeros((), np.float32), f"{pooled}_zero"))


def _store_once(model: onnx.ModelProto) -> None:
    """Let nodes outside the trunk that read one of its weights, as AlexNet's maps do, read the 8-bit copy."""
    graph = model.graph
    restored = {
        node.input[0].removesuffix(IN_8_BITS): node.output[0]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0].endswith(IN_8_BITS)
    }
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = restored.get(name, name)
    left = [tensor for tensor in graph.initializer if tensor.name not in restored]
    del graph.initializer[:]
    graph.initializer.extend(left)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises, at every call, a step that folds batch normalisation; our graphs come folded."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

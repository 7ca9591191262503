"""A CUDA file in half precision: the trunk in fp16, inputs, outputs and everything around it in fp32.

    half = to_half(model, kept=out_of_range(model, images))

fp16 holds magnitudes up to 65504 (IEEE 754-2019, binary16): a layer that reads, writes or weighs more than half of
that on the photos given is better kept in fp32. Without a GPU `emulated` computes what is left of
the numbers: every stored value rounded to half, sums in fp32, as tensor cores have it. Torch-free.
"""

from collections.abc import Collection, Iterable

import numpy as np
import onnx
from onnx.numpy_helper import from_array, to_array

from export.trunk import activations, layer_name, trunk_nodes, watch

HALF_MAX = float(np.finfo(np.float16).max)
HEADROOM = 2.0
"""A tensor may come this close to the end of the range: other photos may bring about more."""


def to_half(model: onnx.ModelProto, kept: Collection[str] = ()) -> onnx.ModelProto:
    """The graph with its trunk in half precision.

    Args:
        model: fp32, as `export.graph.write_graph` wrote it; not changed.
        kept: names of layers that stay in fp32.
    """
    return _converted(model, {node.name for node in trunk_nodes(model) if layer_name(node) not in kept})


def out_of_range(model: onnx.ModelProto, images: Iterable[np.ndarray]) -> dict[str, float]:
    """Layers that fp16 hardly holds or does not, and the greatest magnitude seen there.

    Args:
        model: fp32.
        images: each (H, W, 3) uint8, RGB.
    """
    greatest = {t.name: float(np.abs(to_array(t)).max(initial=0)) for t in model.graph.initializer}
    greatest |= dict.fromkeys(activations(model), 0.0)

    def see(name: str, values: np.ndarray) -> None:
        greatest[name] = float(np.maximum(greatest[name], np.abs(values).max()))  # NaN stays NaN.

    watch(model, images, see)
    beyond = {}
    for node in trunk_nodes(model):
        magnitude = float(np.max([greatest[name] for name in (*node.input, *node.output) if name]))
        if not magnitude <= HALF_MAX / HEADROOM:
            beyond[layer_name(node)] = magnitude
    return beyond


def _converted(model: onnx.ModelProto, inside: set[str]) -> onnx.ModelProto:
    """A copy whose nodes named `inside` compute in half precision, with casts where the others begin."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.value_info[:]  # The types of what is inside are others now.
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    integers = {tensor.name for tensor in graph.initializer} - weights
    doors = {output.name for output in graph.output}
    halves = {name for node in graph.node if node.name in inside for name in node.output} - doors
    halved = {name for node in graph.node if node.name in inside for name in node.input} & weights
    casts: set[str] = set()
    nodes: list[onnx.NodeProto] = []

    def cast(name: str, result: str, kind: int) -> str:
        """Cast once, where it is first asked for."""
        if result not in casts:
            casts.add(result)
            nodes.append(onnx.helper.make_node("Cast", [name], [result], result, to=kind))
        return result

    for original in graph.node:
        node = onnx.NodeProto.FromString(original.SerializeToString())
        leaving = []
        for index, name in enumerate(node.input):
            if node.name in inside and name and name not in halves | halved | integers:
                node.input[index] = cast(name, f"{name}_half", onnx.TensorProto.FLOAT16)
            elif node.name not in inside and name in halves | halved:
                node.input[index] = cast(name, f"{name}_single", onnx.TensorProto.FLOAT)
        for index, name in enumerate(node.output):
            if node.name in inside and name in doors:
                node.output[index] = f"{name}_half"
                leaving.append(name)
        nodes.append(node)
        for name in leaving:
            cast(f"{name}_half", name, onnx.TensorProto.FLOAT)
    del graph.node[:]
    graph.node.extend(nodes)
    for tensor in graph.initializer:
        if tensor.name in halved:
            tensor.CopyFrom(from_array(to_array(tensor).astype(np.float16), tensor.name))
    return copy


def emulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """A half-precision graph in fp32 operators, every value that it stores as half rounded to half.

    Runs on any CPU, and gives what a processor gives that multiplies in half and adds in fp32. onnxruntime's own
    CPU provider cannot: it drops the roundings on its way through fp32.

    Args:
        model: from `to_half`; not changed.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.value_info[:]
    halves = set()
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16:
            halves.add(tensor.name)
            values = to_array(tensor).astype(np.float32)
            tensor.CopyFrom(from_array(values, tensor.name))
    nodes = []
    for node in graph.node:
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT16:
            nodes += _rounding(node.input[0], node.output[0])
            halves.add(node.output[0])
        elif node.op_type == "Cast" and node.input[0] in halves:
            nodes.append(onnx.helper.make_node("Identity", node.input, node.output))
        elif halves.intersection(node.input):
            halves.update(node.output)
            exact = [f"{name}_exact" for name in node.output]
            nodes.append(onnx.helper.make_node(node.op_type, node.input, exact, node.name))
            nodes[-1].attribute.extend(node.attribute)
            for source, result in zip(exact, node.output, strict=True):
                nodes += _rounding(source, result)
        else:
            nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(nodes)
    return copy


def _rounding(source: str, result: str) -> list[onnx.NodeProto]:
    return [
        onnx.helper.make_node("Cast", [source], [f"{result}_half"], to=onnx.TensorProto.FLOAT16),
        onnx.helper.make_node("Cast", [f"{result}_half"], [result], to=onnx.TensorProto.FLOAT),
    ]

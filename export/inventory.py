"""What an ONNX graph is made of: inputs, outputs, operators counted, values stored.

    graph = read_graph(onnx.load("model.onnx"))

Torch-free; `onnx` is imported only when a graph is read.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

DOMAINS_OF_ONNX = ("", "ai.onnx")


@dataclass(frozen=True)
class Tensor:
    """An input or output; a dimension that is free has a name, or `*`."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Operator:
    """How often an operator occurs."""

    name: str
    count: int
    in_8_bits: int
    """Those that read nothing but dequantised values, and so run in integers where the CPU can."""


@dataclass(frozen=True)
class Stored:
    """The values of one type that the file holds: weights, scales, constants."""

    dtype: str
    values: int
    bytes: int


@dataclass(frozen=True)
class Graph:
    """What stands in the ONNX file beside the card."""

    opset: dict[str, int]
    """By domain; `ai.onnx` is the standard one."""
    ir_version: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    """The most frequent first."""
    parameters: tuple[Stored, ...]
    """The type that takes the most bytes first."""


def read_graph(model: "onnx.ModelProto") -> Graph:
    """Count what a graph is made of, the graphs inside its nodes included."""
    from onnx import helper

    nodes = list(_nodes(model.graph))
    dequantised = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    counts: Counter[str] = Counter()
    in_8_bits: Counter[str] = Counter()
    for node in nodes:
        name = node.op_type if node.domain in DOMAINS_OF_ONNX else f"{node.domain}.{node.op_type}"
        counts[name] += 1
        inputs = [given for given in node.input if given]
        in_8_bits[name] += bool(inputs) and dequantised.issuperset(inputs)
    values: Counter[int] = Counter()
    for tensor in _tensors(model.graph, nodes):
        count = 1
        for size in tensor.dims:
            count *= size
        values[tensor.data_type] += count
    stored = []
    for kind, count in values.items():
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        stored.append(Stored(str(dtype), count, count * dtype.itemsize))
    return Graph(
        opset={entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        ir_version=model.ir_version,
        inputs=tuple(_tensor(value) for value in model.graph.input),
        outputs=tuple(_tensor(value) for value in model.graph.output),
        operators=tuple(
            Operator(name, counts[name], in_8_bits[name])
            for name in sorted(counts, key=lambda name: (-counts[name], name))
        ),
        parameters=tuple(sorted(stored, key=lambda row: (-row.bytes, row.dtype))),
    )


def _nodes(graph: "onnx.GraphProto") -> Iterator["onnx.NodeProto"]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(inner)


def _tensors(graph: "onnx.GraphProto", nodes: Sequence["onnx.NodeProto"]) -> Iterator["onnx.TensorProto"]:
    yield from graph.initializer
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from attribute.g.initializer


def _tensor(value: "onnx.ValueInfoProto") -> Tensor:
    from onnx import helper

    kind = value.type.tensor_type
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "*" for dim in kind.shape.dim
    )
    return Tensor(value.name, str(helper.tensor_dtype_to_np_dtype(kind.elem_type)), shape)

"""Which part of an exported graph is the network's trunk: what is quantised, or computed in half precision.

    nodes = trunk_nodes(onnx.load("model.onnx"))

Preprocessing, pooling, heads, heatmaps and calibration stay in fp32 around it: next to nothing of the arithmetic,
and most of what a person reads. Torch-free.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import onnx
import onnxruntime

from export.contract import FEATURES, IMAGE
from training.models.card import METADATA_KEY, ModelCard


def trunk_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """From the first convolution to what the global average is taken of or, where fully connected layers stand in
    its place, to the features; in the graph's order."""
    makers = {name: node for node in model.graph.node for name in node.output}
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    before = _ancestors(first.input, makers)
    last = makers[FEATURES]
    end = last.input[0] if last.op_type == "ReduceMean" else FEATURES
    inside = _ancestors([end], makers) - before
    return [node for node in model.graph.node if node.output[0] in inside]


def layer_name(node: onnx.NodeProto) -> str:
    """A layer's name in the checkpoint, such as `layer2.0.conv1`, or the node's own where it has no weights."""
    weights = [name for name in node.input if name.endswith(".weight")]
    return weights[0].removeprefix("network.").removesuffix(".weight") if weights else node.name


def activations(model: onnx.ModelProto) -> list[str]:
    """Names of the tensors that the trunk reads or writes, weights left out."""
    weights = {tensor.name for tensor in model.graph.initializer}
    names = [name for node in trunk_nodes(model) for name in (*node.input, *node.output)]
    return [name for name in dict.fromkeys(names) if name and name not in weights]


def watch(
    model: onnx.ModelProto, images: Iterable[np.ndarray], see: Callable[[str, np.ndarray], None]
) -> None:
    """Run an fp32 graph, and call `see` with the name and the (C, h, w) float32 values of every activation.

    Args:
        images: each (H, W, 3) uint8, RGB.
    """
    names = activations(model)
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = plain_session(watched)
    for image in images:
        outputs = session.run(names, {IMAGE: np.ascontiguousarray(image)[None]})
        for name, values in zip(names, outputs, strict=True):
            see(name, values[0])


def plain_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """On the CPU, with the graph as it is written."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def read_card(model: onnx.ModelProto) -> ModelCard:
    """The card that the file carries."""
    return ModelCard.from_json(next(p.value for p in model.metadata_props if p.key == METADATA_KEY))


def write_card(model: onnx.ModelProto, card: ModelCard) -> None:
    """Put `card` in the place of the one that the model carries, if any."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})


def _ancestors(names: Iterable[str], makers: dict[str, onnx.NodeProto]) -> set[str]:
    """The tensors, made by nodes, on which `names` rest; themselves included."""
    found: set[str] = set()
    waiting = [name for name in names if name in makers]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [maker for maker in _inputs(makers[name]) if maker in makers]
    return found


def _inputs(node: onnx.NodeProto) -> Iterator[str]:
    return (name for name in node.input if name)

"""Half precision: what stays in fp32, what is rounded, and how far that is from fp32 and from torch's own half."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.numpy_helper import from_array, to_array

from export.contract import FEATURES, IMAGE, LESION_CAM, LESION_PROBABILITIES
from export.half import HALF_MAX, HEADROOM, emulated, out_of_range, to_half
from export.inventory import read_graph
from export.runtime import Classifier
from export.trunk import plain_session, trunk_nodes, write_card
from tests.tiny_model import tiny_card
from training.models.checkpoint import load_checkpoint
from training.models.preprocess import preprocess


@pytest.fixture(scope="module")
def graph(tiny_model: Path) -> onnx.ModelProto:
    return onnx.load(tiny_model)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (80, 96, 3), np.uint8)


def outputs(model: onnx.ModelProto, image: np.ndarray, *names: str) -> list[np.ndarray]:
    return plain_session(model).run(list(names), {IMAGE: image[None]})


def test_weights_are_halves_and_the_doors_are_fp32(graph: onnx.ModelProto, image: np.ndarray) -> None:
    assert out_of_range(graph, [image]) == {}
    half = to_half(graph)
    onnx.checker.check_model(half)
    description = read_graph(half)
    assert description.parameters[0].dtype == "float16"
    assert sum(row.bytes for row in description.parameters) < 0.52 * sum(
        row.bytes for row in read_graph(graph).parameters
    )
    assert {tensor.dtype for tensor in description.outputs} == {
        tensor.dtype for tensor in read_graph(graph).outputs
    }
    assert [node.op_type for node in half.graph.node].count(
        "Cast"
    ) <= 4  # In, out, and the uint8 image's own.


def test_the_emulation_stores_nothing_but_halves(graph: onnx.ModelProto, image: np.ndarray) -> None:
    half = to_half(graph)
    stand_in = emulated(half)
    names = [node.output[0] for node in trunk_nodes(graph) if node.op_type == "Relu"]
    stand_in.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    for values in outputs(stand_in, image, *names):
        np.testing.assert_array_equal(values, values.astype(np.float16).astype(np.float32))


def test_the_emulation_is_as_near_to_torch_in_half_as_to_fp32(
    graph: onnx.ModelProto, image: np.ndarray, tiny_run: Path
) -> None:
    half = to_half(graph)
    own, cam, features = outputs(emulated(half), image, LESION_PROBABILITIES, LESION_CAM, FEATURES)
    exact, exact_cam, exact_features = outputs(graph, image, LESION_PROBABILITIES, LESION_CAM, FEATURES)
    assert 0 < np.abs(own - exact).max() < 2e-3
    assert np.abs(cam - exact_cam).max() < 5e-3 * np.abs(exact_cam).max()
    checkpoint = load_checkpoint(tiny_run)
    with torch.inference_mode():
        network_input = preprocess(torch.from_numpy(image)[None], checkpoint.card.preprocessing)
        reference = checkpoint.network.half().feature_map(network_input.half()).float().mean((2, 3)).numpy()
    scale = np.abs(exact_features).max()
    assert np.abs(features - reference).max() < 5e-3 * scale


@pytest.mark.parametrize("where", ["weights", "activations"])
def test_a_layer_beyond_the_range_is_named_and_stays_in_fp32(
    graph: onnx.ModelProto, image: np.ndarray, where: str
) -> None:
    """layer1.0.conv1 blown up, and what reads it shrunk again: the answers are as before, if fp32 holds them."""
    large = onnx.ModelProto()
    large.CopyFrom(graph)
    tensors = {tensor.name: tensor for tensor in large.graph.initializer}
    factor = np.float32(1e6 if where == "activations" else 1e7)
    for name, scale in (
        ("network.layer1.0.conv1.weight", factor),
        ("network.layer1.0.conv1.weight_bias", factor),
        ("network.layer1.0.conv2.weight", 1 / factor),
    ):
        if name in tensors:  # A bias of zeros is not written.
            tensors[name].CopyFrom(from_array(to_array(tensors[name]) * scale, name))
    kept = out_of_range(large, [image])
    half = to_half(large, kept)
    assert "layer1.0.conv1" in kept
    assert kept["layer1.0.conv1"] > HALF_MAX / HEADROOM
    assert "layer4.1.conv2" not in kept
    own, exact = (outputs(m, image, LESION_PROBABILITIES)[0] for m in (emulated(half), graph))
    assert np.isfinite(own).all()
    assert np.abs(own - exact).max() < 5e-3


@pytest.mark.gpu
def test_cuda_gives_what_the_emulation_gives(
    graph: onnx.ModelProto, image: np.ndarray, tmp_path: Path
) -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is not installed")
    half = to_half(graph)
    write_card(half, tiny_card())
    onnx.save(half, tmp_path / "half.onnx")
    prediction = Classifier(tmp_path / "half.onnx", provider="cuda").predict([image])[0]
    _, cam = outputs(emulated(half), image, LESION_PROBABILITIES, LESION_CAM)
    assert np.abs(prediction.lesion_cam - cam[0]).max() < 5e-3 * np.abs(cam).max()

"""8 bits: ranges that lose least, biases that take the shift back, and a file that says what fp32 says."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.numpy_helper import to_array

from export.contract import IMAGE, output_names
from export.inventory import read_graph
from export.quantize import Quantiser, with_corrected_biases
from export.ranges import BINS, LEVELS, Statistics, best_range, collect, round_to_steps
from export.runtime import Classifier
from export.trunk import activations, layer_name, plain_session, trunk_nodes
from tests.tiny_model import tiny_card


@pytest.fixture(scope="module")
def graph(tiny_model: Path) -> onnx.ModelProto:
    return onnx.load(tiny_model)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 5, 7, 3), np.uint8)
    return [np.kron(image, np.ones((16, 12, 1), np.uint8)) for image in coarse]


@pytest.fixture(scope="module")
def quantiser(graph: onnx.ModelProto, images: list[np.ndarray]) -> Quantiser:
    return Quantiser(graph, images)


def optimised(quantiser: Quantiser, folder: Path) -> onnx.GraphProto:
    """What onnxruntime runs of the 8-bit file."""
    quantiser.write(folder / "int8.onnx", tiny_card())
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(folder / "int8.onnx", options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimised.onnx").graph


def test_the_trunk_begins_at_the_stem_and_ends_at_the_feature_map(graph: onnx.ModelProto) -> None:
    nodes = trunk_nodes(graph)
    assert layer_name(nodes[0]) == "conv1"
    assert nodes[-1].op_type == "Relu"
    assert {node.op_type for node in nodes} == {"Conv", "Relu", "MaxPool", "Add"}
    assert (
        sum(node.op_type == "Conv" for node in nodes) == 20
    )  # Of a ResNet-18, its three downsamplings included.
    assert {"layer1.0.conv1", "layer4.1.conv2", "layer2.0.downsample.0"} <= {layer_name(n) for n in nodes}


@pytest.mark.parametrize(("low", "high"), [(0.0, 3.0), (-2.0, 5.0), (-1e-3, 0.0)])
def test_rounding_keeps_zero_and_stays_within_half_a_step(low: float, high: float) -> None:
    values = np.linspace(low, high, 1001)
    rounded = round_to_steps(values, low, high)
    assert np.abs(rounded - values).max() <= (high - low) / LEVELS * 1.01
    assert round_to_steps(np.zeros(1), low, high)[0] == 0
    assert len(np.unique(rounded)) <= LEVELS + 1
    np.testing.assert_array_equal(round_to_steps(np.ones(3), 0.0, 0.0), np.zeros(3))


def test_the_best_range_keeps_an_even_spread_and_clips_a_lone_extreme() -> None:
    even = np.ones(BINS)
    assert best_range(even, 0.0, 4.0) == (0.0, 4.0)
    lone = np.zeros(BINS)
    lone[: BINS // 3] = 1e6
    lone[-1] = 1
    low, high = best_range(lone, 0.0, 3.0)
    assert low == 0
    assert 1.0 <= high < 1.2


def test_statistics_are_those_of_the_activations(graph: onnx.ModelProto, images: list[np.ndarray]) -> None:
    statistics = collect(graph, images[:2])
    assert set(statistics) == set(activations(graph))
    name = trunk_nodes(graph)[1].output[0]  # Behind the first ReLU.
    watched = onnx.ModelProto()
    watched.CopyFrom(graph)
    watched.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = plain_session(watched)
    values = np.stack([session.run([name], {IMAGE: image[None]})[0][0] for image in images[:2]])
    own = statistics[name]
    assert own.low == 0
    assert 0.3 * values.max() <= own.high <= values.max() * (1 + 1e-6)
    np.testing.assert_allclose(own.mean, values.mean((0, 2, 3)), rtol=1e-5)
    rounded = round_to_steps(values, own.low, own.high)
    np.testing.assert_allclose(own.rounded_mean, rounded.mean((0, 2, 3)), rtol=1e-5)


def test_a_corrected_bias_takes_back_what_rounding_adds() -> None:
    """One convolution of 1x1, constant input: the answer's mean must come back exactly."""
    weight = np.array([[0.301, -1.27], [0.033, 0.5]], np.float32)[..., None, None]
    node = onnx.helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv")
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [node],
            "one",
            [onnx.helper.make_tensor_value_info("x", 1, (1, 2, 1, 1))],
            [onnx.helper.make_tensor_value_info("y", 1, (1, 2, 1, 1))],
            [
                onnx.numpy_helper.from_array(weight, "w"),
                onnx.numpy_helper.from_array(np.zeros(2, np.float32), "b"),
            ],
        )
    )
    mean = np.array([0.77, 0.2])
    statistics = {"x": Statistics(0.0, 1.0, mean, round_to_steps(mean, 0.0, 1.0))}
    corrected = with_corrected_biases(model, [node], statistics)
    bias = to_array(corrected.graph.initializer[1])
    steps = np.abs(weight).max((1, 2, 3), keepdims=True) / 127
    rounded = (np.rint(weight / steps) * steps)[..., 0, 0]
    answer = rounded @ statistics["x"].rounded_mean + bias
    np.testing.assert_allclose(answer, weight[..., 0, 0] @ mean, atol=1e-6)
    assert np.abs(bias).max() > 1e-4
    np.testing.assert_array_equal(to_array(model.graph.initializer[1]), np.zeros(2))


def test_the_file_is_a_quarter_and_says_nearly_the_same(
    quantiser: Quantiser, tiny_model: Path, images: list[np.ndarray], tmp_path: Path
) -> None:
    card = dataclasses.replace(tiny_card(), export={"target": "cpu-int8"})
    quantiser.write(tmp_path / "int8.onnx", card)
    assert (tmp_path / "int8.onnx").stat().st_size < 0.27 * tiny_model.stat().st_size
    exact, rounded = (
        Classifier(tiny_model, provider="cpu"),
        Classifier(tmp_path / "int8.onnx", provider="cpu"),
    )
    assert rounded.card == card
    model = onnx.load(tmp_path / "int8.onnx")
    convolutions = next(row for row in read_graph(model).operators if row.name == "Conv")
    assert (convolutions.count, convolutions.in_8_bits) == (21, 19)  # Stem and heatmap stay in fp32.
    assert [output.name for output in model.graph.output] == list(output_names(card))
    for image in images:
        a, b = exact.predict([image])[0], rounded.predict([image])[0]
        np.testing.assert_allclose(a.features, b.features, atol=0.1 * np.abs(a.features).max())


def test_onnxruntime_runs_the_stem_and_its_pooling_in_fp32_and_the_rest_in_8_bits(
    quantiser: Quantiser, tmp_path: Path
) -> None:
    """Its own way to run a pooling in 8 bits behind a stem in fp32 would take a sixth of a ResNet-50's time."""
    nodes = optimised(quantiser, tmp_path).node
    kinds = [node.op_type for node in nodes]
    pooling = nodes[kinds.index("MaxPool")]
    assert pooling.domain == "com.microsoft.nchwc"
    assert kinds.index("Conv") < kinds.index("MaxPool") < kinds.index("QuantizeLinear")
    assert kinds.count("QLinearConv") == 19
    assert kinds.count("QLinearAdd") == 8
    assert kinds.count("Conv") == 2  # Stem and heatmap.


def test_onnxruntime_leaves_the_normalisation_on_rows_of_pixels(quantiser: Quantiser, tmp_path: Path) -> None:
    """With channels moved to the end it would take a tenth of a ResNet-50's time."""
    graph = optimised(quantiser, tmp_path)
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    read = {
        node.op_type: constants[name]
        for node in graph.node
        for name in node.input
        if node.op_type in ("Sub", "Mul") and np.prod(constants.get(name, ())) == 3
    }
    assert read == {"Sub": (1, 3, 1), "Mul": (1, 3, 1)}


def test_equal_calibration_gives_equal_bytes(
    quantiser: Quantiser, graph: onnx.ModelProto, images: list[np.ndarray], tmp_path: Path
) -> None:
    quantiser.write(tmp_path / "a.onnx", tiny_card())
    Quantiser(graph, images).write(tmp_path / "b.onnx", tiny_card())
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()

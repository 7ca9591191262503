"""AlexNet's files: Grad-CAM in the graph without gradients, and every large weight stored once."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.__main__ import Exporter
from export.half import to_half
from export.inventory import read_graph
from export.photos_of_run import drawn_photos
from export.quantize import Quantiser
from export.runtime import Classifier
from export.targets import Limits, find_target
from export.trunk import layer_name, trunk_nodes, write_card
from export.verify import verify
from tests.tiny_model import make_run, tiny_card
from training.models.card import ModelCard, Preprocessing

pytestmark = pytest.mark.slow

LARGE = 4_000_000
"""Values; the two large layers have 38 and 17 million."""


@pytest.fixture(scope="module")
def card() -> ModelCard:
    """At 127 pixels the feature map has 3 x 3 places, which the pooling spreads over its 6 x 6."""
    return dataclasses.replace(
        tiny_card(two_heads=True),
        architecture="alexnet",
        preprocessing=Preprocessing(input_size=127, decode_min_side=140),
    )


@pytest.fixture(scope="module")
def exporter(card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    folder = tmp_path_factory.mktemp("alexnet")
    yield Exporter.open(make_run(folder / "run", card))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    coarse = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3), np.uint8)
    return [np.kron(image, np.ones((30, 30, 1), np.uint8)) for image in coarse]


def large_types(model: onnx.ModelProto) -> list[str]:
    """The element types of the large stored tensors."""
    return sorted(
        onnx.TensorProto.DataType.Name(tensor.data_type)
        for tensor in model.graph.initializer
        if np.prod(tensor.dims) > LARGE
    )


def test_the_trunk_takes_in_the_fully_connected_layers(exporter: Exporter) -> None:
    names = [layer_name(node) for node in trunk_nodes(exporter.graph)]
    assert names[0] == "features.0"
    assert {"features.10", "classifier.1", "classifier.4"} <= set(names)
    assert not {"lesion_head", "location_head"} & set(names)


def test_the_fp32_file_says_what_the_network_and_its_gradients_say(
    exporter: Exporter, tmp_path: Path
) -> None:
    path, parity = exporter.export(tmp_path)  # Raises if a limit is missed.
    assert parity.passed
    assert large_types(exporter.graph) == ["FLOAT", "FLOAT"]
    prediction = Classifier(path, provider="cpu").predict([np.zeros((140, 160, 3), np.uint8)])[0]
    assert prediction.lesion_cam.shape == (3, 3, 3)
    assert prediction.features.shape == (4096,)


def test_8_bits_store_each_large_weight_once_and_say_nearly_the_same(
    exporter: Exporter, card: ModelCard, images: list[np.ndarray], tmp_path: Path
) -> None:
    Quantiser(exporter.graph, images).write(tmp_path / "int8.onnx", card)
    quantised = onnx.load(tmp_path / "int8.onnx")
    assert large_types(quantised) == ["INT8", "INT8"]
    layers = next(row for row in read_graph(quantised).operators if row.name == "Gemm")
    assert (layers.count, layers.in_8_bits) == (4, 2)  # The heads stay in fp32.
    reached = Limits(probability=0.01, features=0.1, agreement=1, size=0.27)
    target = dataclasses.replace(find_target("cpu-int8"), limits=reached)
    parity = verify(tmp_path / "int8.onnx", exporter.checkpoint, drawn_photos(card.preprocessing), target)
    assert parity.passed, parity.missed


def test_half_precision_stores_each_large_weight_once_and_passes(
    exporter: Exporter, card: ModelCard, tmp_path: Path
) -> None:
    half = to_half(exporter.graph)
    onnx.checker.check_model(half)
    assert large_types(half) == ["FLOAT16", "FLOAT16"]
    write_card(half, card)
    onnx.save(half, tmp_path / "half.onnx")
    target = find_target("cuda-fp16")
    parity = verify(tmp_path / "half.onnx", exporter.checkpoint, drawn_photos(card.preprocessing), target)
    assert parity.passed, parity.missed

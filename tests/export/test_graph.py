"""The exported graph against its network, and against pytorch-grad-cam."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from export.contract import FEATURES, LESION_CAM, LESION_PROBABILITIES, output_names, output_shapes
from export.graph import DeployableClassifier
from export.photos_of_run import drawn_photos
from export.verify import answers_of_network, verify
from tests.grad_cam_package import package_maps
from tests.tiny_model import make_run, tiny_card
from training.models.card import Activation, Preprocessing
from training.models.checkpoint import Checkpoint, load_checkpoint
from training.models.preprocess import preprocess

MODELS = [("tiny_model", "tiny_run"), ("tiny_model_two_heads", "tiny_run_two_heads")]


@pytest.fixture(params=MODELS, ids=["one-head", "two-heads"])
def exported(request: pytest.FixtureRequest) -> tuple[Path, Checkpoint]:
    model, run = request.param
    return request.getfixturevalue(model), load_checkpoint(request.getfixturevalue(run))


@pytest.fixture
def session(tiny_model: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(tiny_model, providers=["CPUExecutionProvider"])


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_the_file_says_what_the_network_says_at_every_size_and_batch(
    exported: tuple[Path, Checkpoint],
) -> None:
    path, checkpoint = exported
    parity = verify(path, checkpoint, drawn_photos(checkpoint.card.preprocessing))
    assert parity.passed, parity.sentence()
    assert parity.top_label_changes == 0


def test_the_outputs_are_those_of_the_contract(exported: tuple[Path, Checkpoint]) -> None:
    path, checkpoint = exported
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert tuple(node.name for node in session.get_outputs()) == output_names(checkpoint.card)
    values = session.run(None, {"image": np.stack([random_image(90, 70)] * 3)})
    for value, (name, shape) in zip(values, output_shapes(checkpoint.card).items(), strict=True):
        assert value.dtype == np.float32, name
        assert value.ndim == len(shape)
        assert value.shape[0] == 3
        assert all(size in (None, found) for size, found in zip(shape, value.shape, strict=True))


def test_the_file_is_one_and_holds_nothing_of_the_machine_that_wrote_it(tiny_model: Path) -> None:
    data = tiny_model.read_bytes()
    assert [path.name for path in tiny_model.parent.iterdir() if path.is_file()] == [tiny_model.name]
    for trace in (str(Path(__file__).parents[2]), "stack_trace", "preprocess.py", "site-packages"):
        assert trace.encode() not in data


def test_the_mean_of_a_map_and_the_bias_are_the_logit(exported: tuple[Path, Checkpoint]) -> None:
    path, checkpoint = exported
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = random_image(101, 88)[None]
    cam, probabilities = session.run([LESION_CAM, LESION_PROBABILITIES], {"image": image})
    with torch.inference_mode():
        network_input = preprocess(torch.from_numpy(image), checkpoint.card.preprocessing)
        logits = checkpoint.network(network_input).lesion.numpy()
    from_cam = cam.mean(axis=(2, 3)) + checkpoint.network.lesion_head.bias.detach().numpy()
    np.testing.assert_allclose(from_cam, logits, atol=1e-4)
    calibrated = np.exp(from_cam / checkpoint.card.temperature)
    expected = (
        calibrated / (1 + calibrated)
        if checkpoint.card.activation == "sigmoid"
        else calibrated / calibrated.sum()
    )
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("two_heads", [False, True])
def test_the_module_answers_as_the_plain_network(
    tmp_path: Path, activation: Activation, temperature: float, two_heads: bool
) -> None:
    card = tiny_card(two_heads=two_heads, activation=activation, temperature=temperature)
    checkpoint = load_checkpoint(make_run(tmp_path / "run", card))
    image = random_image(120, 93)
    with torch.inference_mode():
        outputs = DeployableClassifier(checkpoint.network, card)(torch.from_numpy(image)[None])
    found = dict(zip(output_names(card), (output[0].numpy() for output in outputs), strict=True))
    expected = answers_of_network(checkpoint, image)
    np.testing.assert_allclose(found[LESION_PROBABILITIES], expected.lesions, atol=1e-6)
    np.testing.assert_allclose(found[LESION_CAM], expected.cam, atol=1e-4)
    np.testing.assert_allclose(found[FEATURES], expected.features, atol=1e-5)
    assert ("location_probabilities" in found) == two_heads
    if two_heads:
        np.testing.assert_allclose(found["location_probabilities"], expected.locations, atol=1e-6)


def test_a_whole_photo_as_the_decoder_gives_it_is_answered_without_a_warning(tmp_path: Path) -> None:
    """Its pixels are read-only, of which torch warns."""
    checkpoint = load_checkpoint(make_run(tmp_path / "run", tiny_card(crop_fraction=1.0)))
    square = random_image(96, 96)
    square.flags.writeable = False
    assert np.isfinite(answers_of_network(checkpoint, square).cam).all()


def test_the_maps_are_grad_cams_up_to_one_positive_factor(tiny_run: Path) -> None:
    checkpoint = load_checkpoint(tiny_run)
    rule = Preprocessing(input_size=224, decode_min_side=256)
    network_input = preprocess(torch.from_numpy(random_image(256, 256))[None], rule)
    with torch.no_grad():
        feature_map = checkpoint.network.feature_map(network_input)
        features = checkpoint.network.features_of(feature_map)
        ours = checkpoint.network.class_activation_maps(feature_map, features)[0].numpy()
    for label in range(len(checkpoint.card.lesion_labels)):
        theirs = package_maps(checkpoint.network, network_input, [label])[0] * ours[label].size
        np.testing.assert_allclose(theirs, ours[label], atol=1e-4 * np.abs(ours).max())


@pytest.mark.parametrize("size_hw", [(81, 120), (120, 81), (100, 100)])
def test_the_graph_crops_the_cards_view_box_exactly(
    session: onnxruntime.InferenceSession, tiny_run: Path, size_hw: tuple[int, int]
) -> None:
    x0, y0, x1, y1 = load_checkpoint(tiny_run).card.preprocessing.view_box(*size_hw)
    image = random_image(*size_hw)

    def features(photo: np.ndarray) -> np.ndarray:
        return session.run([FEATURES], {"image": photo[None]})[0]

    outside = random_image(*size_hw, seed=1)
    outside[y0:y1, x0:x1] = image[y0:y1, x0:x1]
    assert not np.array_equal(outside, image)
    np.testing.assert_array_equal(features(outside), features(image))
    edges = [(slice(y0, y1), x0), (slice(y0, y1), x1 - 1), (y0, slice(x0, x1)), (y1 - 1, slice(x0, x1))]
    for edge in edges:
        touched = image.copy()
        touched[edge] = 255 - touched[edge]
        assert np.abs(features(touched) - features(image)).max() > 1e-3

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.contract import IMAGE
from export.runtime import MAX_BATCH, Classifier, Prediction
from tests.tiny_model import tiny_card
from training.errors import ModelFileError, PhotoError
from training.models.card import METADATA_KEY, ModelCard


@pytest.fixture(scope="module")
def classifier(tiny_model_two_heads: Path) -> Classifier:
    return Classifier(tiny_model_two_heads, provider="cpu", threads=1)


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def assert_same(a: Prediction, b: Prediction) -> None:
    assert a.view_box == b.view_box
    assert a.model_id == b.model_id
    for ours, theirs in ((a.lesions, b.lesions), (a.locations, b.locations)):
        assert [score.name for score in ours] == [score.name for score in theirs]
        for x, y in zip(ours, theirs, strict=True):
            assert x.probability == pytest.approx(y.probability, abs=1e-6)
    np.testing.assert_allclose(a.lesion_cam, b.lesion_cam, atol=1e-4)
    np.testing.assert_allclose(a.features, b.features, atol=1e-5)


def test_a_prediction_ranks_every_label(classifier: Classifier) -> None:
    prediction = classifier.predict([random_image(90, 120)])[0]
    card = classifier.card
    assert {score.name for score in prediction.lesions} == {label.name for label in card.lesion_labels}
    assert {score.name for score in prediction.locations} == {label.name for label in card.location_labels}
    for scores in (prediction.lesions, prediction.locations):
        probabilities = [score.probability for score in scores]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert prediction.view_box == card.preprocessing.view_box(90, 120)
    assert prediction.features.shape == (512,)
    assert prediction.lesion_cam.shape == (3, 2, 2)
    assert prediction.lesion_cam.dtype == np.float32


def test_a_model_with_one_head_names_no_site(tiny_model: Path) -> None:
    assert Classifier(tiny_model).predict([random_image(64, 64)])[0].locations == ()


def test_only_the_expected_file_is_opened(tiny_model: Path, tmp_path: Path) -> None:
    own = hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    for expected in (own, own.upper(), own[:12]):
        assert Classifier(tiny_model, provider="cpu", expected_id=expected).model_id == own
    with pytest.raises(ModelFileError, match="another model, or was altered"):
        Classifier(tiny_model, provider="cpu", expected_id="0" * 64)
    with pytest.raises(ModelFileError, match="first 12 digits"):
        Classifier(tiny_model, provider="cpu", expected_id=own[:4])


def test_a_map_is_found_by_its_labels_name(classifier: Classifier) -> None:
    prediction = classifier.predict([random_image(80, 80)])[0]
    for index, label in enumerate(classifier.card.lesion_labels):
        np.testing.assert_array_equal(prediction.cam_of(label.name), prediction.lesion_cam[index])
    with pytest.raises(KeyError, match="no lesion label 'wart'; valid are acne, ulcer, wheal"):
        prediction.cam_of("wart")


def test_mixed_sizes_come_out_as_one_by_one_and_in_order(classifier: Classifier) -> None:
    sizes = [(80, 80), (81, 120), (80, 80), (33, 47), (120, 81), (80, 80)]
    images = [random_image(*size, seed=seed) for seed, size in enumerate(sizes)]
    for together, image in zip(classifier.predict(images), images, strict=True):
        assert_same(together, classifier.predict([image])[0])


def test_more_photos_than_a_batch_holds(classifier: Classifier) -> None:
    images = [random_image(64, 64, seed=seed) for seed in range(MAX_BATCH + 2)]
    predictions = classifier.predict(images)
    assert len(predictions) == len(images)
    assert_same(predictions[-1], classifier.predict(images[-1:])[0])


def test_no_photo_gives_no_prediction(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


def test_views_of_larger_arrays_are_accepted_and_left_alone(classifier: Classifier) -> None:
    whole = random_image(100, 160)
    before = whole.copy()
    flipped = whole[:, 20:140][:, ::-1]
    assert_same(classifier.predict([flipped])[0], classifier.predict([flipped.copy()])[0])
    np.testing.assert_array_equal(whole, before)


def test_two_calls_agree_to_the_bit(classifier: Classifier) -> None:
    image = random_image(99, 140)
    first, second = classifier.predict([image])[0], classifier.predict([image])[0]
    assert first.lesions == second.lesions
    np.testing.assert_array_equal(first.lesion_cam, second.lesion_cam)


def test_threads_may_share_a_classifier(classifier: Classifier) -> None:
    images = [random_image(64 + seed, 70, seed=seed) for seed in range(12)]
    alone = [classifier.predict([image])[0] for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: classifier.predict([image])[0], images))
    for a, b in zip(together, alone, strict=True):
        assert_same(a, b)


def test_a_classifier_knows_its_file(classifier: Classifier, tiny_model_two_heads: Path) -> None:
    assert classifier.model_id == hashlib.sha256(tiny_model_two_heads.read_bytes()).hexdigest()
    assert classifier.path == tiny_model_two_heads
    assert classifier.provider == "cpu"
    assert classifier.card == tiny_card(two_heads=True, activation="softmax", temperature=2.0)
    classifier.warm_up()


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((64, 64, 3), np.float32), "float32; a NumPy array of uint8"),
        ([[0, 0, 0]], "list; a NumPy array of uint8"),
        (np.zeros((64, 64), np.uint8), r"shape \(64, 64\); \(height, width, 3\)"),
        (np.zeros((64, 64, 4), np.uint8), r"shape \(64, 64, 4\)"),
        (np.zeros((1, 64, 64, 3), np.uint8), r"shape \(1, 64, 64, 3\).*one photo an array"),
        (np.zeros((0, 64, 3), np.uint8), r"shape \(0, 64, 3\)"),
    ],
)
def test_arrays_that_are_no_photo(classifier: Classifier, image: np.ndarray, sentence: str) -> None:
    with pytest.raises(PhotoError, match=f"image 1 .*{sentence}"):
        classifier.predict([random_image(64, 64), image])


def hand_made(
    path: Path, metadata: dict[str, str], *, image: str = IMAGE, outputs: dict[str, list[int]] | None = None
) -> Path:
    """A file that onnxruntime runs and that gives zeros in these shapes, whatever it is shown."""
    shapes = outputs or {"other": [4]}
    given = helper.make_tensor_value_info(image, TensorProto.UINT8, ["n", "h", "w", 3])
    graph = helper.make_graph(
        [
            helper.make_node(
                "Constant", [], [name], value=numpy_helper.from_array(np.zeros(shape, np.float32))
            )
            for name, shape in shapes.items()
        ],
        "zeros",
        [given],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.onnx is not there; .*python -m export"):
        Classifier(tmp_path / "none.onnx")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"is a folder; name the model\.onnx in it"):
        Classifier(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0 a photo", b"version https://git-lfs"])
def test_a_file_that_is_not_onnx(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="is not an ONNX file"):
        Classifier(path)


@pytest.mark.parametrize(
    ("opset", "ir_version", "sentence"),
    [
        (
            99,
            10,
            r"is written in ONNX opset 99 and onnxruntime \S+ knows up to \d+; update onnxruntime, or write",
        ),
        (18, 99, r"is written in ONNX IR version 99 and onnxruntime \S+ knows up to \d+; update"),
    ],
)
def test_a_file_from_the_future(tmp_path: Path, opset: int, ir_version: int, sentence: str) -> None:
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["image"])], "graph", [value], [value])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match=sentence):
        Classifier(tmp_path / "model.onnx")


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_a_truncated_file(tiny_model: Path, tmp_path: Path, kept: float) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_model.read_bytes()[: int(os.path.getsize(tiny_model) * kept)])
    with pytest.raises(ModelFileError, match=r"or is cut short .*copy it again"):
        Classifier(path)


def test_a_file_without_a_card(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="carries no model card"):
        Classifier(hand_made(tmp_path / "model.onnx", {}))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            tiny_card().to_json().replace('"schema_version": 1', '"schema_version": 99'),
            "schema version is 99",
        ),
        ("not json", "not valid JSON"),
        ('{"schema_version": 1, "name": "x"}', "lacks or misspells a field"),
    ],
)
def test_a_card_of_another_kind(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ModelFileError, match=rf"model\.onnx: .*{sentence}"):
        Classifier(hand_made(tmp_path / "model.onnx", {METADATA_KEY: text}))


def contract_outputs(card: ModelCard) -> dict[str, list[int]]:
    n_lesions = len(card.lesion_labels)
    return {
        "lesion_probabilities": [1, n_lesions],
        "lesion_cam": [1, n_lesions, 2, 2],
        "features": [1, 8],
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": None}, "gives features as nothing and its card promises"),
        ({"lesion_probabilities": [1, 7]}, r"lesion_probabilities as \[1, 7\] .*promises \('\*', 3\)"),
        ({"lesion_cam": [1, 3]}, r"lesion_cam as \[1, 3\]"),
    ],
)
def test_outputs_that_the_card_does_not_promise(
    tmp_path: Path, changes: dict[str, list[int] | None], sentence: str
) -> None:
    outputs = {name: shape for name, shape in (contract_outputs(tiny_card()) | changes).items() if shape}
    path = hand_made(tmp_path / "model.onnx", {METADATA_KEY: tiny_card().to_json()}, outputs=outputs)
    with pytest.raises(ModelFileError, match=sentence):
        Classifier(path)


def test_inputs_of_another_name(tmp_path: Path) -> None:
    path = hand_made(tmp_path / "model.onnx", {METADATA_KEY: tiny_card().to_json()}, image="pixels")
    with pytest.raises(ModelFileError, match=r"takes pixels tensor\(uint8\) .*one input, image, of uint8"):
        Classifier(path)


def test_a_card_of_two_heads_on_a_file_of_one(tmp_path: Path) -> None:
    card = tiny_card(two_heads=True)
    path = hand_made(
        tmp_path / "model.onnx", {METADATA_KEY: card.to_json()}, outputs=contract_outputs(tiny_card())
    )
    with pytest.raises(ModelFileError, match="gives location_probabilities as nothing"):
        Classifier(path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"provider": "tpu"}, "'tpu'; valid are auto, cpu and cuda"), ({"threads": 0}, "is 0")],
)
def test_options_that_are_not_valid(tiny_model: Path, options: dict, sentence: str) -> None:
    with pytest.raises(ModelFileError, match=sentence):
        Classifier(tiny_model, **options)


no_cuda_build = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="onnxruntime-gpu is installed"
)


@no_cuda_build
def test_cuda_without_a_build_for_it(tiny_model: Path) -> None:
    with pytest.raises(ModelFileError, match="built without it; install onnxruntime-gpu in place"):
        Classifier(tiny_model, provider="cuda")


@no_cuda_build
@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider'")
def test_a_build_for_cuda_on_a_machine_without_it(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.raises(ModelFileError, match="could not start it: no NVIDIA GPU"):
        Classifier(tiny_model, provider="cuda")
    assert Classifier(tiny_model, provider="auto").provider == "cpu"
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(tiny_model_two_heads: Path, classifier: Classifier) -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is not installed")
    on_cuda = Classifier(tiny_model_two_heads, provider="cuda")
    assert on_cuda.provider == "cuda"
    image = random_image(120, 90)
    ours, theirs = on_cuda.predict([image])[0], classifier.predict([image])[0]
    scale = np.abs(theirs.lesion_cam).max()
    assert np.abs(ours.lesion_cam - theirs.lesion_cam).max() < 1e-2 * scale

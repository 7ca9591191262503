"""torch, OpenVINO and a Grad-CAM library do the same work on the same photos: their answers say so."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.latency_plan import plan_variants
from benchmarks.latency_variants import (
    CLASSIFIER,
    COMPILED,
    EAGER,
    GRAD_CAM,
    OPENVINO,
    OPENVINO_NNCF,
    Subject,
    drawn_photos,
    open_subject,
)
from export.runtime import Classifier
from training.errors import UserError

openvino_only = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)
PHOTOS = drawn_photos(2, (80, 96))


def answer(kind: str, path: Path) -> Any:
    return open_subject(Subject(kind, str(path), "fp32", threads=1))(PHOTOS)()


def test_torch_eager_answers_as_the_file_does(tiny_run: Path, tiny_model: Path) -> None:
    probabilities, cam, features = (output.numpy() for output in answer(EAGER, tiny_run))
    for i, prediction in enumerate(Classifier(tiny_model).predict(PHOTOS)):
        order = [prediction.lesion_names.index(score.name) for score in prediction.lesions]
        np.testing.assert_allclose(
            [score.probability for score in prediction.lesions], probabilities[i][order], atol=1e-5
        )
        np.testing.assert_allclose(prediction.lesion_cam, cam[i], atol=1e-4 * np.abs(cam).max())
        np.testing.assert_allclose(prediction.features, features[i], atol=1e-4 * np.abs(features).max())


@pytest.mark.filterwarnings("ignore")
def test_the_grad_cam_library_sees_where_the_file_sees(tiny_run: Path, tiny_model: Path) -> None:
    maps, logits = answer(GRAD_CAM, tiny_run)
    assert maps.shape == (2, 64, 64)
    for i, prediction in enumerate(Classifier(tiny_model).predict(PHOTOS)):
        top = prediction.lesion_names[int(logits[i].argmax())]
        assert top == prediction.lesions[0].name
        ours = np.maximum(prediction.cam_of(top), 0).ravel()
        theirs = maps[i].reshape(2, 32, 2, 32).mean(axis=(1, 3)).ravel()
        assert ours.argmax() == theirs.argmax()


@openvino_only
def test_openvino_answers_as_the_file_does(tiny_model: Path) -> None:
    outputs = answer(OPENVINO, tiny_model)
    ours = Classifier(tiny_model).predict(PHOTOS)
    np.testing.assert_allclose(
        outputs["lesion_cam"], np.stack([one.lesion_cam for one in ours]), rtol=0.05, atol=0.05
    )


def test_a_plan_has_every_peer_or_a_sentence(
    tiny_run: Path, tiny_model: Path, tmp_path: Path, monkeypatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "openvino" else found(name, *rest)
    )
    plan = plan_variants([tiny_model], (1, 2), tiny_run, tmp_path)
    kinds = {subject.kind for subject in plan.subjects}
    assert {CLASSIFIER, EAGER, GRAD_CAM} <= kinds
    assert OPENVINO not in kinds
    assert any(sentence.startswith("OpenVINO: not measured") for sentence in plan.left_out)
    assert COMPILED in kinds or any("torch.compile: not measured" in one for one in plan.left_out)
    assert {plan.card_of(subject).architecture for subject in plan.subjects} == {"resnet18"}


@openvino_only
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="nncf is not installed")
def test_openvinos_own_8_bits_run(tiny_run: Path, tiny_model: Path, tmp_path: Path) -> None:
    plan = plan_variants([tiny_model], (1,), tiny_run, tmp_path)
    (subject,) = (subject for subject in plan.subjects if subject.kind == OPENVINO_NNCF)
    assert len(open_subject(subject)(PHOTOS)()) == 3


def test_a_file_of_another_run(tiny_run: Path, tiny_model_two_heads: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not of the run"):
        plan_variants([tiny_model_two_heads], (1,), tiny_run, tmp_path)

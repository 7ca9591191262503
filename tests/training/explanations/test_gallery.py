"""Which errors are shown, and what is said of each."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.tiny_model import make_run, tiny_card
from training.data.manifest import Manifest
from training.explanations import gallery
from training.explanations.figure import overlay, signed_grey
from training.explanations.gallery import (
    Case,
    Choice,
    choose_errors,
    choose_rows,
    explain_choices,
    explain_errors,
    share_inside,
)
from training.models.card import ModelCard
from training.models.checkpoint import Checkpoint, load_checkpoint

LABELS = ("acne", "ulcer", "wheal")


def one_hot(actual: list[int]) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[actual]


def test_the_worst_pair_comes_first_and_in_each_direction_the_largest_margin() -> None:
    logits = np.array([[0, 1, 0], [0, 3, 0], [5, 0, 0], [0, 0, 2], [9, 0, 0]], np.float32)
    choices = choose_errors(logits, one_hot([0, 0, 1, 0, 0]), np.arange(5), LABELS, pairs=5)
    assert choices == [Choice(1, 1, 0), Choice(2, 0, 1), Choice(3, 2, 0)]
    assert choose_errors(logits, one_hot([0, 0, 1, 0, 0]), np.arange(5), LABELS, pairs=1) == choices[:2]


def test_a_patient_is_shown_once_and_the_next_photo_takes_the_place() -> None:
    logits = np.array([[0, 3, 0], [5, 0, 0], [1, 0, 0]], np.float32)
    targets = one_hot([0, 1, 1])
    of_one = choose_errors(logits, targets, np.array(["a", "a", "a"]), LABELS, pairs=3)
    assert of_one == [Choice(0, 1, 0)]
    of_two = choose_errors(logits, targets, np.array(["a", "a", "b"]), LABELS, pairs=3)
    assert of_two == [Choice(0, 1, 0), Choice(2, 0, 1)]


def test_a_photo_of_several_lesions_is_not_an_error_between_two() -> None:
    targets = np.array([[1, 0, 1]], np.float32)
    assert choose_errors(np.array([[0.0, 1, 0]]), targets, np.arange(1), LABELS, 3) == []


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4))
def test_the_rule_holds_on_any_scores(seed: int, n_photos: int, pairs: int) -> None:
    rng = np.random.default_rng(seed)
    logits, actual = rng.normal(size=(n_photos, 3)), rng.integers(0, 3, n_photos)
    groups = rng.integers(0, 10, n_photos)
    choices = choose_errors(logits, one_hot(list(actual)), groups, LABELS, pairs)
    assert len(choices) <= 2 * pairs
    assert len({groups[choice.row] for choice in choices}) == len(choices)
    shown: set[int] = set()
    for choice in choices:
        assert logits[choice.row].argmax() == choice.predicted != choice.against == actual[choice.row]
        margins = [
            logits[row, choice.predicted] - logits[row, choice.against]
            for row in range(n_photos)
            if actual[row] == choice.against
            and logits[row].argmax() == choice.predicted
            and groups[row] not in shown
        ]
        assert logits[choice.row, choice.predicted] - logits[choice.row, choice.against] == max(margins)
        shown.add(groups[choice.row])


def test_a_named_photo_is_held_against_its_true_label_or_the_runner_up() -> None:
    logits = np.array([[3.0, 2, 1], [3, 2, 1], [3, 2, 1]])
    targets = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 1]])
    assert choose_rows(logits, targets, [2, 0, 1]) == [Choice(2, 0, 1), Choice(0, 0, 1), Choice(1, 0, 2)]


def test_the_share_inside_a_mask() -> None:
    heat = np.array([[1.0, 3], [0, 0]])
    assert share_inside(heat, np.array([[0.0, 1], [1, 1]])) == 0.75
    assert share_inside(heat, np.full((2, 2), 0.25)) == 0.25
    assert share_inside(np.zeros((2, 2)), np.ones((2, 2))) is None


def test_heat_is_drawn_on_the_scale_given_and_no_heat_is_the_photo() -> None:
    view = np.random.default_rng(0).random((4, 4, 3))
    np.testing.assert_array_equal(overlay(view, np.zeros((4, 4)), 0.0), view)
    np.testing.assert_array_equal(overlay(view, np.zeros((4, 4)), 7.0), view)
    weak, strong = (np.abs(overlay(view, np.full((4, 4), heat), 7.0) - view).sum() for heat in (0.5, 7.0))
    assert 0 < weak < strong


def test_no_gradient_is_mid_grey() -> None:
    grey = signed_grey(np.array([[[-3.0, 0, 1.5]]]), 3.0)
    np.testing.assert_allclose(grey, [[[0, 0.5, 0.75]]])
    np.testing.assert_array_equal(signed_grey(np.zeros((1, 1, 3)), 0.0), np.full((1, 1, 3), 0.5))


class Given:
    """Six photos, of three patients, each of which the logits take for another label."""

    def __init__(self, folder: Path, card: ModelCard) -> None:
        rng = np.random.default_rng(1)
        self.folder = folder
        self.photos = [rng.integers(0, 256, (90, 110, 3), np.uint8) for _ in range(6)]
        self.rows: list[dict[str, object]] = [
            {"path": f"{row}.png", "lesions": LABELS[row % 3], "group": f"patient {row // 2}"}
            for row in range(6)
        ]
        self.logits = np.roll(one_hot([row % 3 for row in range(6)]), 1, axis=1) * 2
        self.checkpoint: Checkpoint = load_checkpoint(make_run(folder / "run", card))

    @property
    def manifest(self) -> Manifest:
        return Manifest.from_rows("made", self.rows, root=self.folder, lesion_labels=LABELS)

    def with_mask(self, mask: np.ndarray) -> "Given":
        Image.fromarray(mask).save(self.folder / "mask.png")
        for row in self.rows:
            row["mask"] = "mask.png"
        return self

    def explain(self) -> list[Case]:
        network, card = self.checkpoint.network, self.checkpoint.card
        return explain_errors(network, card, self.manifest, self.photos, self.logits, progress=False)


@pytest.fixture
def given_photos(tmp_path: Path) -> Given:
    return Given(tmp_path, tiny_card(crop_fraction=0.9))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time, and is looked at in tests of its own."""
    monkeypatch.setattr(gallery, "draw_case", lambda view_rgb, panels, mask: b"")


def test_each_error_becomes_a_case_with_a_picture(given_photos: Given) -> None:
    cases = given_photos.explain()
    assert len(cases) == 3
    for case in cases:
        with Image.open(io.BytesIO(case.figure_png)) as figure:
            assert figure.format == "PNG"
            assert figure.width > figure.height > 300
        assert case.is_error
        assert case.actual == (case.against.label,)
        assert case.margin == 2.0
        assert case.predicted.probability == pytest.approx(1 / (1 + np.exp(-2.0)))
        assert case.lesion_share is None
        assert case.predicted.heat_in_lesion is None
        assert case.note == ""
        assert json.loads(json.dumps(case.to_json())) == case.to_json()
        assert "figure_png" not in case.to_json()
    assert len({case.group for case in cases}) == 3


def test_the_same_again_gives_the_same(given_photos: Given) -> None:
    assert given_photos.explain() == given_photos.explain()


@pytest.mark.usefixtures("undrawn")
def test_without_an_error_there_is_no_case(given_photos: Given) -> None:
    given_photos.logits = given_photos.manifest.lesion_targets()
    assert given_photos.explain() == []


@pytest.mark.usefixtures("undrawn")
def test_the_softmaxs_probabilities_are_calibrated(tmp_path: Path) -> None:
    given_photos = Given(tmp_path, tiny_card(activation="softmax", temperature=2.0))
    for case in given_photos.explain():
        assert case.predicted.probability == pytest.approx(np.e / (np.e + 2))


@pytest.mark.usefixtures("undrawn")
def test_a_mask_of_everything_holds_all_the_heat(given_photos: Given) -> None:
    cases = given_photos.with_mask(np.full((90, 110), 255, np.uint8)).explain()
    for case in cases:
        assert case.lesion_share == pytest.approx(1.0, abs=1e-5)
        for evidence in (case.predicted, case.against):
            assert (evidence.heat_in_lesion is None) == (evidence.greatest_heat == 0)
            assert evidence.heat_in_lesion in (None, pytest.approx(1.0, abs=1e-5))


@pytest.mark.usefixtures("undrawn")
def test_the_mask_is_cropped_with_the_photo(given_photos: Given) -> None:
    mask = np.zeros((45, 55), np.uint8)  # Half the photo's size, as some published masks are.
    mask[:, 27:] = 255
    x0, _, x1, _ = given_photos.checkpoint.card.preprocessing.view_box(90, 110)
    for case in given_photos.with_mask(mask).explain():
        assert case.lesion_share == pytest.approx((x1 - 54.5) / (x1 - x0), abs=0.02)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.full((90, 90), 255, np.uint8), "not of the photo's shape"),
        (np.zeros((90, 110), np.uint8), "nothing white"),
        (np.full((8, 8), 255, np.uint8), "at least 32"),
    ],
    ids=["another shape", "empty", "no photo"],
)
def test_a_mask_that_cannot_serve_is_said_to_be_so(given_photos: Given, mask: np.ndarray, words: str) -> None:
    for case in given_photos.with_mask(mask).explain():
        assert words in case.note
        assert case.lesion_share is None
        assert case.predicted.heat_in_lesion is None


@pytest.mark.usefixtures("undrawn")
def test_the_network_and_the_photos_are_left_alone(given_photos: Given) -> None:
    network = given_photos.checkpoint.network.train()
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    photos = [photo.copy() for photo in given_photos.photos]
    for photo in given_photos.photos:
        photo.flags.writeable = False  # As the cache's are.
    given_photos.explain()
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())
    assert all(map(np.array_equal, given_photos.photos, photos))


@pytest.mark.usefixtures("undrawn")
def test_a_right_answer_is_held_against_the_runner_up(given_photos: Given) -> None:
    network, card = given_photos.checkpoint.network, given_photos.checkpoint.card
    logits = np.full((6, 3), [2.0, 1.0, 0.0])
    (case,) = explain_choices(
        network, card, given_photos.manifest, given_photos.photos, logits, [Choice(0, 0, 1)], progress=False
    )
    assert not case.is_error
    assert case.actual == ("acne",)
    assert case.against.label == "ulcer"
    assert dataclasses.replace(case, actual=("wheal",)).is_error

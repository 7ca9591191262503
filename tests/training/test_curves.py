"""Curves over field of view, distance and gamma: known in closed form on photos made here."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from capture_app.tone import MAX_GAMMA, MIN_GAMMA, apply_gamma
from tests.tiny_model import make_run, tiny_card, write_model
from training import curves as command
from training.data.datasets.phantom import LABELS as PHANTOM_LABELS
from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.errors import DataError, PhotoError
from training.evaluation.calibration import probabilities
from training.evaluation.crops import lesion_box, square_about
from training.evaluation.curves import (
    Change,
    Curve,
    claim_sentence,
    distance_curve,
    field_of_view_curve,
    gamma_curve,
    measure,
    summarise,
)
from training.evaluation.distance import Distance
from training.evaluation.predictors import open_predictor
from training.evaluation.scoring import open_model
from training.evaluation.sweeps import FieldOfView, Tone
from training.evaluation.tone import change_tone, exposure_table, gamma_table
from training.models.card import Preprocessing

VIEW = Preprocessing(input_size=32, decode_min_side=40)
ORIENTATION_TAG = 0x0112
STORED_BOX = (10, 20, 50, 44)


def save(path: Path, image: np.ndarray, orientation: int = 1) -> str:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    Image.fromarray(image).save(path, exif=exif)
    return path.name


def manifest_of(
    folder: Path, rows: list[dict[str, object]], labels: tuple[str, ...] = ("dark", "bright")
) -> Manifest:
    return Manifest.from_rows("made", rows, root=folder, lesion_labels=labels)


def noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def by_brightness(images: list[np.ndarray]) -> np.ndarray:
    """The probability of `bright` is the photo's mean value."""
    bright = np.array([image.mean() / 255 for image in images])
    return np.stack([1 - bright, bright], axis=1)


@pytest.fixture
def greys(tmp_path):
    """Even photos, two a patient, half of them of each label."""
    rows = [
        {
            "path": save(tmp_path / f"{level}.png", np.full((48, 48, 3), level, np.uint8)),
            "lesions": "bright" if index % 2 else "dark",
            "group": index // 2,
            "box": "8 8 24 24",
        }
        for index, level in enumerate((40, 90, 130, 150, 180, 220))
    ]
    return manifest_of(tmp_path, rows)


def test_gamma_1_and_no_stops_change_nothing():
    image = noise(np.random.default_rng(0), 20, 30)
    np.testing.assert_array_equal(change_tone(image), image)


@pytest.mark.parametrize("gamma", [MIN_GAMMA, 0.8, 1.0, 1.2, 1.5, MAX_GAMMA])
def test_gamma_is_the_apps(gamma):
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(change_tone(image, gamma=gamma), apply_gamma(image, gamma))


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("nan")])
def test_a_gamma_that_is_not_above_0_is_an_error(gamma):
    with pytest.raises(ValueError, match="above 0"):
        gamma_table(gamma)


def test_a_stop_is_a_factor_of_two_in_linear_light():
    light = np.arange(256) / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    for ev in (-2, -1, 1):
        aimed = np.minimum(light * 2.0**ev, 1)
        half_a_level = np.gradient(light) * 0.51
        got = light[exposure_table(ev)]
        assert (np.abs(got - aimed) <= np.maximum(half_a_level[exposure_table(ev)], 1e-9) * 1.2).all()
    assert exposure_table(1)[-1] == exposure_table(1)[220] == 255  # cut off at white
    assert (np.diff(exposure_table(-1).astype(int)) >= 0).all()


def test_a_brightness_toy_gives_the_gamma_curve_in_closed_form(greys):
    for ev in (0.0, -1.0):
        curve = gamma_curve(by_brightness, greys, VIEW, exposure_ev=ev, progress=False)
        levels = exposure_table(ev)[[40, 90, 130, 150, 180, 220]]
        for x, probability, accuracy in zip(
            curve.x, curve.true_probability.value, curve.accuracy.value, strict=True
        ):
            bright = gamma_table(x)[levels] / 255
            own = np.where(np.arange(6) % 2, bright, 1 - bright)
            assert probability == pytest.approx(own.mean())
            assert accuracy == pytest.approx((own > 0.5).mean())


def test_a_white_lesion_on_black_gives_the_field_of_view_in_closed_form(tmp_path):
    image = np.zeros((160, 160, 3), np.uint8)
    image[60:100, 60:100] = 255
    path = save(tmp_path / "white.png", image)
    manifest = manifest_of(tmp_path, [{"path": path, "lesions": "bright", "box": "60 60 100 100"}])
    sweep = FieldOfView.of(manifest, VIEW, steps=5)
    curve = measure(by_brightness, sweep, progress=False)
    sides = [side for _, _, side in sweep.squares(0)]
    assert sides == [round(40 * 4**x) for x in sweep.x]
    np.testing.assert_allclose(curve.true_probability.value, [(40 / side) ** 2 for side in sides], atol=1e-6)
    assert curve.x_notes == ("100%", "70%", "50%", "35%", "25%")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("marked", ["box", "mask"])
def test_box_and_mask_follow_the_photo_when_it_is_set_upright(tmp_path, orientation, marked):
    x0, y0, x1, y1 = STORED_BOX
    stored = np.zeros((64, 96, 3), np.uint8)
    stored[y0:y1, x0:x1] = 255
    path = tmp_path / "photo.png"
    save(path, stored, orientation)
    Image.fromarray(stored[..., 0]).resize((192, 128), Image.Resampling.NEAREST).save(tmp_path / "mask.png")
    box, mask = (" ".join(map(str, STORED_BOX)), "") if marked == "box" else ("", str(tmp_path / "mask.png"))
    fractions, (height, width) = lesion_box(str(path), box, mask)
    upright = read_photo(path)
    assert upright.original_size_hw == (height, width)
    left, top, right, bottom = (fractions * (width, height, width, height)).round().astype(int)
    inside = np.zeros((height, width), bool)
    inside[top:bottom, left:right] = True
    np.testing.assert_array_equal(upright.image_rgb[..., 0] == 255, inside)


@pytest.mark.parametrize(
    ("box", "words"),
    [("1 2 3", "four numbers"), ("0 0 400 10", "does not lie in"), ("30 0 20 10", "does not lie in")],
)
def test_a_box_that_cannot_be_is_a_sentence(tmp_path, box, words):
    save(tmp_path / "photo.png", np.zeros((64, 96, 3), np.uint8))
    with pytest.raises(PhotoError, match=words):
        lesion_box(str(tmp_path / "photo.png"), box, "")


@pytest.mark.parametrize(("size", "words"), [((64, 96), "has the shape"), ((96, 64), "no lesion is marked")])
def test_a_mask_that_does_not_fit_or_is_empty_is_a_sentence(tmp_path, size, words):
    save(tmp_path / "photo.png", np.zeros((64, 96, 3), np.uint8))
    Image.new("L", size).save(tmp_path / "mask.png")
    with pytest.raises(PhotoError, match=words):
        lesion_box(str(tmp_path / "photo.png"), "", str(tmp_path / "mask.png"))


@given(
    st.integers(40, 300),
    st.integers(40, 300),
    st.integers(1, 400),
    st.floats(-0.5, 1.5),
    st.floats(-0.5, 1.5),
)
def test_squares_stay_inside_and_about_their_point_where_they_can(height, width, side, x, y):
    x0, y0, got = square_about(x * width, y * height, side, height, width)
    assert got == min(side, height, width)
    assert 0 <= x0 <= width - got
    assert 0 <= y0 <= height - got
    if got / 2 + 1 < x * width < width - got / 2 - 1:
        assert abs(x0 + got / 2 - x * width) <= 0.5


@pytest.mark.parametrize("suffix", ["run", pytest.param("onnx", marks=pytest.mark.slow)])
def test_the_whole_photo_scores_as_always(tmp_path, suffix):
    rng = np.random.default_rng(1)
    card = tiny_card(crop_fraction=0.875, temperature=1.7)
    model = make_run(tmp_path / "run", card)
    labels = tuple(label.name for label in card.lesion_labels)
    rows = [
        {
            "path": save(tmp_path / f"{i}.png", noise(rng, height, width), orientation),
            "lesions": labels[i],
            "box": "20 30 60 70",
        }
        for i, (height, width, orientation) in enumerate([(200, 300, 1), (170, 170, 3), (350, 180, 6)])
    ]
    manifest = manifest_of(tmp_path, rows, labels)
    usual = []
    _, score = open_model(model)
    for path in manifest.table["path"]:
        image = read_photo(path, min_side=card.preprocessing.decode_min_side).image_rgb
        usual.append(probabilities(score(image[None])[0], card.activation, card.temperature)[0])
    card, predict = open_predictor(write_model(model) if suffix == "onnx" else model, "cpu")
    for sweep in (FieldOfView.of(manifest, card.preprocessing, 3), Tone(manifest, card.preprocessing)):
        at = sweep.x.index(1.0)
        for row in range(3):
            np.testing.assert_allclose(predict(sweep.views(row))[at], usual[row], atol=2e-5)


def test_the_networks_crop_is_made_up_for(tmp_path):
    """A card that crops half of a photo still sees the lesion's whole box in the smallest view."""
    image = np.zeros((256, 256, 3), np.uint8)
    image[96:160, 96:160] = 255
    row = {"path": save(tmp_path / "a.png", image), "lesions": "bright", "box": "96 96 160 160"}
    view = Preprocessing(input_size=32, decode_min_side=64, crop_fraction=0.5)
    smallest = FieldOfView.of(manifest_of(tmp_path, [row]), view).views(0)[0]
    assert (smallest == 255).mean() == pytest.approx(0.25)
    x0, y0, x1, y1 = view.view_box(*smallest.shape[:2])
    assert (smallest[y0:y1, x0:x1] == 255).all()


def test_a_constant_answer_gives_flat_curves_and_shows_nothing(greys):
    def constant(images):
        return np.tile([0.3, 0.7], (len(images), 1))

    curves = (
        gamma_curve(constant, greys, VIEW, progress=False),
        field_of_view_curve(constant, greys, VIEW, steps=4, progress=False),
        distance_curve(
            constant, PHANTOM_LABELS[:2], n_per_label=1, distances=(1.0, 2.0), size=64, progress=False
        ),
    )
    for curve in curves:
        for band in (curve.accuracy, curve.balanced_accuracy, curve.true_probability):
            assert len(set(band.value)) == len(set(band.low)) == len(set(band.high)) == 1
            assert band.value[0] == pytest.approx(0.5)
        assert not any(curve.accuracy_difference.value + curve.true_probability_difference.high)
        assert ": inside the noise." in claim_sentence(curve)


class Made:
    """A sweep of scores alone."""

    name, condition, x_label, x, x_notes = "gamma", "as they are", "gamma", (0.8, 1.0, 1.3, 1.5), ("",) * 4
    reference, claimed, labels = 1.0, (1.3, 1.5), ("a", "b", "c")

    def __init__(self, actual: np.ndarray, groups: np.ndarray) -> None:
        self.actual, self.groups = actual, groups

    def views(self, row: int) -> list[np.ndarray]:
        raise AssertionError("the scores are given; no photo is looked at")


def curve_of(scores: np.ndarray, actual: np.ndarray, groups: np.ndarray) -> Curve:
    return summarise(Made(actual, groups), np.arange(len(actual)), scores)


@settings(max_examples=4, deadline=None)
@given(arrays(np.float64, (24, 4, 3), elements=st.floats(0, 1)), st.integers(0, 2**31))
def test_intervals_hold_the_point_and_whole_groups_are_drawn(scores, seed):
    rng = np.random.default_rng(seed)
    actual, groups = np.arange(24) % 3, rng.integers(0, 9, 24)
    curve = curve_of(scores, actual, groups)
    for band in (curve.accuracy, curve.true_probability, curve.accuracy_difference):
        for value, low, high in zip(band.value, band.low, band.high, strict=True):
            assert low - 1e-9 <= value <= high + 1e-9
    # Every photo twice in its group is no more evidence than once.
    twice = curve_of(np.repeat(scores, 2, 0), np.repeat(actual, 2), np.repeat(groups, 2))
    np.testing.assert_allclose(twice.accuracy.low, curve.accuracy.low)
    np.testing.assert_allclose(twice.true_probability_difference.high, curve.true_probability_difference.high)


def test_differences_are_of_the_same_photos_and_decide_by_the_rule():
    rng = np.random.default_rng(3)
    actual, groups = np.arange(60) % 3, np.arange(60)
    own = np.eye(3)[actual]
    hard = rng.random(60) < 0.5
    scores = np.where(hard[:, None, None], 1 - own[:, None], own[:, None]).repeat(4, axis=1).astype(float)
    scores[:12, 2:] = own[:12, None]  # 12 photos are right at the claimed gammas, whatever they were before
    better = curve_of(scores, actual, groups)
    gained = hard[:12].sum() / 60
    assert better.accuracy_change.value == pytest.approx(gained)
    assert better.accuracy_change.verdict == "holds"
    width = better.accuracy_difference.high[2] - better.accuracy_difference.low[2]
    assert width < better.accuracy.high[2] - better.accuracy.low[2]
    assert "improves predictions, photos as they are: holds." in claim_sentence(better)
    worse = curve_of(scores[:, [2, 2, 0, 1]], actual, groups)
    assert worse.accuracy_change.verdict == "does not hold"
    assert Change(0.1, 0.0, 0.2).verdict == "inside the noise"
    assert better.examples[0].rule == "gains most"
    gains = better.examples[0].true_probability
    assert gains[2] - gains[1] == 1


def test_balanced_accuracy_counts_each_label_the_same():
    actual = np.array([0] * 9 + [1])
    scores = np.zeros((10, 4, 3))
    scores[..., 0] = 1
    curve = curve_of(scores, actual, np.arange(10))
    assert curve.accuracy.value[0] == pytest.approx(0.9)
    assert curve.balanced_accuracy.value[0] == pytest.approx(0.5)


def test_distances_show_the_same_lesion_smaller():
    sweep = Distance(("other", *PHANTOM_LABELS[:3]), n_per_label=2, distances=(0.8, 1.6, 3.2), size=96)
    assert sweep.actual.tolist() == [1, 1, 2, 2, 3, 3]
    assert (sweep.reference, sweep.claimed) == (3.2, (0.8, 1.6))
    again = sweep.views(4)
    for view, same in zip(sweep.views(4), again, strict=True):
        np.testing.assert_array_equal(view, same)
    assert len({view.tobytes() for view in again}) == 3


def test_labels_that_the_phantom_does_not_draw_are_a_sentence():
    with pytest.raises(DataError, match="draws none of them"):
        Distance(("naevus",))


def test_without_box_or_mask_there_is_no_field_of_view(tmp_path, greys):
    bare = greys.table.assign(box="")
    manifest = Manifest("bare", bare, greys.lesion_labels)
    with pytest.raises(DataError, match="no photo of bare has a lesion's box or mask"):
        FieldOfView.of(manifest, VIEW)
    with pytest.raises(DataError, match="at least 2"):
        FieldOfView.of(greys, VIEW, steps=1)


def test_photos_that_cannot_be_read_are_left_out_and_said(greys):
    table = greys.table.copy()
    table.loc[1, "path"] = table["path"][1] + ".gone"
    manifest = Manifest("made", table, greys.lesion_labels)
    curve = gamma_curve(by_brightness, manifest, VIEW, progress=False)
    assert curve.n_photos == 5
    assert "cannot be read" in curve.left_out[0]
    table["path"] = "nowhere.png"
    with pytest.raises(DataError, match="no photo can be read"):
        gamma_curve(by_brightness, Manifest("made", table, greys.lesion_labels), VIEW, progress=False)


@pytest.mark.parametrize("gammas", [(0.8, 1.2), (0.8, 1.0), (0.0, 1.0, 1.3)])
def test_gammas_that_test_nothing_are_a_sentence(greys, gammas):
    with pytest.raises(DataError, match="hold 1"):
        Tone(greys, VIEW, gammas)


@pytest.mark.slow
def test_the_command_writes_a_page_and_the_numbers(tmp_path, capsys):
    rng = np.random.default_rng(5)
    card = tiny_card()
    run = make_run(tmp_path / "run", card)
    labels = [label.name for label in card.lesion_labels]
    rows = [
        {"path": save(tmp_path / f"{i}.png", noise(rng, 90, 90)), "lesions": labels[i % 3], "group": i // 2}
        for i in range(6)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    arguments = [str(run), "--data", str(tmp_path / "manifest.csv"), "--phantoms", "1", "--device", "cpu"]
    assert command.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "not measured: Field of view: no photo" in said.err
    numbers = json.loads((tmp_path / "out" / "curves.json").read_text())
    assert [curve["name"] for curve in numbers["curves"]] == ["distance", "gamma", "gamma", "gamma"]
    assert numbers["part"] == "all"
    page = (tmp_path / "out" / "curves.html").read_text()
    for curve in numbers["curves"]:
        assert curve["sentence"] in said.out
        assert curve["sentence"] in page
    assert "://" not in page
    assert "image/jpeg" in page
    assert command.main([*arguments, "--out", str(tmp_path / "bare"), "--no-examples"]) == 0
    assert "image/jpeg" not in (tmp_path / "bare" / "curves.html").read_text()

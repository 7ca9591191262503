"""The flash benchmark: pairs of known truth, errors that are none where nothing is wrong, shares that add up."""

import numpy as np
import pytest

from benchmarks.flash_pair import CHANGED, GOOD, KINDS, WRONG, Source, drawn, format_table, score_looks
from benchmarks.flash_plots import plot_pairs
from benchmarks.flash_scores import against_truth, colour_error, judge, motion, registration_error, summarise
from capture_app.flash.light import linearise
from tests.capture_app import flash_pairs

SIDE = 192
SKIN = linearise(flash_pairs.skin())


class Skin(Source):
    """Speckled skin, another one for another index."""

    def photo(self, index: int) -> np.ndarray:
        return flash_pairs.skin(index)


SOURCE = Skin("skin", 7)


def test_a_pair_is_the_same_whenever_it_is_drawn_and_its_own_truth_has_no_error():
    pair, again = (drawn(SOURCE, 0, GOOD, SIDE) for _ in range(2))
    assert np.array_equal(pair.flash_rgb, again.flash_rgb)
    assert registration_error(pair.homography, pair) == 0
    assert registration_error(np.eye(3), pair) == pytest.approx(motion(pair) * SIDE)
    assert 0 < motion(pair) < 0.2


def test_a_pair_moves_as_far_as_it_is_told_to():
    assert motion(drawn(SOURCE, 0, GOOD, SIDE, shift=0.3)) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_two_photos_of_its_side(kind):
    pair = drawn(SOURCE, 1, kind, SIDE)
    assert pair.ambient_rgb.shape == pair.flash_rgb.shape == (SIDE, SIDE, 3)
    lighter = pair.flash_rgb.mean() > pair.ambient_rgb.mean()
    assert lighter or kind in ("flash did not fire", "flash given first", *CHANGED)


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_pair_says_why_it_is_refused(kind):
    row, found = judge(drawn(SOURCE, 2, kind, SIDE))
    assert found is None
    assert row["why"].startswith("pair_")


def test_exposure_is_no_error_of_colour_and_another_colour_is():
    assert colour_error(0.5 * SKIN, SKIN) < 0.5
    assert colour_error(SKIN * np.float32([1.3, 1, 0.7]), SKIN) > 5


def test_shine_that_is_not_found_is_an_error_of_one():
    pair = flash_pairs.drawn()
    row, found = judge(pair)
    assert row["accepted"]
    assert row["shine_error"] < 1
    nothing = type(found)(**{**vars(found), "specular": np.zeros_like(found.specular)})
    assert against_truth(nothing, pair)["shine_error"] == pytest.approx(1)


def test_a_summary_counts_what_was_refused_and_takes_medians_of_the_rest():
    colours = {"colour_plain": 4.0, "colour_flash": 3.0, "shine_error": 0.5}
    rows = [
        {"accepted": True, "error_px": 1.0, "colour_reflectance": 2.0, **colours},
        {"accepted": True, "error_px": 3.0, "colour_reflectance": 6.0, **colours},
        {"accepted": False, "why": "pair_unlike"},
        {"accepted": False, "why": "pair_unlike"},
    ]
    found = summarise(rows)
    assert (found["pairs"], found["accepted"], found["refused_as"]) == (4, 0.5, {"pair_unlike": 2})
    assert found["error_px"]["median"] == 2
    assert found["nearer_than_plain"] == 0.5
    assert "50%" in format_table({"skin": {GOOD: found, "washed out": summarise(rows[2:])}})


def test_a_refused_pair_leaves_the_model_with_the_plain_photo():
    def predict(images: list[np.ndarray]) -> np.ndarray:
        return np.array([[image.mean(), image.std()] for image in images])

    pair = flash_pairs.drawn()
    _, found = judge(pair)
    accepted, refused = (score_looks(predict, pair, one) for one in (found, None))
    assert accepted.shape == refused.shape == (2, 3, 2)
    assert len(np.unique(accepted[1, :, 0])) == 3
    assert len(np.unique(refused[1, :, 0])) == 1


def test_the_picture_is_a_png():
    assert plot_pairs([flash_pairs.drawn()])[:4] == b"\x89PNG"

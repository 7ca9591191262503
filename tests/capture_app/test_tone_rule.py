"""The suggested gamma leaves clean photos alone, whatever the skin's tone, and brightens dark ones."""

import numpy as np
import pytest

from capture_app.locate import read_scene
from capture_app.tone import MAX_GAMMA, apply_gamma
from capture_app.tone_rule import (
    CLEAN_LUMA,
    DARK_LUMA,
    DARK_SKIN_DARK_LUMA,
    ORDINARY_REDNESS,
    Skin,
    measure_skin,
    suggest_gamma,
)
from training.data.datasets.phantom import draw_photo
from training.data.datasets.phantom_capture import Capture

ORDINARY, RED = ORDINARY_REDNESS - 0.3, ORDINARY_REDNESS + 0.3


def suggested(photo):
    return suggest_gamma(measure_skin(read_scene(photo)))


@pytest.mark.parametrize("luma", [DARK_LUMA, 120.0, 200.0, 255.0])
def test_skin_in_good_or_too_much_light_gets_no_gamma(luma):
    assert suggest_gamma(Skin(luma, ORDINARY)) == 1


@pytest.mark.parametrize("redness", [ORDINARY, RED])
def test_the_darker_the_more_gamma_up_to_what_the_page_has(redness):
    gammas = [suggest_gamma(Skin(float(luma), redness)) for luma in range(256)]
    below = DARK_LUMA if redness == ORDINARY else DARK_SKIN_DARK_LUMA
    assert (np.diff(gammas) <= 0).all()
    assert gammas[0] == MAX_GAMMA
    assert all((gamma > 1) == (luma < below) for luma, gamma in enumerate(gammas))
    assert all(round(gamma / 0.05) * 0.05 == pytest.approx(gamma, abs=1e-9) for gamma in gammas)


@pytest.mark.parametrize("luma", [60.0, 70.0, 85.0])
def test_the_gamma_brings_the_skin_to_where_clean_photos_begin_and_no_further(luma):
    after = 255 * (luma / 255) ** (1 / suggest_gamma(Skin(luma, ORDINARY)))
    assert luma < after
    assert after == pytest.approx(CLEAN_LUMA, abs=4)


@pytest.mark.parametrize("tone", [1, 2, 3, 4, 5, 6])
def test_a_dark_skin_is_no_dark_photo(tone):
    photos = [draw_photo(99, subject, location="arm", tone=tone, size=192).image_rgb for subject in range(3)]
    assert [suggested(photo) for photo in photos] == [1.0] * 3


def test_a_dark_photo_is_brightened_and_no_further_than_clean_photos():
    dark = draw_photo(99, 1, location="arm", tone=2, size=192, capture=Capture(ev=-3.0)).image_rgb
    gamma = suggested(dark)
    assert gamma > 1.2
    before, after = (measure_skin(read_scene(photo)) for photo in (dark, apply_gamma(dark, gamma)))
    assert before.luma < after.luma <= CLEAN_LUMA + 6


def test_light_leaves_the_redness_and_a_red_skin_has_more():
    grey = np.full((64, 64, 3), 120, np.uint8)
    red = grey.copy()
    red[..., 0] = 180
    half = np.round(red * 0.5 ** (1 / 2.2)).astype(np.uint8)
    of_grey, of_red, of_half = (measure_skin(read_scene(photo)).redness for photo in (grey, red, half))
    assert of_grey == pytest.approx(0, abs=0.01)
    assert of_red > 1
    assert of_half == pytest.approx(of_red, abs=0.12)


def test_a_black_photo_is_brightened_without_a_fault():
    assert suggested(np.zeros((80, 80, 3), np.uint8)) == MAX_GAMMA

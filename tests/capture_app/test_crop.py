"""The square of the closer look: inside the photo, the same on every decoding, suggested about small lesions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_app.closer import first_square, pixels_used
from capture_app.correction import Correction
from capture_app.crop import read_square
from capture_app.crop.square import (
    MIN_CROP_PX,
    SMALL_EXTENT,
    USUAL_EXTENT,
    Square,
    clamped,
    cut,
    smallest_side,
    square_about,
    suggest_square,
    whole,
)
from capture_app.locate import Lesion
from capture_app.quality import check_photo
from capture_app.reading import read_capture_bytes, sharpened
from capture_app.words import words_in
from tests.capture_app.harness import lesion_jpeg
from tests.capture_app.test_quality import draw_lesion
from tests.tiny_model import tiny_card
from training.errors import PhotoError
from training.models.card import Preprocessing

PLACES = st.floats(-2, 3)
SIDES = st.integers(1, 1200)


def lesion_at(extent: float, size_hw: tuple[int, int], *, x=0.5, y=0.5, likelihood=1.0) -> Lesion:
    height, width = size_hw
    half = extent * min(size_hw) / 2
    box = tuple(round(v) for v in (x * width - half, y * height - half, x * width + half, y * height + half))
    return Lesion(box, (x - 0.5, y - 0.5), extent, 0.0, likelihood)


@given(PLACES, PLACES, PLACES, SIDES, SIDES)
def test_a_square_lies_inside_the_photo_whatever_is_asked_for(x, y, side, height, width):
    square = clamped(x, y, side, (height, width))
    x0, y0, pixels = square.pixels((height, width))
    assert x0 >= 0
    assert y0 >= 0
    assert x0 + pixels <= width
    assert y0 + pixels <= height
    assert pixels >= min(MIN_CROP_PX, height, width)
    again = clamped(square.x, square.y, square.side, (height, width))
    assert (again.x, again.y, again.side) == pytest.approx((square.x, square.y, square.side))


@given(st.floats(0.3, 0.7), st.floats(0.3, 0.7), st.floats(0.25, 1))
def test_a_square_means_the_same_on_every_decoding(x, y, side):
    square = clamped(x, y, side, (600, 800))
    small, large = (np.array(square.pixels(size)) for size in ((600, 800), (3000, 4000)))
    assert np.abs(small * 5 - large).max() <= 5


def test_a_square_survives_the_sharpened_picture():
    card = tiny_card()
    reading = read_capture_bytes(lesion_jpeg(lesion="crust", size=2048), "lesion.jpg", card)
    sharp = sharpened(reading)
    assert sharp.shown.shape != reading.shown.shape
    before, after = (first_square(seen.quality, seen.shown.shape)[0] for seen in (reading, sharp))
    assert (after.x, after.y) == pytest.approx((before.x, before.y), abs=0.01)
    assert after.side == pytest.approx(before.side, abs=0.01)


def test_a_small_lesion_takes_its_usual_share_of_the_suggested_square():
    extent = 0.15
    square = suggest_square(lesion_at(extent, (900, 1200), x=0.3), (900, 1200))
    assert square is not None
    assert extent / square.side == pytest.approx(USUAL_EXTENT, rel=0.01)
    assert (square.x, square.y) == pytest.approx((0.3, 0.5), abs=0.01)


@pytest.mark.parametrize(("x", "y"), [(0.02, 0.5), (0.98, 0.98), (0.5, 0.01)])
def test_a_lesion_at_the_edge_keeps_its_square_inside(x, y):
    size = (400, 600)
    x0, y0, side = square_about(lesion_at(0.12, size, x=x, y=y), size).pixels(size)
    assert 0 <= x0 <= x * 600 < x0 + side <= 600
    assert 0 <= y0 <= y * 400 < y0 + side <= 400


def test_nothing_is_suggested_about_a_large_or_an_unlikely_lesion():
    size = (300, 300)
    assert suggest_square(lesion_at(SMALL_EXTENT, size), size) is None
    assert suggest_square(lesion_at(0.12, size, likelihood=0.3), size) is None
    assert suggest_square(lesion_at(0.12, size), size) is not None


def test_without_a_lesion_the_square_is_what_the_answer_saw():
    quality = replace(check_photo(draw_lesion()), lesion=None)
    square, suggested = first_square(quality, (300, 400))
    assert not suggested
    assert square.pixels((300, 400)) == (50, 0, 300) == whole((300, 400)).pixels((300, 400))


def test_cutting_takes_the_square_and_leaves_the_photo():
    photo = draw_lesion()
    kept = photo.copy()
    square = Square(0.5, 0.5, 0.5)
    x0, y0, side = square.pixels(photo.shape)
    assert np.array_equal(cut(photo, square), photo[y0 : y0 + side, x0 : x0 + side])
    assert np.array_equal(photo, kept)


def test_a_small_photo_has_no_smaller_square_than_itself():
    assert smallest_side((64, 90)) == 1
    assert clamped(0.1, 0.1, 0.2, (64, 90)).pixels((64, 90)) == (0, 0, 64)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "square",
        {"x": 0.5, "y": 0.5},
        {"x": "0.5", "y": 0.5, "side": 1},
        {"x": True, "y": 0.5, "side": 1},
        {"x": math.nan, "y": 0.5, "side": 1},
        {"x": 0.5, "y": math.inf, "side": 1},
    ],
)
def test_what_is_no_square_is_one_sentence(sent):
    with pytest.raises(PhotoError, match=r"^The square arrived incomplete .*; move it again\.$"):
        read_square(sent, (300, 300))


def test_the_words_say_which_pixels_were_used():
    whole_view, cropped = (Preprocessing(32, 40, crop_fraction=share) for share in (1.0, 0.8))

    def used(preprocessing, correction):
        return pixels_used(Square(0.5, 0.5, 0.25), (3000, 4000), preprocessing, correction, words_in("en"))

    assert "750 × 750 of the photo’s 4000 × 3000" in used(whole_view, Correction())
    assert "gamma" not in used(whole_view, Correction())
    assert "600 × 600" in used(cropped, Correction())
    assert "gamma 1.20" in used(whole_view, Correction(1.2))

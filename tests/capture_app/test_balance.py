"""White balance: undoes a tint and keeps the luminance; suggested only where a photo is tinted."""

import cv2
import numpy as np
import pytest

from capture_app.balance import (
    TINTED_STOPS,
    USUAL_COLOUR,
    apply_balance,
    light_colour,
    measure_tint,
    suggest_balance,
    tint_stops,
    to_light,
    to_stored,
    without_luminance,
)
from tests.capture_app.test_quality import draw_lesion


def usual_photo() -> np.ndarray:
    """A drawn lesion in the usual light."""
    photo = draw_lesion(size=128)
    return apply_balance(photo, measure_tint(photo))


def tinted(photo: np.ndarray, red_to_blue: float) -> np.ndarray:
    return apply_balance(photo, (red_to_blue / 2, 0.0, -red_to_blue / 2))


def test_stored_values_survive_the_way_to_light_and_back():
    assert to_stored(to_light(np.arange(256))) == pytest.approx(np.arange(256), abs=0.01)


def test_no_tint_changes_nothing():
    photo = draw_lesion()
    assert np.array_equal(apply_balance(photo, (0.0, 0.0, 0.0)), photo)


@pytest.mark.parametrize("red_to_blue", [-1.2, -0.6, 0.6])
def test_a_tint_is_taken_out_again(red_to_blue):
    photo = usual_photo()
    worse = tinted(photo, red_to_blue)
    undone = apply_balance(worse, measure_tint(worse))
    off, left = (np.abs(image.astype(int) - photo).mean() for image in (worse, undone))
    assert left < 0.3 * off
    off_usual = light_colour(undone) - np.array(USUAL_COLOUR)
    assert np.ptp(off_usual) < 0.15


def test_it_is_suggested_for_tinted_photos_only():
    photo = usual_photo()
    assert tint_stops(measure_tint(photo)) < 0.2
    assert suggest_balance(photo) is None
    assert suggest_balance(tinted(photo, -TINTED_STOPS - 0.3)) is not None


def test_a_balance_keeps_the_luminance_of_grey():
    red, green, blue = without_luminance(np.array([0.5, 0.0, -0.5]))
    moved = apply_balance(np.full((8, 8, 3), 128, np.uint8), (red, green, blue))
    assert moved[0, 0, 0] > 128 > moved[0, 0, 2]
    assert int(cv2.cvtColor(moved, cv2.COLOR_RGB2GRAY)[0, 0]) == pytest.approx(128, abs=8)


def test_a_black_photo_is_balanced_without_a_fault():
    black = np.zeros((20, 30, 3), np.uint8)
    assert not apply_balance(black, measure_tint(black)).any()

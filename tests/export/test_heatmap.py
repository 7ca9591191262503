import numpy as np
import pytest

from export.heatmap import OUTSIDE_BRIGHTNESS, heat_of, heat_scale, render_overlay

VIEW_BOX = (30, 10, 130, 110)


@pytest.fixture
def photo_rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (120, 160, 3), np.uint8)


def hot_spot(row: int, column: int, peak: float) -> np.ndarray:
    cam = np.full((7, 7), -1.0, np.float32)
    cam[row, column] = peak
    return cam


def change(overlay: np.ndarray, photo_rgb: np.ndarray) -> np.ndarray:
    """(side, side), the change of colour within the view box."""
    x0, y0, x1, y1 = VIEW_BOX
    return np.abs(overlay.astype(int) - photo_rgb).sum(axis=2)[y0:y1, x0:x1]


def test_one_scale_is_the_greatest_of_all_labels() -> None:
    cam = np.stack([hot_spot(1, 1, 8.0), hot_spot(2, 2, 2.0)])
    assert heat_scale(cam) == 8.0
    assert heat_scale(-np.abs(cam)) == 0.0


def test_heat_keeps_the_scale_so_a_weak_map_stays_weak() -> None:
    strong, weak = heat_of(hot_spot(3, 3, 8.0), 8.0, (70, 70)), heat_of(hot_spot(3, 3, 2.0), 8.0, (70, 70))
    assert strong.max() == pytest.approx(1.0, abs=0.05)
    assert weak.max() == pytest.approx(0.25, abs=0.05)
    assert min(strong.min(), weak.min()) == 0.0


def test_the_warmest_pixel_lies_where_the_map_says(photo_rgb: np.ndarray) -> None:
    heat = heat_of(hot_spot(5, 1, 3.0), 3.0, (70, 140))
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 50 <= row < 60
    assert 20 <= column < 40


def test_what_is_cold_shows_the_photo_and_what_is_warm_does_not(photo_rgb: np.ndarray) -> None:
    moved = change(render_overlay(photo_rgb, hot_spot(1, 5, 4.0), VIEW_BOX, 4.0), photo_rgb)
    assert (moved[60:, :40] == 0).all()
    assert moved[18:26, 75:83].mean() > 50


def test_a_weaker_label_colours_the_photo_less(photo_rgb: np.ndarray) -> None:
    moved = [
        change(render_overlay(photo_rgb, hot_spot(3, 3, peak), VIEW_BOX, 8.0), photo_rgb).sum()
        for peak in (8.0, 2.0, 0.5)
    ]
    assert moved[0] > moved[1] > moved[2] > 0


def test_without_evidence_the_view_is_untouched(photo_rgb: np.ndarray) -> None:
    assert not change(render_overlay(photo_rgb, hot_spot(3, 3, -0.5), VIEW_BOX, 0.0), photo_rgb).any()


def test_opacity_none_and_full(photo_rgb: np.ndarray) -> None:
    cam = hot_spot(3, 3, 4.0)
    assert not change(render_overlay(photo_rgb, cam, VIEW_BOX, 4.0, opacity=0), photo_rgb).any()
    full = render_overlay(photo_rgb, cam, VIEW_BOX, 4.0, opacity=1)
    dark = render_overlay(photo_rgb // 2, cam, VIEW_BOX, 4.0, opacity=1)
    np.testing.assert_array_equal(full[60, 80], dark[60, 80])
    with pytest.raises(ValueError, match="opacity is 2"):
        render_overlay(photo_rgb, cam, VIEW_BOX, 4.0, opacity=2)


def test_outside_the_view_the_photo_is_dimmed_and_nothing_else(photo_rgb: np.ndarray) -> None:
    before = photo_rgb.copy()
    overlay = render_overlay(photo_rgb, hot_spot(3, 3, 4.0), VIEW_BOX, 4.0)
    np.testing.assert_allclose(overlay[:10], photo_rgb[:10] * OUTSIDE_BRIGHTNESS, atol=0.51)
    np.testing.assert_array_equal(photo_rgb, before)
    assert overlay.shape == photo_rgb.shape
    assert overlay.dtype == np.uint8

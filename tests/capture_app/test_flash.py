"""Pairs without and with flash: what they give, which are refused, and what the page says of them."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.flash_scores import colour_error, registration_error
from capture_app.flash.exposure import exposure_of
from capture_app.flash.light import linearise, luminance, separate, to_display
from capture_app.flash.page import facts, read_second, shine_picture
from capture_app.flash.pair import FlashPair, separate_pair
from capture_app.flash.register import common_box, register
from capture_app.reading import read_capture_bytes, sharpened
from capture_app.words import languages, words_in
from tests.capture_app.flash_pairs import HELD_BY_HAND, REFUSED, drawn, skin
from tests.capture_app.harness import encode_jpeg
from tests.tiny_model import tiny_card
from training.errors import PhotoError

FLASH_COLOURED = np.float32((1.3, 1.0, 0.7))


@pytest.fixture(scope="module")
def found() -> FlashPair:
    pair = drawn()
    return separate_pair(pair.ambient_rgb, pair.flash_rgb)


def test_every_code_survives_linear_light():
    codes = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert np.array_equal(to_display(linearise(codes)), codes)


def test_the_hand_s_motion_is_found_to_a_pixel(found):
    assert registration_error(found.registration.homography, drawn()) < 1
    assert found.registration.turn_deg == pytest.approx(HELD_BY_HAND.turn_deg, abs=0.5)
    assert found.registration.scale == pytest.approx(HELD_BY_HAND.scale, abs=0.02)


def test_a_photo_lies_on_itself_without_motion():
    linear = linearise(skin())
    registration = register(linear, linear)
    assert np.allclose(registration.homography, np.eye(3), atol=0.01)
    assert registration.agreement > 0.99
    assert registration.overlap > 0.99


def test_the_common_part_lies_in_both_photos():
    moved = np.array([[1, 0, -20.5], [0, 1, 8], [0, 0, 1.0]])
    x0, y0, x1, y1 = common_box(moved, (200, 300))
    assert (x0 - 20.5) >= 0
    assert (y1 - 1 + 8) <= 199
    assert (x1 - x0, y1 - y0) == pytest.approx((300 - 20.5, 200 - 8), abs=6)


def test_the_maps_lie_in_the_plain_photo_s_pixels(found):
    x0, y0, x1, y1 = found.box
    assert found.reflectance_rgb.shape == found.lit_rgb.shape == (y1 - y0, x1 - x0, 3)
    assert found.specular.shape == found.measured.shape == (y1 - y0, x1 - x0)
    assert np.array_equal(found.plain_rgb, drawn().ambient_rgb[y0:y1, x0:x1])
    assert (found.reflectance_rgb.dtype, found.specular.dtype) == (np.uint8, np.float32)


def test_the_reflectance_is_nearer_to_the_skin_s_colour_than_the_plain_photo(found):
    x0, y0, x1, y1 = found.box
    true = drawn().reflectance[y0:y1, x0:x1]
    plain = colour_error(linearise(found.plain_rgb), true)
    assert colour_error(linearise(found.reflectance_rgb), true) < 0.7 * plain


def test_the_reflectance_is_as_bright_as_the_plain_photo(found):
    levels = [np.median(luminance(linearise(rgb))) for rgb in (found.plain_rgb, found.reflectance_rgb)]
    assert levels[1] == pytest.approx(levels[0], rel=0.05)


def test_the_photos_are_left_as_they_were():
    pair = drawn()
    before = pair.ambient_rgb.copy(), pair.flash_rgb.copy()
    separate_pair(pair.ambient_rgb, pair.flash_rgb)
    assert np.array_equal(before[0], pair.ambient_rgb)
    assert np.array_equal(before[1], pair.flash_rgb)


def spot_of_shine(strength: float) -> np.ndarray:
    y, x = np.mgrid[:360, :360]
    return (strength * np.exp(-((x - 80) ** 2 + (y - 80) ** 2) / 15**2)).astype(np.float32)


def test_shine_is_told_from_skin_and_both_add_up():
    body, shine = linearise(skin()), spot_of_shine(0.3)
    light = body + shine[..., None]
    diffuse, specular = separate(light, 0.4 * body * FLASH_COLOURED)
    assert specular[80, 80] == pytest.approx(0.3, rel=0.1)
    assert specular[shine < 0.001].mean() < 0.02 * shine.max()
    assert np.allclose(diffuse + specular[..., None], light, atol=1e-6)
    assert min(diffuse.min(), specular.min()) >= -1e-6


def test_pale_skin_beside_a_dark_spot_is_not_taken_for_shine():
    body = linearise(skin())
    body[:, 200:] = 0.5 * body[:, 200:] + 0.25
    _, specular = separate(body, 0.4 * body * FLASH_COLOURED)
    assert specular.max() < 0.01


def test_grey_surfaces_have_no_shine_that_can_be_told():
    grey = np.repeat(linearise(skin())[..., :1], 3, axis=2)
    _, specular = separate(grey, 0.4 * grey)
    assert specular.max() < 0.01


def test_without_any_light_nothing_is_parted():
    dark = np.zeros((64, 64, 3), np.float32)
    diffuse, specular = separate(dark, dark)
    assert not diffuse.any()
    assert not specular.any()


def test_what_is_washed_out_is_filled_in_and_said_so():
    pair = drawn()
    lit = pair.flash_rgb.copy()
    lit[100:120, 120:150] = 255
    found = separate_pair(pair.ambient_rgb, lit)
    hidden = ~found.measured
    assert 0.005 < hidden.mean() < 0.03
    around = found.reflectance_rgb[found.measured]
    assert found.reflectance_rgb[hidden].max() <= around.max()
    assert found.specular[hidden].mean() > 5 * found.specular[found.measured].mean()


@pytest.mark.parametrize("kind", REFUSED)
def test_a_pair_that_cannot_be_used_is_refused_in_one_sentence(kind):
    with pytest.raises(PhotoError) as refusal:
        REFUSED[kind]()
    assert refusal.value.kind == kind
    assert "\n" not in str(refusal.value)


def with_exposure(image_rgb: np.ndarray, seconds: float, iso: int) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x829A: seconds, 0x8827: iso, 0x829D: 1.8})
    file = io.BytesIO()
    Image.fromarray(image_rgb).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def test_a_changed_exposure_is_read_from_the_files():
    pair, card = drawn(), tiny_card()
    shorter = with_exposure(to_display(linearise(pair.flash_rgb) / 2), 1 / 100, 100)
    reading = sharpened(read_capture_bytes(with_exposure(pair.ambient_rgb, 1 / 50, 100), "p.jpg", card))
    assert reading.exposure / exposure_of(shorter) == pytest.approx(2)
    known = read_second(reading, shorter, "lit.jpg")
    same = read_second(reading, with_exposure(pair.flash_rgb, 1 / 50, 100), "lit.jpg")
    assert known.gain == pytest.approx(same.gain, rel=0.1)


@pytest.mark.parametrize(
    "data", [b"nothing", encode_jpeg(skin(size=64)), with_exposure(skin(size=64), 0.0, 0)]
)
def test_a_file_that_does_not_say_how_it_was_exposed_is_taken_as_it_is(data):
    assert exposure_of(data) is None


def test_the_page_s_second_photo_gives_a_pair_or_a_reason():
    pair = drawn()
    reading = sharpened(read_capture_bytes(encode_jpeg(pair.ambient_rgb), "plain.jpg", tiny_card()))
    assert isinstance(read_second(reading, encode_jpeg(pair.flash_rgb), "lit.jpg"), FlashPair)
    refused = read_second(reading, b"nothing", "lit.jpg")
    assert isinstance(refused, PhotoError)
    assert "lit.jpg" in str(refused)


@pytest.mark.parametrize("language", languages())
def test_what_the_page_says_and_draws_of_a_pair(found, language):
    said = facts(found, words_in(language))
    assert f"{found.gain:.0%}" in said
    assert f"{found.registration.overlap:.0%}" in said
    picture = shine_picture(found)
    assert picture.dtype == np.uint8
    assert picture.shape == found.reflectance_rgb.shape

"""The checks measure what they say, in the direction that they say, on any skin."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from capture_app import quality
from capture_app.frame import Frame
from capture_app.locate import BOX_MARGIN, REGION_THRESHOLD, lesion_region, read_scene
from capture_app.quality import check_field_of_view, check_photo, measure_detail, measure_light

SIZE = 300


def draw_lesion(
    *,
    centre=(0.5, 0.5),
    radius=0.16,
    skin=(205, 160, 140),
    lesion=(120, 70, 60),
    size=SIZE,
    seed=0,
) -> np.ndarray:
    """Skin with texture and one round spot; places and sizes as fractions of the frame."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    inside = np.hypot(x - centre[0], y - centre[1]) < radius
    image = np.where(inside[..., None], np.float64(lesion), np.float64(skin))
    grain = cv2.GaussianBlur(rng.normal(0, 1, (size, size)), (0, 0), 0.8)
    image *= 1 + 0.06 * grain[..., None] / grain.std()
    return np.clip(image, 0, 255).astype(np.uint8)


def darken(image: np.ndarray, factor: float) -> np.ndarray:
    return np.round(image * factor).astype(np.uint8)


def test_a_centred_sharp_well_lit_lesion_passes_every_check():
    found = check_photo(draw_lesion())
    assert [finding.severity for finding in found.findings] == ["ok"] * 3
    assert found.severity == "ok"


def test_the_box_is_the_lesion_in_the_photos_own_pixels():
    for size in (200, 900):
        lesion = check_photo(draw_lesion(centre=(0.4, 0.55), radius=0.15, size=size)).lesion
        assert np.allclose(np.array(lesion.box) / size, (0.25, 0.40, 0.55, 0.70), atol=0.03)
        assert lesion.extent == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(
    ("centre", "towards"),
    [
        ((0.25, 0.5), "left"),
        ((0.75, 0.5), "right"),
        ((0.5, 0.25), "up"),
        ((0.5, 0.75), "down"),
        ((0.27, 0.27), "up-left"),
        ((0.73, 0.73), "down-right"),
    ],
)
def test_the_phone_goes_to_where_the_lesion_lies(centre, towards):
    finding = check_photo(draw_lesion(centre=centre, radius=0.12)).field_of_view
    assert finding.code == "off_centre"
    assert finding.towards == towards


def test_a_mirrored_photo_gets_the_mirrored_direction():
    image = draw_lesion(centre=(0.24, 0.5), radius=0.12)
    here, there = check_photo(image), check_photo(image[:, ::-1])
    assert here.field_of_view.measure == pytest.approx(there.field_of_view.measure, abs=0.02)
    assert (here.field_of_view.towards, there.field_of_view.towards) == ("left", "right")
    assert here.focus.measure == pytest.approx(there.focus.measure, rel=1e-3)


def test_distance_is_advised_on_both_ways():
    assert check_photo(draw_lesion(radius=0.05)).field_of_view.code == "too_far"
    scene = read_scene(draw_lesion())
    near = replace(scene, lesion=replace(scene.lesion, extent=0.9))
    assert check_field_of_view(near).code == "too_close"


@pytest.mark.parametrize(
    ("centre", "towards"),
    [((0.1, 0.5), "left"), ((0.9, 0.5), "right"), ((0.5, 0.1), "up"), ((0.5, 0.9), "down")],
)
def test_a_lesion_cut_by_the_frame_is_asked_for_again(centre, towards):
    finding = check_photo(draw_lesion(centre=centre, radius=0.2)).field_of_view
    assert finding.severity == "block"
    assert finding.towards == towards


@pytest.mark.parametrize("centre", [(0.02, 0.5), (0.98, 0.5), (0.5, 0.02), (0.5, 0.98)])
def test_half_a_lesion_at_the_border_never_passes(centre):
    assert check_photo(draw_lesion(centre=centre, radius=0.2)).field_of_view.severity != "ok"


def test_less_light_always_measures_lower_and_is_called_dark_in_the_end():
    image = draw_lesion()
    factors = (1, 0.8, 0.6, 0.4, 0.25, 0.12)
    measures = [measure_light(read_scene(darken(image, factor))).underexposed_stops for factor in factors]
    assert measures == sorted(measures)
    assert len(set(measures)) == len(measures)
    assert check_photo(darken(image, 0.12)).illumination.code == "too_dark"
    assert check_photo(darken(image, 0.12)).illumination.severity == "block"


def test_blur_always_measures_lower_and_is_called_blurred_in_the_end():
    image = draw_lesion()
    blurred = [image, *(cv2.GaussianBlur(image, (0, 0), sigma) for sigma in (0.7, 1.2, 2, 3, 5))]
    measures = [measure_detail(Frame.of(photo).luma) for photo in blurred]
    assert measures == sorted(measures, reverse=True)
    assert check_photo(blurred[-1]).focus.code == "blurred"
    assert check_photo(blurred[-1]).focus.severity == "block"


@pytest.mark.parametrize("angle_deg", [0, 45, 90, 135])
def test_motion_in_any_direction_measures_lower(angle_deg):
    image = draw_lesion()
    kernel = cv2.warpAffine(
        np.float32([[y == 5 for _ in range(11)] for y in range(11)]) / 11,
        cv2.getRotationMatrix2D((5, 5), angle_deg, 1),
        (11, 11),
    )
    moved = cv2.filter2D(image, -1, kernel / kernel.sum())
    assert measure_detail(Frame.of(moved).luma) < 0.6 * measure_detail(Frame.of(image).luma)


def test_detail_is_a_matter_of_sharpness_and_not_of_contrast():
    grain = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 60, (SIZE, SIZE)), (0, 0), 1)
    strong, faint = (np.float32(128 + share * grain) for share in (1, 0.4))
    assert measure_detail(faint) == pytest.approx(measure_detail(strong), rel=0.1)
    assert measure_detail(cv2.GaussianBlur(strong, (0, 0), 2)) < 0.75 * measure_detail(faint)


@pytest.mark.parametrize("size", [320, 768])
@pytest.mark.parametrize("tone", [1, 4])
def test_a_faint_mark_on_smooth_skin_in_focus_is_not_blurred(size, tone):
    """Its skin has the same fine texture everywhere, which must not pass for noise."""
    from training.data.datasets.phantom import draw_photo
    from training.data.datasets.phantom_capture import Capture

    drawn = draw_photo(7, 3, lesion="p_macula", location=None, tone=tone, size=size, capture=Capture())
    assert check_photo(drawn.image_rgb).focus.severity == "ok"


@pytest.mark.parametrize("motion", [0.05, 0.1])
def test_noise_is_no_detail_where_the_hand_moved_far(motion):
    from training.data.datasets.phantom import draw_photo
    from training.data.datasets.phantom_capture import Capture

    def measured(tone: int, moved: float) -> float:
        capture = Capture(motion_blur=moved, motion_deg=30 * tone, noise_sigma=0.006)
        drawn = draw_photo(2, tone - 1, lesion="tumour", location="back", tone=tone, capture=capture)
        return measure_detail(Frame.of(drawn.image_rgb).luma)

    for tone in range(1, 7):
        assert measured(tone, motion) < 0.85 * measured(tone, 0)


@pytest.mark.parametrize("noise", [1, 2, 4])
def test_noise_does_not_make_up_for_detail(noise):
    rng = np.random.default_rng(0)
    sharp = 128 + 15 * cv2.GaussianBlur(rng.normal(0, 4, (SIZE, SIZE)), (0, 0), 1)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2)
    plain, noisy = (
        measure_detail(np.float32(np.round(seen)))
        for seen in (blurred, blurred + rng.normal(0, noise, sharp.shape))
    )
    assert noisy < plain + 0.05
    assert noisy < 0.5 * measure_detail(np.float32(sharp + rng.normal(0, noise, sharp.shape)))
    assert measure_detail(np.float32(128 + rng.normal(0, noise, sharp.shape))) < 0.25


def test_a_sharp_lesion_before_skin_out_of_focus_is_sharp():
    grain = np.float32(128 + np.random.default_rng(0).normal(0, 30, (240, 240)))
    whole, blurred = (cv2.GaussianBlur(grain, (0, 0), sigma) for sigma in (1, 4))
    partly = blurred.copy()
    partly[80:160, 80:160] = whole[80:160, 80:160]
    assert measure_detail(partly) == pytest.approx(measure_detail(whole), rel=0.15)
    assert measure_detail(blurred) < 0.6 * measure_detail(partly)


def test_inflamed_skin_beside_pale_skin_is_no_shadow():
    image = draw_lesion(radius=0.1)
    redder, browner, darker = (image.astype(np.float64) for _ in range(3))
    redder[:, : SIZE // 4, 1:] *= 0.75
    browner[:, : SIZE // 4] *= (0.75, 0.7, 0.65)
    darker[:, : SIZE // 4] *= 0.75
    of_redder, of_browner, of_darker, of_both = (
        measure_light(read_scene(seen.astype(np.uint8))).uneven_stops
        for seen in (redder, browner, darker, image)
    )
    assert of_redder == pytest.approx(of_both, abs=0.1)
    assert of_both + 0.1 < of_browner < of_darker - 0.1
    assert of_darker > of_both + 0.4


def test_dark_skin_in_good_light_is_no_dark_photo():
    image = draw_lesion(skin=(110, 72, 55), lesion=(52, 32, 26))
    assert check_photo(image).illumination.severity == "ok"


@pytest.mark.parametrize("tone", [5, 6])
def test_dark_skin_drawn_in_good_light_is_no_dark_photo(tone):
    from training.data.datasets.phantom import draw_photo
    from training.data.datasets.phantom_capture import Capture

    found = [
        check_photo(
            draw_photo(1, i, lesion="tumour", location="back", tone=tone, capture=Capture()).image_rgb
        )
        for i in range(6)
    ]
    assert all(photo.illumination.code != "too_dark" for photo in found)


def test_dark_skin_whose_red_is_at_white_is_brighter_than_light_skin_in_good_light():
    light = draw_lesion(skin=(225, 190, 170))
    washed = draw_lesion(skin=(254, 178, 140), lesion=(170, 110, 90))
    by_luma = [np.median(Frame.of(image).luma) for image in (washed, light)]
    assert by_luma[0] < by_luma[1]
    of_washed, of_light = (measure_light(read_scene(image)).washed_share for image in (washed, light))
    assert of_washed > 0.3
    assert of_light == 0


def test_a_slope_is_uneven_light_and_a_limb_that_falls_away_on_both_sides_is_not():
    image, ticks = draw_lesion().astype(np.float64), np.linspace(-1, 1, SIZE)
    slopes = [
        measure_light(read_scene((image * 2 ** (shade / 2.2)[..., None]).astype(np.uint8))).uneven_stops
        for shade in (
            np.zeros((SIZE, SIZE)),
            np.tile(-1.5 * ticks**2, (SIZE, 1)),
            np.tile(0.75 * ticks - 0.75, (SIZE, 1)),
            np.tile(0.75 * ticks - 0.75, (SIZE, 1)).T,
        )
    ]
    assert slopes[0] < 0.1
    assert slopes[1] < 0.3
    assert slopes[2:] == pytest.approx([rms_of_slope(1.5)] * 2, abs=0.05)


def rms_of_slope(stops: float) -> float:
    """Of light that falls by so many stops across the frame, seen at what 60% of either side lies below."""
    x, y = np.meshgrid(np.linspace(-1, 1, 60), np.linspace(-1, 1, 60))
    squares = 0.0
    for along, unit in ((x, 1), (y, 1), (x + y, 2**0.5), (x - y, 2**0.5)):
        one, other = (np.quantile(x[side], 0.6) for side in (along > 0.5 * unit, along < -0.5 * unit))
        squares += (stops / 2 * (one - other)) ** 2
    return (squares / 4) ** 0.5


def test_washed_out_and_unevenly_lit_photos_are_told_apart():
    image = draw_lesion().astype(np.float64)
    washed = np.clip(image * 2.2, 0, 255).astype(np.uint8)
    assert check_photo(washed).illumination.code in ("too_bright", "glare")
    shade = 2 ** (np.linspace(0, -5, SIZE) / 2.2)[None, :, None]
    assert check_photo((image * shade).astype(np.uint8)).illumination.code == "uneven"


@pytest.mark.parametrize(("between", "joined"), [(3, True), (4, True), (5, False)])
def test_spots_near_each_other_are_one_lesion(between, joined):
    probability = np.zeros((60, 80), np.float32)
    probability[25:35, 35:45] = 0.9
    probability[28:31, 45 + between : 50 + between] = 0.8
    region = lesion_region(probability)
    right = 50 + between if joined else 45
    assert np.array_equal(region.cells, (probability > 0) & (np.arange(80) < right))
    assert region.likelihood == pytest.approx(0.9)


def test_the_box_ends_between_cells_where_the_answer_falls_to_what_is_asked():
    """A disc with a soft border, moved by fractions of a cell: its box is where the border's middle lies."""
    y, x = np.mgrid[:60, :80] + 0.5
    for centre_x, centre_y, radius in ((40, 30, 6), (40.3, 30.6, 6), (35.75, 24.2, 3.4), (50.5, 31.1, 2.1)):
        beyond = radius - np.hypot(x - centre_x, y - centre_y)
        probability = np.clip(REGION_THRESHOLD + 0.4 * beyond, 0, 1).astype(np.float32)
        reach = radius * (1 + 2 * BOX_MARGIN)
        expected = [centre_x - reach, centre_y - reach, centre_x + reach, centre_y + reach]
        assert lesion_region(probability).box == pytest.approx(expected, abs=0.12)


@pytest.mark.parametrize("axes", [(1,), (0,), (0, 1)])
def test_a_mirrored_photo_is_seen_as_its_mirror_image(axes):
    image = draw_lesion(centre=(0.4, 0.56))
    seen, mirrored = (read_scene(np.ascontiguousarray(own)) for own in (image, np.flip(image, axes)))
    x, y = seen.lesion.offset_xy
    expected = (-x if 1 in axes else x, -y if 0 in axes else y)
    assert abs(x) > 0.05
    assert abs(y) > 0.03
    assert mirrored.lesion.offset_xy == pytest.approx(expected, abs=1e-4)
    assert mirrored.lesion.extent == pytest.approx(seen.lesion.extent, abs=1e-4)


def test_a_region_that_meets_the_border_ends_there():
    probability = np.zeros((60, 80), np.float32)
    probability[:20, 30:] = 1
    left, bottom = 29.5 + REGION_THRESHOLD, 20.5 - REGION_THRESHOLD
    wider = left - BOX_MARGIN * (80 - left), 0, 80, bottom * (1 + BOX_MARGIN)
    assert lesion_region(probability).box == pytest.approx(wider)


def test_white_cloth_beside_the_body_is_no_glare():
    image = draw_lesion(skin=(105, 68, 52), lesion=(50, 30, 24))
    cloth, lamp = image.copy(), image.copy()
    cloth[:, : SIZE // 6] = 240
    cv2.circle(lamp, (int(0.7 * SIZE), SIZE // 2), SIZE // 12, (250, 250, 250), -1)
    of_cloth, of_lamp = (measure_light(read_scene(seen)).glare_share for seen in (cloth, lamp))
    assert of_cloth < 0.002
    assert of_lamp == pytest.approx(np.pi / 12**2, rel=0.1)


def test_plain_skin_shows_no_lesion_to_judge():
    finding = check_photo(draw_lesion(radius=0)).field_of_view
    assert finding.code == "no_lesion"
    assert finding.severity == "advise"


@pytest.mark.parametrize("size_hw", [(32, 32), (40, 900), (900, 40)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_any_photo_gets_three_findings_even_a_blank_one(size_hw, value):
    found = check_photo(np.full((*size_hw, 3), value, np.uint8))
    assert len(found.findings) == 3
    assert all(np.isfinite(finding.measure) for finding in found.findings)


def test_the_checks_change_nothing_and_repeat_themselves():
    image = draw_lesion()
    kept = image.copy()
    assert check_photo(image) == check_photo(image)
    assert np.array_equal(image, kept)


def test_findings_are_plain_numbers_for_json():
    found = check_photo(draw_lesion())
    assert (
        json.loads(json.dumps([asdict(finding) for finding in found.findings]))[0]["code"] == "field_of_view"
    )
    assert json.dumps(asdict(found.lesion))


def test_every_limit_of_the_table_is_a_limit_and_block_lies_beyond_advise():
    table = json.loads(Path(quality.__file__).with_name("limits.json").read_text())
    assert set(quality.limits()) == set(table["limits"])
    for limit in quality.limits().values():
        assert limit.worse in ("above", "below")
        if limit.block is not None:
            assert (limit.block > limit.advise) == (limit.worse == "above")


@pytest.mark.real_data
def test_clean_real_photos_mostly_pass_and_degraded_ones_do_not(real_photos):
    clean = [check_photo(photo).severity != "block" for photo in real_photos]
    blurred = [
        check_photo(cv2.GaussianBlur(photo, (0, 0), 0.015 * min(photo.shape[:2]))).focus.severity != "ok"
        for photo in real_photos
    ]
    dark = [check_photo(darken(photo, 0.2)).illumination.severity == "block" for photo in real_photos]
    assert np.mean(clean) >= 0.9
    assert np.mean(blurred) >= 0.95
    assert np.mean(dark) >= 0.9


@pytest.fixture(scope="module")
def real_photos() -> list[np.ndarray]:
    import os

    from training.data.photo import read_photo

    root = Path(os.environ.get("DERMCAPTURE_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
    paths = sorted((root / "pad_ufes_20" / "images").glob("*.jpg"))[::12]
    if not paths:
        pytest.skip(f"no PAD-UFES-20 photos under {root}; set DERMCAPTURE_REAL_DATA to where they are")
    return [read_photo(path, min_side=512).image_rgb for path in paths]

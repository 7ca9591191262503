"""The synthetic phantom: the same photo for the same seed, masks that tell the truth, conditions that act."""

import dataclasses
import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.datasets import phantom
from training.data.datasets.phantom import (
    DISPLAY,
    LABELS,
    SITES,
    TABLE_1_COUNTS,
    Capture,
    draw_capture,
    draw_photo,
    read_phantom,
    write_phantom,
)
from training.data.datasets.phantom_capture import RANGES
from training.data.datasets.phantom_lesions import paint
from training.data.datasets.phantom_person import TONES
from training.data.datasets.phantom_photo import LESION_CM, SITE_TABLE, choose_site, draw_who
from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.errors import DataError

CLEAN = Capture()
PLACE = {"location": "back", "tone": 3}


def lesion_side(mask: np.ndarray) -> int:
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    return int(max(np.ptp(rows), np.ptp(columns))) + 1


def sharpness(image_rgb: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def test_labels_and_counts_are_table_1():
    assert tuple(TABLE_1_COUNTS) == tuple(DISPLAY) == LABELS
    assert sum(TABLE_1_COUNTS.values()) == 7264
    assert DISPLAY["p_macula"] == "Pigmented macula"
    assert set(SITE_TABLE) == set(LESION_CM) == set(LABELS)
    for shares in SITE_TABLE.values():
        assert set(shares) <= set(SITES)
        assert sum(shares.values()) == pytest.approx(1)


def test_a_photo_depends_on_its_seed_and_index_alone():
    first = draw_photo(5, 11)
    draw_photo(5, 12)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        again = draw_photo(5, 11)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(first.image_rgb, again.image_rgb)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert dataclasses.replace(first, image_rgb=0, mask=0) == dataclasses.replace(again, image_rgb=0, mask=0)
    assert not np.array_equal(first.image_rgb, draw_photo(6, 11).image_rgb)
    assert not np.array_equal(first.image_rgb, draw_photo(5, 12).image_rgb)


@pytest.mark.parametrize("lesion", LABELS)
def test_every_label_on_every_tone(lesion):
    for tone in TONES:
        photo = draw_photo(1, tone, lesion=lesion, tone=tone)
        assert photo.image_rgb.shape == (256, 256, 3)
        assert photo.image_rgb.dtype == photo.mask.dtype == np.uint8
        assert photo.mask.shape == (256, 256)
        assert set(np.unique(photo.mask)) == {0, 255}
        rows, columns = photo.mask.any(1).nonzero()[0], photo.mask.any(0).nonzero()[0]
        assert photo.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert (photo.lesion, photo.skin_tone) == (lesion, tone)


def test_each_size_gives_photo_and_mask_of_that_size():
    for size in (64, 300, 640):
        photo = draw_photo(0, 3, size=size, capture=CLEAN)
        assert photo.image_rgb.shape == (size, size, 3)
        assert photo.mask.shape == (size, size)
        assert lesion_side(photo.mask) == pytest.approx(size / 3, rel=0.08)


@pytest.mark.parametrize("lesion", LABELS)
def test_the_mask_lies_where_the_photo_differs_from_the_same_skin_without_the_lesion(lesion):
    inside, outside = [], []
    for index in range(4):
        place = {"location": "scalp", "tone": 3} if lesion == "alopecia" else PLACE
        with_lesion = draw_photo(2, index, lesion=lesion, capture=CLEAN, **place)
        without = draw_photo(2, index, lesion=lesion, capture=CLEAN, with_lesion=False, **place)
        assert not without.mask.any()
        assert without.box == (0, 0, 0, 0)
        difference = np.abs(with_lesion.image_rgb.astype(int) - without.image_rgb).sum(2)
        inside.append(difference[with_lesion.mask > 0].mean())
        outside.append(difference[with_lesion.mask == 0].mean())
        corners = difference[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.max() == 0
    assert np.mean(inside) > 12
    assert np.mean(inside) > 5 * np.mean(outside)


@pytest.mark.parametrize("lesion", LABELS)
def test_what_is_painted_ends_before_the_canvas_does(lesion):
    for seed in range(12):
        canvas = paint(np.random.default_rng(seed), lesion, skin_melanin=1.5)
        for name, plane in (canvas.planes | {"mask": canvas.mask}).items():
            border = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
            assert np.abs(border).max() < 1e-3, name
            assert plane.dtype == np.float32, name


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0, 3.5])
def test_distance_sets_the_lesions_share_of_the_frame(distance):
    photo = draw_photo(3, 8, lesion="p_macula", capture=Capture(distance=distance), **PLACE)
    assert lesion_side(photo.mask) == pytest.approx(256 / 3 / distance, abs=4)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.2, -0.1), (-0.25, 0.25)])
def test_offset_moves_the_lesion(offset):
    photo = draw_photo(3, 8, lesion="tumour", capture=Capture(offset_xy=offset), **PLACE)
    x0, y0, x1, y1 = photo.box
    assert (x0 + x1) / 2 / 256 == pytest.approx(0.5 + offset[0], abs=0.015)
    assert (y0 + y1) / 2 / 256 == pytest.approx(0.5 + offset[1], abs=0.015)


def test_a_lesion_out_of_view_leaves_an_empty_mask_or_a_cut_one():
    photo = draw_photo(3, 8, lesion="tumour", capture=Capture(distance=0.4, offset_xy=(0.5, 0.5)), **PLACE)
    assert photo.box[2:] == (256, 256)


def mean_measure(field: str, value, measure) -> float:
    capture = Capture(**{field: value})
    photos = [draw_photo(4, index, lesion="crust", capture=capture, **PLACE) for index in range(3)]
    return float(np.mean([measure(photo.image_rgb) for photo in photos]))


def burnt_out(image_rgb: np.ndarray) -> float:
    return float((image_rgb.min(2) > 235).mean())


def unevenness(image_rgb: np.ndarray) -> float:
    return abs(float(image_rgb[:, :40].mean()) - float(image_rgb[:, -40:].mean()))


def redness(image_rgb: np.ndarray) -> float:
    return float(image_rgb[..., 0].mean() / image_rgb[..., 2].mean())


@pytest.mark.parametrize(
    ("field", "values", "measure", "rises"),
    [
        ("ev", [-3.0, -1.5, 0.0, 1.0], np.mean, True),
        ("gamma", [0.5, 1.0, 1.8, 3.0], np.mean, False),
        ("glare", [0.0, 0.5, 1.0, 2.0], burnt_out, True),
        ("blur_sigma", [0.0, 0.005, 0.015, 0.05], sharpness, False),
        ("motion_blur", [0.0, 0.015, 0.04, 0.1], sharpness, False),
        ("noise_sigma", [0.0, 0.02, 0.06, 0.2], sharpness, True),
        ("shadow", [0.0, 0.3, 0.6, 0.9], np.mean, False),
        ("gradient_ev", [0.0, 1.0, 3.0], unevenness, True),
        ("white_balance_ev", [(-0.5, 0.5), (0.0, 0.0), (0.5, -0.5)], redness, True),
    ],
)
def test_a_condition_acts_in_its_direction(field, values, measure, rises):
    measured = [mean_measure(field, value, measure) for value in values]
    ordered = measured if rises else measured[::-1]
    assert all(a < b for a, b in pairwise(ordered)), measured


def test_conditions_leave_the_mask_alone():
    plain = draw_photo(4, 1, capture=CLEAN).mask
    bad = Capture(ev=2, gradient_ev=2, glare=1, shadow=0.5, blur_sigma=0.02, gamma=2, noise_sigma=0.1)
    np.testing.assert_array_equal(plain, draw_photo(4, 1, capture=bad).mask)


def test_the_same_subject_in_another_photo_is_the_same_lesion():
    first = draw_photo(7, 20, capture=CLEAN)
    other = draw_photo(7, 21, subject=20, capture=CLEAN)
    np.testing.assert_array_equal(first.mask, other.mask)
    everyday = draw_photo(7, 21, subject=20)
    assert everyday.lesion == first.lesion
    assert everyday.capture != draw_photo(7, 20).capture


def test_darker_tones_are_darker():
    shown = {"lesion": "wheal", "location": "back", "capture": CLEAN}
    brightness = [draw_photo(8, 1, tone=tone, **shown).image_rgb.mean() for tone in TONES]
    assert all(a > b for a, b in pairwise(brightness)), brightness


@pytest.mark.parametrize("coupling", [0.0, 0.5, 1.0])
def test_sites_follow_the_table_as_far_as_they_are_coupled(coupling):
    rng = np.random.default_rng(0)
    drawn = Counter(choose_site(rng, "alopecia", coupling) for _ in range(4000))
    expected = coupling * SITE_TABLE["alopecia"]["scalp"] + (1 - coupling) / len(SITES)
    assert drawn["scalp"] / 4000 == pytest.approx(expected, abs=0.03)
    if coupling == 0:
        assert min(drawn[site] for site in SITES) > 300


def test_draw_who_is_what_is_drawn():
    for index in range(5):
        who, photo = draw_who(9, index), draw_photo(9, index)
        assert who == (photo.lesion, photo.location, photo.skin_tone)


def test_everyday_conditions_are_valid_and_vary():
    rng = random.Random(0)
    captures = [draw_capture(rng) for _ in range(20_000)]
    assert len(set(captures)) == 20_000
    assert 0.8 < np.median([capture.distance for capture in captures]) < 1.2


def test_colour_alone_does_not_tell_the_labels():
    train = [draw_photo(10, i, size=64) for i in range(300)]
    test = [draw_photo(11, i, size=64) for i in range(200)]

    def mean_rgb(photos):
        return np.array([photo.image_rgb.mean((0, 1)) for photo in photos])

    colours, lesions = mean_rgb(train), np.array([photo.lesion for photo in train])
    centroids = np.array([colours[lesions == label].mean(0) for label in LABELS])
    nearest = ((mean_rgb(test)[:, None] - centroids) ** 2).sum(2).argmin(1)
    accuracy = np.mean([LABELS[i] == photo.lesion for i, photo in zip(nearest, test, strict=True)])
    assert accuracy < 0.4, accuracy


@pytest.mark.parametrize("field", RANGES)
def test_a_condition_outside_its_range_is_named(field):
    low, high = RANGES[field]
    for value in (low - 1, high + 1, float("nan"), "much"):
        pair = field in ("offset_xy", "white_balance_ev")
        with pytest.raises(DataError, match=field):
            Capture(**{field: (value, value) if pair else value})


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"lesion": "rash"}, "rash"),
        ({"location": "elbow"}, "elbow"),
        ({"tone": 7}, "7"),
        ({"size": 8}, "8"),
        ({"site_coupling": 1.5}, "1.5"),
        ({"subject": -1}, "-1"),
    ],
)
def test_bad_arguments_are_named(arguments, named):
    with pytest.raises(DataError, match=named):
        draw_photo(0, 0, **arguments)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("phantom") / "set"
    return folder, write_phantom(folder, n_photos=30, size=64, seed=3, progress=False)


def test_a_written_set_is_whole_and_synthetic(drawn):
    folder, manifest = drawn
    assert manifest.synthetic
    assert manifest.licence == "Apache-2.0 (synthetic)"
    assert manifest.lesion_labels == LABELS
    assert manifest.location_labels == SITES
    assert len(manifest) == sum(manifest.counts().values()) == 30
    assert set(manifest.table["source"]) == {"phantom"}
    for row in manifest.table.itertuples():
        photo, mask = read_photo(row.path).image_rgb, read_photo(row.mask).image_rgb[..., 0]
        assert photo.shape[:2] == mask.shape == (64, 64)
        if row.box:
            x0, y0, x1, y1 = map(int, row.box.split())
            assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
    json.loads((folder / "phantom.json").read_text())


def test_photos_of_a_group_show_one_patient(drawn):
    _, manifest = drawn
    groups = manifest.table.groupby("group")
    assert groups.ngroups < len(manifest)
    for column in ("lesions", "location", "skin_tone"):
        assert (groups[column].nunique() == 1).all()


def test_a_set_is_reused_and_goes_on_where_it_stopped(drawn):
    folder, manifest = drawn
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    (folder / "manifest.csv").unlink()
    lost = sorted(before)[0]
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(DataError, match="half-drawn"):
        read_phantom(folder)
    again = write_phantom(folder, n_photos=30, size=64, seed=3, progress=False)
    assert again.table.equals(manifest.table)
    assert lost.read_bytes() == content
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert sum(before[path] != after[path] for path in before) == 1
    assert read_phantom(folder).fingerprint() == manifest.fingerprint()


@pytest.mark.slow
def test_worker_processes_draw_the_same_set(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(phantom, "FEW_PHOTOS", 0)
    again = write_phantom(tmp_path / "set", n_photos=30, size=64, seed=3, progress=False)
    assert again.fingerprint() == drawn[1].fingerprint()
    for path in (tmp_path / "set" / "images").iterdir():
        assert path.read_bytes() == (drawn[0] / "images" / path.name).read_bytes()


def test_other_parameters_are_refused_with_the_way_out(drawn):
    folder, _ = drawn
    with pytest.raises(DataError, match="seed = 3, not 4; give another folder"):
        write_phantom(folder, n_photos=30, size=64, seed=4, progress=False)
    with pytest.raises(DataError, match="counts"):
        write_phantom(folder, n_photos=31, size=64, seed=3, progress=False)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="no phantom"):
        write_phantom(tmp_path, n_photos=3, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(DataError, match="no phantom"):
        read_phantom(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"n_photos": 0}, "n_photos 0"),
        ({"counts": {"rash": 3}}, "rash"),
        ({"counts": {"acne": -1}}, "counts"),
        ({"seed": -1}, "seed -1"),
        ({"size": 5}, "size 5"),
        ({"site_coupling": 2.0}, "site_coupling 2"),
    ],
)
def test_bad_parameters_write_nothing(tmp_path, parameters, named):
    folder = tmp_path / "set"
    with pytest.raises(DataError, match=named):
        write_phantom(folder, progress=False, **parameters)
    assert not folder.exists()


def test_counts_are_met_exactly_and_in_whole_patients():
    jobs = phantom.plan_jobs({"acne": 50, "ulcer": 31}, seed=0)
    assert Counter(job.lesion for job in jobs) == {"acne": 50, "ulcer": 31}
    assert [job.index for job in jobs] == list(range(81))
    sizes = Counter(Counter(job.subject for job in jobs).values())
    assert set(sizes) == {1, 2, 3}
    lesions: dict[int, set[str]] = {}
    for job in jobs:
        lesions.setdefault(job.subject, set()).add(job.lesion)
    assert all(len(names) == 1 for names in lesions.values())

"""Copies are found whatever was done to them; other photos are not."""

import io
import os
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from training.data import duplicates
from training.data.datasets.registry import load_manifest
from training.data.duplicates import (
    CORRELATION_LIMIT,
    DECODE_SIDE,
    HASH_SIDE,
    Fingerprint,
    PhotoPair,
    byte_pairs,
    copy_pairs,
    detail_agreement,
    feature_pairs,
    fingerprint,
    hash_pairs,
    merge,
    whiten,
)
from training.data.photo import read_photo
from training.data.registration import registered_correlation

REAL_DATA = Path(os.environ.get("DERMCAPTURE_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def skin_photo(seed: int, side: int = 200) -> Image.Image:
    """A dark spot with an edge of its own on skin with a texture of its own."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (24, 24), np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    y, x = np.mgrid[:side, :side] / side - 0.5
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    edge = 0.2 + sum(0.03 * rng.normal() * np.cos(k * angle + rng.uniform(0, 6)) for k in range(1, 6))
    spot = 1 / (1 + np.exp((radius - edge) * 60))
    grey = 180 - 100 * spot + 0.25 * (np.asarray(coarse, float) - 128)
    return Image.fromarray(np.stack([grey, grey * 0.8, grey * 0.7], 2).clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


CHANGES = {
    "recompressed": lambda image: jpeg(image, 30),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.75),
    "5% cut off one corner": lambda image: cut(image, 0.05, 0, 0, 0.05),
    "5% cut off the top": lambda image: cut(image, 0, 0.05, 0, 0),
    "5% cut off around": lambda image: cut(image, 0.025, 0.025, 0.025, 0.025),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "cut, turned over, brighter, recompressed": lambda image: jpeg(
        ImageEnhance.Brightness(cut(image, 0.05, 0, 0, 0.05)).enhance(1.2), 50
    ).transpose(Image.Transpose.TRANSVERSE),
}


def prints_of(images: list[Image.Image]) -> list[Fingerprint]:
    return [fingerprint(np.asarray(image)) for image in images]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_among_other_photos_and_nothing_else_is(change):
    photos = [skin_photo(seed) for seed in range(8)]
    prints = prints_of([*photos, CHANGES[change](photos[3])])
    assert [(pair.first, pair.second) for pair in copy_pairs(prints)] == [(3, 8)]


def test_the_search_in_blocks_agrees_with_comparing_every_hash_one_by_one(monkeypatch):
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (12, 17, 32)).astype(np.uint8)
    hashes[7, 10] = hashes[2, 4]  # A turned photo 7 equals a cropped photo 2.
    monkeypatch.setattr(duplicates, "BLOCK_ROWS", 5)
    monkeypatch.setattr(duplicates, "BLOCK_COLUMNS", 3)

    def distance(one: np.ndarray, other: np.ndarray) -> int:
        views, orientations = one[:10], np.concatenate([other[:1], other[10:]])
        return min(int(np.unpackbits(view ^ turned).sum()) for view in views for turned in orientations)

    expected = {}
    for first in range(12):
        for second in range(first + 1, 12):
            bits = min(distance(hashes[first], hashes[second]), distance(hashes[second], hashes[first]))
            if bits <= 105:
                expected[first, second] = bits
    found = {(pair.first, pair.second): pair.bits for pair in hash_pairs(hashes, 105)}
    assert found == expected
    assert found[2, 7] == 0


def test_the_first_hash_is_the_librarys_own():
    image = skin_photo(0)
    grey = image.convert("L").resize((64, 64), Image.Resampling.LANCZOS)
    bits = np.unpackbits(fingerprint(np.asarray(image)).hashes[0])
    assert np.array_equal(bits.astype(bool), imagehash.phash(grey, HASH_SIDE).hash.ravel())


def test_two_spots_that_hash_alike_differ_in_their_details():
    one, other = prints_of([skin_photo(1), skin_photo(2)])
    assert detail_agreement(one, one) > 0.999
    assert detail_agreement(one, other) < CORRELATION_LIMIT
    assert detail_agreement(one, other) == pytest.approx(detail_agreement(other, one))


def test_what_cannot_be_aligned_agrees_in_nothing():
    flat = np.full((64, 64), 90, np.uint8)
    assert registered_correlation(flat, flat, np.eye(2, 3)) == 0


def test_copies_of_bytes_pair_with_the_first_and_unread_files_with_nothing():
    assert byte_pairs(["a", "b", "a", "", "", "a"]) == [PhotoPair(0, 2, True), PhotoPair(0, 5, True)]


def test_of_a_thousand_copies_each_photo_keeps_its_nearest(monkeypatch):
    monkeypatch.setattr(duplicates, "NEAREST", 3)
    hashes = np.zeros((40, 17, 32), np.uint8)
    assert len(hash_pairs(hashes, 0)) <= 40 * 3


def test_whitened_features_of_a_copy_stay_near_and_others_far():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 20)) @ np.diag(np.logspace(0, -2, 20)) + 5
    features[200] = features[10] + 1e-4 * rng.normal(size=20)
    assert [(pair.first, pair.second) for pair in feature_pairs(features, 0.95)] == [(10, 200)]
    assert np.allclose(np.linalg.norm(whiten(features, features), axis=1), 1)


def test_one_pair_carries_what_every_search_says():
    pairs = merge(
        [PhotoPair(0, 1, same_bytes=True)],
        [PhotoPair(0, 1, bits=2, correlation=1.0)],
        [PhotoPair(0, 1, cosine=0.9), PhotoPair(0, 2, cosine=0.7)],
    )
    assert pairs == [PhotoPair(0, 1, True, 2, 1.0, 0.9), PhotoPair(0, 2, cosine=0.7)]
    assert [pair.same_picture for pair in pairs] == [True, False]


def test_no_photo_has_no_copy():
    assert copy_pairs([]) == []


@pytest.mark.real_data
def test_on_real_photos_no_two_patients_share_a_picture_and_copies_are_found():
    if not (REAL_DATA / "pad_ufes_20").is_dir():
        pytest.skip(f"no pad_ufes_20 below {REAL_DATA}")
    manifest = load_manifest(REAL_DATA / "pad_ufes_20")
    rows = range(0, len(manifest), 10)
    images = [
        Image.fromarray(read_photo(manifest.table["path"][row], min_side=DECODE_SIDE).image_rgb)
        for row in rows
    ]
    groups = manifest.table["group"].to_numpy()[list(rows)]
    prints = prints_of(images)
    assert [pair for pair in copy_pairs(prints) if groups[pair.first] != groups[pair.second]] == []
    for change in CHANGES.values():
        copies = prints_of([change(image) for image in images[:20]])
        found = [bool(copy_pairs([prints[row], copy])) for row, copy in enumerate(copies)]
        assert sum(found) >= 19

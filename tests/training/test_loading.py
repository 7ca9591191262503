"""From files to batches: decoded once, augmented purely, ordered by seed and epoch alone."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.data.cache import PhotoCache
from training.data.loading import EpochOrder, Samples, draw_shares, evaluation_loader, training_loader
from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.data.transforms import AugmentationParams, augment, draw_params
from training.errors import DataError
from training.models.card import Preprocessing
from training.recipe import Augmentation, Recipe

CPU = torch.device("cpu")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rng = np.random.default_rng(0)
    rows = []
    for index, size in enumerate([(50, 40), (40, 64), (90, 130), (48, 48), (45, 45)]):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / f"{index}.png")
        rows.append({"path": f"{index}.png", "lesions": ["acne", "wheal"][index % 2], "location": "face"})
    rows.insert(2, {"path": "broken.png", "lesions": "acne"})
    (tmp_path / "broken.png").write_bytes(b"nothing")
    return Manifest.from_rows("made", rows, root=tmp_path)


def test_cache_holds_what_the_decoder_gives_and_names_what_it_leaves_out(manifest, tmp_path):
    cache = PhotoCache.build(manifest, min_side=40, folder=tmp_path / "cache", progress=False)
    assert list(cache.left_out) == [2]
    assert "broken.png is not a photo" in cache.left_out[2]
    for row in (0, 1, 3, 4, 5):
        expected = read_photo(manifest.table["path"][row], min_side=40).image_rgb
        np.testing.assert_array_equal(cache[row], expected)
    assert cache[3].shape == (45, 65, 3)


def test_cache_is_made_once_and_again_when_a_photo_changes(manifest, tmp_path):
    def build() -> set[Path]:
        PhotoCache.build(manifest, min_side=40, folder=tmp_path / "cache", progress=False)
        return set((tmp_path / "cache").glob("*.u8"))

    first = build()
    stamp = next(iter(first)).stat().st_mtime_ns
    assert build() == first
    assert next(iter(first)).stat().st_mtime_ns == stamp
    Image.new("RGB", (60, 60)).save(manifest.table["path"][0])
    assert len(build()) == 2


def test_an_interrupted_cache_leaves_nothing_behind(manifest, tmp_path, monkeypatch):
    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.data.cache.read_photo", interrupt)
    with pytest.raises(KeyboardInterrupt):
        PhotoCache.build(manifest, min_side=40, folder=tmp_path / "cache", progress=False)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_set_without_one_photo_gets_one_sentence(tmp_path):
    manifest = Manifest.from_rows("none", [{"path": "no.png", "lesions": "acne"}], root=tmp_path)
    with pytest.raises(DataError, match="no photo of none can be decoded"):
        PhotoCache.build(manifest, min_side=40, folder=tmp_path / "cache", progress=False)


def test_a_full_disk_is_said_before_it_is_full(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(DataError, match="make room, or choose another folder by --cache"):
        PhotoCache.build(manifest, min_side=40, folder=tmp_path / "cache", progress=False)


def samples_of(manifest: Manifest, tmp_path: Path) -> Samples:
    cache = PhotoCache.build(manifest, min_side=40, folder=tmp_path / "cache", progress=False)
    return Samples.of(manifest, cache, np.arange(len(manifest)))


def test_batches_follow_seed_and_epoch_alone(manifest, tmp_path):
    samples, view = samples_of(manifest, tmp_path), Preprocessing(32, decode_min_side=40)
    recipe = Recipe("r", input_size=32, batch_size=2, seed=3)

    def digest(epoch: int) -> str:
        loader = training_loader(samples, view, recipe, epoch, CPU)
        return hashlib.sha256(b"".join(images.numpy().tobytes() for images, *_ in loader)).hexdigest()

    first = digest(0)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert digest(0) == first
    assert digest(1) != first


def test_an_epoch_shows_every_photo_in_whole_batches():
    for n_samples, batch_size in ((10, 4), (8, 8), (3, 2)):
        keys = list(EpochOrder(np.ones(n_samples), batch_size, seed=0, epoch=5))
        assert len(keys) % batch_size == 0
        assert {index for _, index in keys} == set(range(n_samples))
        assert {epoch for epoch, _ in keys} == {5}
    once = np.ones(50)
    assert list(EpochOrder(once, 10, 0, 1)) != [(1, i) for _, i in EpochOrder(once, 10, 0, 2)]


def test_resampling_draws_every_label_equally_often():
    targets = np.eye(3, dtype=np.float32)[[0] * 60 + [1] * 24 + [2] * 6]
    shares = draw_shares(targets, 1.0)
    np.testing.assert_allclose(shares @ targets, 30)
    drawn = np.array([index for _, index in EpochOrder(shares, 10, 0, 0)])
    counts = np.bincount(drawn, minlength=90)
    assert ((counts >= np.floor(shares)) & (counts <= np.ceil(shares))).all()
    np.testing.assert_allclose(counts @ targets, 30, atol=1)
    assert set(drawn[:10] // 60) == {0, 1}, "the copies of a photo do not stand side by side"
    np.testing.assert_allclose(draw_shares(targets, 0.0), 1)


def test_left_out_photos_are_in_no_batch_and_targets_follow_the_rows(manifest, tmp_path):
    samples = samples_of(manifest, tmp_path)
    assert samples.rows.tolist() == [0, 1, 3, 4, 5]
    _, lesions, locations = next(
        iter(evaluation_loader(samples, Preprocessing(32, decode_min_side=40), 8, CPU))
    )
    np.testing.assert_array_equal(lesions.argmax(1), [0, 1, 0, 1, 0])
    np.testing.assert_array_equal(locations, [0] * 5)


@given(st.integers(32, 300), st.integers(32, 300), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_crops_lie_within_the_photo_and_keep_to_their_limits(height, width, seed):
    limits = Augmentation(min_area=0.4, max_stretch=1.3)
    params = draw_params(np.random.default_rng(seed), height, width, limits, 32)
    assert 0 <= params.top <= params.top + params.height <= height
    assert 0 <= params.left <= params.left + params.width <= width
    assert params.height > 0 < params.width
    fell_back = params.height == params.width == min(height, width)
    assert fell_back or params.height * params.width >= 0.4 * height * width * 0.9


def test_augment_is_pure_and_its_flips_undo_themselves():
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 40, 40), dtype=np.uint8))
    before = image.clone()
    plain = AugmentationParams(0, 0, 40, 40, False, False, (1.0, 1.0, 1.0))
    flipped = AugmentationParams(0, 0, 40, 40, True, True, (1.0, 1.0, 1.0))
    torch.testing.assert_close(augment(image, plain, 40), image.float())
    torch.testing.assert_close(augment(image, flipped, 40).flip(1, 2), image.float())
    assert torch.equal(image, before)
    brighter = AugmentationParams(0, 0, 40, 40, False, False, (2.0, 1.0, 0.5))
    torch.testing.assert_close(augment(image, brighter, 40)[0], (image[0].float() * 2).clamp(max=255))


def test_without_augmentation_a_training_photo_is_what_is_scored(manifest, tmp_path):
    still = Augmentation(1.0, 1.0, False, False, 0.0, 0.0)
    recipe = Recipe("r", input_size=45, batch_size=2, augmentation=still)
    view = Preprocessing(45, decode_min_side=45)
    samples = samples_of(manifest, tmp_path)
    square = Samples(
        samples.photos, samples.rows[[4]], samples.lesion_targets[[4]], samples.location_targets[[4]]
    )
    trained, *_ = next(iter(training_loader(square, view, recipe, 0, CPU)))
    scored, *_ = next(iter(evaluation_loader(square, view, 1, CPU)))
    torch.testing.assert_close(trained[0], scored[0], atol=1e-5, rtol=1e-5)


def test_index_file_is_plain_json(manifest, tmp_path):
    PhotoCache.build(manifest, min_side=40, folder=tmp_path / "cache", progress=False)
    (index,) = (tmp_path / "cache").glob("*.json")
    assert json.loads(index.read_text())["sizes_hw"][0] == [50, 40]

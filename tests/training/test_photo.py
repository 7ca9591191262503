"""The decoder: any photo becomes upright 8-bit RGB, or one clear sentence."""

import contextlib
import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from training.data import photo as photo_module
from training.data.photo import ORIENTATION_TAG, Photo, decode_photo, decode_photo_sizes, read_photo
from training.errors import PhotoError


def encode(image: Image.Image, fmt: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def quadrants(height: int = 120, width: int = 200) -> np.ndarray:
    """Red top left, green top right, blue bottom left, white bottom right."""
    image = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    image[:top, :left, 0] = image[:top, left:, 1] = image[top:, :left, 2] = 255
    image[top:, left:] = 255
    return image


def test_png_is_decoded_exactly():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    photo = decode_photo(encode(Image.fromarray(image)))
    np.testing.assert_array_equal(photo.image_rgb, image)
    assert photo.image_rgb.flags.writeable
    assert photo.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("min_side", [None, 40])
def test_exif_orientation_sets_the_photo_upright(orientation, min_side):
    upright = quadrants()
    undo = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
            5: lambda a: a.transpose(1, 0, 2), 6: np.rot90, 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
            8: lambda a: np.rot90(a, -1)}  # fmt: skip
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](upright)))
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    photo = decode_photo(encode(stored, "JPEG", quality=95, exif=exif), min_side=min_side)
    assert photo.original_size_hw == (120, 200)
    height, width, _ = photo.image_rgb.shape
    corners = photo.image_rgb[[height // 4, height // 4, -height // 4, -height // 4],
                              [width // 4, -width // 4, width // 4, -width // 4]]  # fmt: skip
    np.testing.assert_allclose(corners, [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255] * 3], atol=12)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize(
    ("size", "expected"), [((800, 600), (150, 200)), ((300, 299), (299, 300)), ((90, 64), (64, 90))]
)
def test_reduced_photo_keeps_the_shorter_side(fmt, size, expected):
    photo = decode_photo(encode(Image.new("RGB", size, "tan"), fmt), min_side=150)
    assert photo.image_rgb.shape[:2] == expected
    assert photo.original_size_hw == size[::-1]


def test_reduction_is_an_average_and_not_a_sample():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    for fmt in ("PNG", "JPEG"):
        photo = decode_photo(encode(Image.fromarray(stripes), fmt), min_side=64)
        assert photo.image_rgb.shape[0] == 64
        assert abs(photo.image_rgb.mean() - 100) < 3
        assert photo.image_rgb.std() < 8


@pytest.mark.parametrize(
    ("mode", "fmt", "word"),
    [("L", "PNG", "grey"), ("1", "PNG", "grey"), ("LA", "PNG", "transparent"), ("RGBA", "PNG", "transparent"),
     ("CMYK", "TIFF", "CMYK"), ("CMYK", "JPEG", "CMYK"), ("I;16", "PNG", "8 bits")],
)  # fmt: skip
def test_other_modes_become_rgb_and_say_so(mode, fmt, word):
    image = (
        Image.fromarray(np.full((48, 48), 40000, np.uint16)) if mode == "I;16" else Image.new(mode, (48, 48))
    )
    photo = decode_photo(encode(image, fmt), name="x.png")
    assert photo.image_rgb.shape == (48, 48, 3)
    assert photo.image_rgb.dtype == np.uint8
    assert any(word in note and "x.png" in note for note in photo.notes)


def test_sixteen_bits_are_scaled_by_their_range():
    photo = decode_photo(encode(Image.fromarray(np.full((48, 48), 65535 // 2, np.uint16))))
    assert set(np.unique(photo.image_rgb)) == {127}


def test_transparent_parts_are_laid_on_white():
    photo = decode_photo(encode(Image.new("RGBA", (48, 48), (255, 0, 0, 0))))
    assert (photo.image_rgb == 255).all()


def test_a_phone_photo_with_a_second_frame_is_its_first():
    first, second = Image.new("RGB", (64, 48), "red"), Image.new("RGB", (64, 48), "blue")
    photo = decode_photo(encode(first, "MPO", save_all=True, append_images=[second]))
    assert photo.image_rgb[..., 0].min() > 240
    assert photo.notes == ()


def whole_jpeg() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    return encode(Image.fromarray(noise), "JPEG")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a photo"),
        (b"just some text, not a photo at all", "not a photo"),
        (whole_jpeg()[:4000], "cut short"),
        (encode(Image.new("RGB", (400, 400)))[:200], "cut short"),
        (encode(Image.new("RGB", (1, 1))), "1x1"),
        (encode(Image.new("1", (20_000, 20_000))), "20000x20000"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (
            encode(
                Image.new("RGB", (64, 64)),
                "GIF",
                save_all=True,
                append_images=[Image.new("RGB", (64, 64), "red")],
            ),
            "animated",
        ),
    ],
)
def test_what_is_no_photo_gets_one_sentence(data, words):
    with pytest.raises(PhotoError) as caught:
        decode_photo(data, name="lesion.jpg")
    message = str(caught.value)
    assert words in message
    assert message.startswith("lesion.jpg ")
    assert "\n" not in message
    assert message.endswith((".", "thumbnail."))


@pytest.mark.parametrize("seed", range(30))
def test_damaged_bytes_never_raise_anything_else(seed):
    rng = np.random.default_rng(seed)
    data = bytearray(whole_jpeg())
    for position in rng.integers(0, len(data), 40):
        data[position] = rng.integers(256)
    with contextlib.suppress(PhotoError):  # One sentence is as good an answer as a photo; a crash is not.
        assert isinstance(decode_photo(bytes(data), min_side=64), Photo)


def test_read_photo_names_the_path(tmp_path):
    with pytest.raises(PhotoError, match=r"nowhere\.jpg cannot be read"):
        read_photo(tmp_path / "nowhere.jpg")
    with pytest.raises(PhotoError, match="is a folder"):
        read_photo(tmp_path)


def test_threads_leave_warnings_as_they_were():
    """Palette images with transparent bytes make Pillow warn while their pixels are loaded."""
    palette = Image.fromarray(quadrants()).quantize(8)
    data = encode(palette, transparency=bytes(8))
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        photos = list(pool.map(decode_photo, [data] * 100))
    assert warnings.filters == before
    assert all((photo.image_rgb == 255).all() for photo in photos)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_several_sizes_have_the_very_pixels_of_each_alone(fmt, orientation):
    noise = np.random.default_rng(0).integers(0, 256, (333, 250, 3), np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    data = encode(Image.fromarray(noise), fmt, exif=exif)
    sides = (None, 250, 124, 70, 40, 33, 32)
    for side, photo in zip(sides, decode_photo_sizes(data, sides), strict=True):
        alone = decode_photo(data, min_side=side)
        np.testing.assert_array_equal(photo.image_rgb, alone.image_rgb)
        assert (photo.original_size_hw, photo.notes) == (alone.original_size_hw, alone.notes)


@pytest.mark.parametrize(("fmt", "decodes"), [("JPEG", 2), ("PNG", 1)])
def test_sizes_that_a_codec_gives_at_once_are_decoded_once(fmt, decodes, monkeypatch):
    calls = []
    decode = photo_module._decode
    monkeypatch.setattr(photo_module, "_decode", lambda *given: calls.append(given) or decode(*given))
    data = encode(Image.fromarray(np.zeros((800, 1000, 3), np.uint8)), fmt)
    photos = decode_photo_sizes(data, (40, 50, 100, 110, 200))  # A JPEG's: 1/8 thrice, then 1/4 twice.
    assert len(calls) == decodes
    assert [min(photo.image_rgb.shape[:2]) for photo in photos] == (
        [50, 50, 100, 200, 200] if fmt == "JPEG" else [40, 50, 100, 115, 200]
    )

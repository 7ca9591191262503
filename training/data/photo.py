"""Bytes to pixels: the one decoder that training, scoring and the capture page share.

    photo = decode_photo(Path("lesion.jpg").read_bytes(), min_side=288)

Safe: the header is read, and judged, before any pixel is decoded. Fast: a photo larger than needed is shrunk
while it is decoded (a JPEG by its DCT), by a whole factor, so that what a model learned from is what it sees.
EXIF orientation is honoured and all other metadata (position, device, time) is dropped. Torch-free.
"""

import io
import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from training.errors import PhotoError

MIN_SIDE_PX = 32
"""A photo whose shorter side is below this holds nothing to judge."""
MAX_PIXELS = 100_000_000
"""100 megapixels: above most phones' full-sensor photos, below a decompression bomb."""
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
FORMATS = (
    "JPEG",
    "PNG",
    "BMP",
    "GIF",
    # Not among those that Pillow registers by itself: naming their modules does.
    TiffImagePlugin.TiffImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
)
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"avif")

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation (CIPA DC-008, tag 274) to the turn that sets the photo upright."""

Image.MAX_IMAGE_PIXELS = None  # The limit above speaks in our own words.


class Note(str):
    """A sentence on a photo, which also says in one word what it is about, for other languages."""

    kind: str

    def __new__(cls, kind: str, sentence: str) -> "Note":
        note = super().__new__(cls, sentence)
        note.kind = kind
        return note


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    image_rgb: (H, W, 3) uint8, RGB, upright.
    original_size_hw: height and width as stored, upright, before any reduction.
    notes: one sentence for each thing that the decoder had to do to make it RGB and 8-bit.
    """

    image_rgb: np.ndarray
    original_size_hw: tuple[int, int]
    notes: tuple[Note, ...] = ()


def read_photo(path: str | os.PathLike[str], *, min_side: int | None = None) -> Photo:
    """`decode_photo` of a file.

    Raises:
        PhotoError: the file is not there, cannot be read, or is not a photo.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except IsADirectoryError:
        raise PhotoError(f"{path} is a folder; a photo's file is needed.") from None
    except OSError as error:
        raise PhotoError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    return decode_photo(data, name=str(path), min_side=min_side)


def decode_photo(data: bytes, *, name: str = "the photo", min_side: int | None = None) -> Photo:
    """Decode a photo's bytes.

    Args:
        data: the file's content (JPEG, PNG, WebP, BMP or TIFF).
        name: how messages call it.
        min_side: if given, the photo is reduced by whole factors as long as its shorter side keeps at least
            this many pixels; a smaller photo stays as it is, never enlarged.

    Raises:
        PhotoError: not a photo, truncated, too small, too large, or animated; the sentence says which.
    """
    return decode_photo_sizes(data, (min_side,), name=name)[0]


def decode_photo_sizes(
    data: bytes, min_sides: Sequence[int | None], *, name: str = "the photo"
) -> list[Photo]:
    """`decode_photo` at several sizes, each with the very pixels that it alone would give.

    Sizes that a JPEG's DCT reduces alike are decoded once, and sizes that come out alike share one array.

    Args:
        data: the file's content.
        min_sides: see `decode_photo`; a photo is returned for each.
        name: how messages call it.

    Raises:
        PhotoError: as `decode_photo`.
    """
    decoded: dict[tuple[int, int], _Decoded] = {}
    photos: dict[tuple[tuple[int, int], int], Photo] = {}
    asked = []
    # Pillow warns of odd metadata (a corrupt EXIF block, say); here the pixels count, and errors still raise.
    with _NO_WARNINGS:
        for min_side in min_sides:
            with _open(data, name) as image:
                stored_hw = (image.height, image.width)
                if min_side is not None:
                    image.draft(None, (min_side, min_side))
                size = image.size
                if size not in decoded:
                    decoded[size] = _decode(image, data, name, stored_hw)
            factor = 1 if min_side is None else max(1, min(size) // min_side)
            if (size, factor) not in photos:
                photos[size, factor] = _reduced(decoded[size], factor)
            asked.append(photos[size, factor])
    return asked


@dataclass(frozen=True, eq=False)
class _Decoded:
    """A photo as its codec gave it, not upright yet."""

    rgb: Image.Image
    orientation: int
    stored_hw: tuple[int, int]
    notes: tuple[Note, ...]


def _decode(image: Image.Image, data: bytes, name: str, stored_hw: tuple[int, int]) -> _Decoded:
    notes = _notes(image, name, deep=_is_deep(image, data))
    try:
        image.load()
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        raise PhotoError(
            f"{name} is damaged or cut short ({error}); copy it again or take the photo again.",
            "damaged",
            name=name,
            reason=error,
        ) from error
    return _Decoded(_to_rgb(image), orientation, stored_hw, notes)


def _reduced(decoded: _Decoded, factor: int) -> Photo:
    rgb = decoded.rgb.reduce(factor) if factor > 1 else decoded.rgb
    if (method := UPRIGHT.get(decoded.orientation)) is not None:
        rgb = rgb.transpose(method)
    turned = decoded.orientation in (5, 6, 7, 8)
    return Photo(np.array(rgb), decoded.stored_hw[::-1] if turned else decoded.stored_hw, decoded.notes)


class _NoWarnings:
    """`warnings.catch_warnings` for threads that decode at once.

    It swaps one list of the whole process, and each thread would put back another's. Here the first one in swaps
    it, and the last one out puts it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._caught.__exit__(None, None, None)


_NO_WARNINGS = _NoWarnings()


def _open(data: bytes, name: str) -> Image.Image:
    """The photo with its header read and judged, no pixel decoded."""
    if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        raise PhotoError(
            f"{name} is a HEIC or AVIF file, which is not read here; set the phone's camera to "
            "'Most compatible' (JPEG) or save the photo as JPEG or PNG.",
            "heic",
            name=name,
        )
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise PhotoError(
            f"{name} is not a photo that can be read ({len(data)} bytes); "
            "JPEG, PNG, WebP, BMP and TIFF files are valid.",
            "unreadable",
            name=name,
            bytes=len(data),
        ) from error
    width, height = image.size
    # Many phones write MPO into a .jpg file: the photo, then a depth or gain map as second frame.
    n_frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if n_frames > 1:
        raise PhotoError(
            f"{name} is animated or has pages ({n_frames} of them); save the one to look at as JPEG or PNG.",
            "pages",
            name=name,
            count=n_frames,
        )
    if min(width, height) < MIN_SIDE_PX:
        raise PhotoError(
            f"{name} is {width}x{height} pixels; at least {MIN_SIDE_PX} on each side are needed: "
            "use the original photo, not a thumbnail.",
            "too_small",
            name=name,
            width=width,
            height=height,
            least=MIN_SIDE_PX,
        )
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"{name} is {width}x{height} pixels; at most {MAX_PIXELS // 1_000_000} megapixels are "
            "decoded: scale it down first.",
            "too_large",
            name=name,
            width=width,
            height=height,
            most=MAX_PIXELS // 1_000_000,
        )
    return image


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """More than 8 bits a channel? Pillow opens 16-bit RGB as plain RGB, so a PNG's own header is asked."""
    return image.mode.startswith(("I", "F")) or (image.format == "PNG" and data[24] == 16)


def _notes(image: Image.Image, name: str, *, deep: bool) -> tuple[Note, ...]:
    """What has to be done to the photo that its owner should know of."""
    notes = []
    if deep:
        notes.append(Note("deep", f"{name} has more than 8 bits a channel; its range was scaled to 8 bits."))
    if image.mode in ("1", "L", "LA", "La") or image.mode.startswith(("I", "F")):
        grey = f"{name} is grey; colour matters here, so use a colour photo if there is one."
        notes.append(Note("grey", grey))
    if image.mode == "CMYK":
        cmyk = f"{name} is in print colours (CMYK); they were converted to RGB without a profile."
        notes.append(Note("cmyk", cmyk))
    if image.has_transparency_data:
        notes.append(Note("transparent", f"{name} has transparent parts; they were laid on white."))
    return tuple(notes)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode that Pillow decodes, as 8-bit RGB."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode.startswith("I") else float(values.max()) or 1.0
        image = Image.fromarray((values.clip(0, top) * (255.0 / top)).round().astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")

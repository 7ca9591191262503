"""What is wrong with a photo's file: unreadable, empty, tiny, its mask misfit, or telling on its owner.

    facts = inspect_photo(Path("lesion.jpg"))
    print(facts.problem or facts.has_position)

One pass over the bytes gives digest, metadata (Exif 2.32, CIPA DC-008), size and fingerprint. Torch-free.
"""

import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image
from tqdm import tqdm

from training.data.duplicates import DECODE_SIDE, Fingerprint, fingerprint
from training.data.findings import Finding, Severity, count
from training.data.manifest import Manifest
from training.data.photo import decode_photo, read_photo
from training.errors import PhotoError

IDENTIFYING_TAGS = {
    ExifTags.Base.Artist: "author",
    ExifTags.Base.XPAuthor: "author",
    ExifTags.Base.CameraOwnerName: "camera owner",
    ExifTags.Base.HostComputer: "host computer",
    ExifTags.Base.BodySerialNumber: "camera serial number",
    ExifTags.Base.CameraSerialNumber: "camera serial number",
    ExifTags.Base.LensSerialNumber: "lens serial number",
}
DATE_TAGS = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
POSITION_TAGS = (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude)
XMP_POSITION = b"GPSLatitude"
FLAT_LEVELS = 2.0
"""Standard deviation of the grey values, of 255, below which a photo shows nothing."""


@dataclass(frozen=True)
class PhotoFacts:
    """One photo as its file is.

    problem: the decoder's sentence if it does not open; nothing below `digest` is then known.
    digest: SHA-256 of the bytes, "" if they cannot be read.
    size_hw: height and width, upright, in pixels.
    fingerprint: what its copies are found by; None for a flat photo, whose hash is noise.
    identifying: names of the metadata fields that point to a person or a device.
    mask_problem: half a sentence on the lesion mask, "" if it fits or there is none to judge.
    """

    problem: str = ""
    digest: str = ""
    size_hw: tuple[int, int] = (0, 0)
    fingerprint: Fingerprint | None = None
    flat: bool = False
    has_position: bool = False
    has_date: bool = False
    identifying: tuple[str, ...] = ()
    mask_problem: str = ""


def inspect_photo(path: str | os.PathLike[str], mask: str | os.PathLike[str] | None = None) -> PhotoFacts:
    """Look at one file, and at its lesion mask if one is named. A photo that does not open is no exception."""
    path = Path(path)
    digest = ""
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        photo = decode_photo(data, name=path.name, min_side=DECODE_SIDE)
    except PhotoError as error:
        return PhotoFacts(problem=str(error), digest=digest)
    except OSError as error:
        return PhotoFacts(problem=f"{path.name} cannot be read ({error.strerror or error}).")
    flat = bool(photo.image_rgb.mean(2).std() < FLAT_LEVELS)
    position, date, identifying = read_metadata(data)
    return PhotoFacts(
        digest=digest,
        size_hw=photo.original_size_hw,
        fingerprint=None if flat else fingerprint(photo.image_rgb),
        flat=flat,
        has_position=position,
        has_date=date,
        identifying=identifying,
        mask_problem=_mask_problem(Path(mask), photo.original_size_hw) if mask else "",
    )


def inspect_photos(
    paths: Sequence[str], masks: Sequence[str], *, n_threads: int | None = None, progress: bool = True
) -> list[PhotoFacts]:
    """`inspect_photo` of every path, in order; "" in `masks` where there is none."""
    pool = ThreadPoolExecutor(n_threads or os.cpu_count())
    try:
        waiting = pool.map(inspect_photo, paths, masks)
        return list(tqdm(waiting, "inspect photos", len(paths), unit="photo", disable=not progress))
    finally:
        pool.shutdown(cancel_futures=True)


def read_metadata(data: bytes) -> tuple[bool, bool, tuple[str, ...]]:
    """Does a photo's metadata hold a position, a date of capture, and which other identifying fields?

    Reads EXIF and, for the position, XMP. A block too damaged to parse holds nothing that others can read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            try:
                exif = image.getexif()
                fields = {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}
                position = exif.get_ifd(ExifTags.IFD.GPSInfo)
            except (SyntaxError, ValueError, KeyError, TypeError, OSError):
                fields, position = {}, {}
            xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    names = {name for tag, name in IDENTIFYING_TAGS.items() if _says_something(fields.get(tag))}
    return (
        any(position.get(tag) is not None for tag in POSITION_TAGS) or XMP_POSITION in xmp,
        any(_says_something(fields.get(tag)) for tag in DATE_TAGS),
        tuple(sorted(names)),
    )


def _says_something(value: object) -> bool:
    text = value.decode("utf-16-le", "ignore") if isinstance(value, bytes) else str(value or "")
    return bool(text.strip(" \0:0"))


def _mask_problem(path: Path, size_hw: tuple[int, int]) -> str:
    """Why a mask cannot be laid on a photo of this size; "" if it can."""
    try:
        mask = read_photo(path)
    except PhotoError as error:
        return f"its mask does not open: {error}"
    if mask.original_size_hw != size_hw:
        (height, width), (photo_height, photo_width) = mask.original_size_hw, size_hw
        return f"its mask is {width}x{height} pixels, the photo {photo_width}x{photo_height}"
    return "" if (mask.image_rgb > 127).any() else "its mask marks no lesion"


def check_files(manifest: Manifest, facts: Sequence[PhotoFacts], min_side: int) -> list[Finding]:
    """Files that do not open, show nothing, are tiny, tell on their owner, or have a mask or box that misfits."""
    table = manifest.table
    opened = {row: fact for row, fact in enumerate(facts) if not fact.problem}
    with_mask = table["mask"] != ""
    named: dict[str, dict[int, str]] = {
        "unreadable": {row: fact.problem for row, fact in enumerate(facts) if fact.problem},
        "position": {row: "" for row, fact in opened.items() if fact.has_position},
        "identifying": {row: ", ".join(fact.identifying) for row, fact in opened.items() if fact.identifying},
        "flat": {row: "" for row, fact in opened.items() if fact.flat},
        "tiny": {
            row: "{1}x{0} pixels".format(*fact.size_hw)
            for row, fact in opened.items()
            if min(fact.size_hw) < min_side
        },
        "mask-misfit": {row: fact.mask_problem for row, fact in opened.items() if fact.mask_problem},
        "box-misfit": {
            row: f"box '{table['box'][row]}', photo {fact.size_hw[1]}x{fact.size_hw[0]}"
            for row, fact in opened.items()
            if table["box"][row] and not _box_fits(table["box"][row], fact.size_hw)
        },
        "mask-missing": dict.fromkeys(map(int, table.index[~with_mask]), "") if with_mask.any() else {},
        "date": {row: "" for row, fact in opened.items() if fact.has_date},
    }
    return [
        Finding(
            code,
            severity,
            f"{count(len(named[code]), 'photo')} {what.format(min_side=min_side)}.",
            fix,
            tuple(named[code]),
            tuple(named[code].values()) if any(named[code].values()) else (),
        )
        for code, (severity, what, fix) in _FILE_FINDINGS.items()
        if named[code]
    ]


def _box_fits(box: str, size_hw: tuple[int, int]) -> bool:
    """Within the photo as it is stored, which may lie on its side."""
    try:
        x0, y0, x1, y1 = map(float, box.split())
    except ValueError:
        return False
    return x0 >= 0 and y0 >= 0 and any(x0 < x1 <= w and y0 < y1 <= h for h, w in (size_hw, size_hw[::-1]))


_FILE_FINDINGS: dict[str, tuple[Severity, str, str]] = {
    "unreadable": (
        "error",
        "that no decoder opens",
        "Copy the file again from where it was taken, or take its row out.",
    ),
    "position": (
        "error",
        "with the place where it was taken in its metadata",
        "Remove it before the photo is shared or stored, for instance: exiftool -gps:all= -xmp:all= FILE",
    ),
    "identifying": (
        "warning",
        "with an author, an owner or a serial number in the metadata",
        "Remove the metadata, for instance: exiftool -all= -tagsfromfile @ -orientation FILE",
    ),
    "flat": ("warning", "that show one even colour", "Take the row out: there is nothing to learn from it."),
    "tiny": (
        "warning",
        "whose shorter side is under {min_side} pixels",
        "Use the original rather than a thumbnail; training enlarges it, and details are not there.",
    ),
    "mask-misfit": (
        "warning",
        "whose lesion mask does not fit",
        "Make the mask again on the photo as it stands, or clear its cell in the column 'mask'.",
    ),
    "box-misfit": (
        "warning",
        "whose lesion box is no box within the photo",
        "Write x0 y0 x1 y1 in pixels of the stored photo, or clear the cell.",
    ),
    "mask-missing": (
        "note",
        "without a lesion mask, in a set that has some",
        "Nothing for training; the field-of-view checks pass these photos over.",
    ),
    "date": (
        "note",
        "with the date of capture in its metadata",
        "Remove it where the date of a visit must not be known: exiftool -alldates= FILE",
    ),
}

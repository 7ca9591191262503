"""Photos decoded once: every photo of a manifest as uint8 pixels in one file on disk, read by memory map.

    cache = PhotoCache.build(manifest, min_side=280, folder=Path("data/cache"))
    image_rgb = cache[0]

Decoding is what would hold training up (docs/design.md). The file is named for what is in it, so a second run
over the same photos starts at once, and one that was cut short starts over: it appears whole or not at all.
"""

import hashlib
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.cli import whole_file, write_text
from training.data.manifest import Manifest
from training.data.photo import Photo, read_photo
from training.errors import DataError, PhotoError

READ_AHEAD = 64
"""Photos decoded ahead of the one being written: bounds memory."""


@dataclass(frozen=True)
class PhotoCache:
    """Decoded photos in the manifest's order, less those that no decoder opens.

    pixels: all photos' RGB bytes, one behind the other (memory-mapped uint8).
    sizes_hw: (N, 2) int64, height and width of each photo; 0, 0 for one that was left out.
    left_out: the sentence for each photo that could not be decoded, by row number.
    """

    pixels: np.ndarray
    sizes_hw: np.ndarray
    left_out: dict[int, str]

    def __len__(self) -> int:
        return len(self.sizes_hw)

    def __getitem__(self, row: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, a read-only view of the file."""
        height, width = self.sizes_hw[row]
        start = self.starts[row]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    @cached_property
    def starts(self) -> np.ndarray:
        """(N,) int64: where each photo's bytes begin."""
        return np.concatenate(([0], np.cumsum(self.sizes_hw.prod(1) * 3)[:-1]))

    @classmethod
    def build(cls, manifest: Manifest, *, min_side: int, folder: Path, progress: bool = True) -> "PhotoCache":
        """Decode a manifest's photos, or open the file that an earlier run made of the same ones.

        Args:
            min_side: shorter side, in pixels, down to which photos are reduced (`decode_photo`).
            folder: where the file lies; made if it is not there.

        Raises:
            DataError: no photo could be decoded, or the disk is full.
        """
        stem = folder / f"photos-{_key(manifest, min_side)}"
        pixel_file, index_file = stem.with_suffix(".u8"), stem.with_suffix(".json")
        if not (index_file.is_file() and pixel_file.is_file()):
            _decode_all(manifest, min_side, pixel_file, index_file, progress)
        index = json.loads(index_file.read_text(encoding="utf-8"))
        left_out = {int(row): sentence for row, sentence in index["left_out"].items()}
        if len(left_out) == len(manifest):
            raise DataError(f"no photo of {manifest.name} can be decoded; the first: {left_out[0]}")
        return cls(np.memmap(pixel_file, np.uint8, "r"), np.array(index["sizes_hw"], np.int64), left_out)


def _key(manifest: Manifest, min_side: int) -> str:
    digest = hashlib.sha256(f"1|{min_side}".encode())
    for path in manifest.table["path"]:
        try:
            status = os.stat(path)
            digest.update(f"{path}|{status.st_size}|{status.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{path}|missing\n".encode())
    return digest.hexdigest()[:16]


def _decode_all(
    manifest: Manifest, min_side: int, pixel_file: Path, index_file: Path, progress: bool
) -> None:
    def decode(path: str) -> Photo | str:
        try:
            return read_photo(path, min_side=min_side)
        except PhotoError as error:
            return str(error)

    paths = iter(manifest.table["path"])
    sizes, left_out = [], {}
    with (
        whole_file(pixel_file) as temporary,
        temporary.open("wb") as file,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(manifest), desc="decode photos", unit="photo", disable=not progress) as bar,
    ):
        waiting = [pool.submit(decode, path) for path in islice(paths, READ_AHEAD)]
        for row in range(len(manifest)):
            photo = waiting.pop(0).result()
            waiting += [pool.submit(decode, path) for path in islice(paths, 1)]
            if isinstance(photo, str):
                left_out[row] = photo
                sizes.append((0, 0))
            else:
                file.write(photo.image_rgb.tobytes())
                sizes.append(photo.image_rgb.shape[:2])
                if row == 0:
                    _check_space(photo.image_rgb.nbytes * len(manifest), pixel_file.parent)
            bar.update()
        if len(left_out) == len(manifest):
            file.write(b"\0")  # An empty file cannot be mapped; the index says that nothing is in it.
    write_text(index_file, json.dumps({"sizes_hw": sizes, "left_out": left_out}))


def _check_space(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"the decoded photos take about {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free; "
            "make room, or choose another folder by --cache."
        )


def report_left_out(left_out: dict[int, str]) -> None:
    """Say on standard error, one line each, which photos are not used and why."""
    for sentence in left_out.values():
        print(f"left out: {sentence}", file=sys.stderr)
    if left_out:
        print(f"{len(left_out)} photos were left out; the rest was used.", file=sys.stderr)

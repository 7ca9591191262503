"""How many changed copies of real photos the audit finds, and how many other photos it takes for copies.

    python -m benchmarks.duplicates path/to/pad_ufes_20

Copies are made here by known changes; pairs of different patients or lesions are the other photos. A few of those
may be one picture in truth: they are written down, to be looked at. Torch is imported only for --network.
"""

import io
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from PIL import Image, ImageEnhance
from tqdm import tqdm

from training.cli import run, write_text
from training.data.datasets.registry import load_manifest
from training.data.duplicates import (
    CORRELATION_LIMIT,
    DECODE_SIDE,
    HASH_LIMIT,
    Fingerprint,
    copy_pairs,
    fingerprint,
    hash_pairs,
)
from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.errors import DataError

Change = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Rate:
    """Of `copies` photos changed in one way, how many are found. Shares in [0, 1]."""

    change: str
    copies: int
    found: float
    found_by_hash: float
    """Candidates, before their details are compared."""


def changes() -> dict[str, Change]:
    """What is done to a photo, by name; shares are of its width and height."""
    return {
        "as it is": lambda photo: photo,
        "JPEG quality 30": lambda photo: _jpeg(photo, 30),
        "half the size": lambda photo: photo.resize((photo.width // 2, photo.height // 2)),
        "brightness x 1.25": lambda photo: ImageEnhance.Brightness(photo).enhance(1.25),
        "brightness x 0.75": lambda photo: ImageEnhance.Brightness(photo).enhance(0.75),
        "5% off the top": lambda photo: _cut(photo, top=0.05),
        "5% off one corner": lambda photo: _cut(photo, left=0.05, bottom=0.05),
        "2.5% off each side": lambda photo: _cut(photo, 0.025, 0.025, 0.025, 0.025),
        "5% off each side": lambda photo: _cut(photo, 0.05, 0.05, 0.05, 0.05),
        "10% off one corner": lambda photo: _cut(photo, left=0.1, bottom=0.1),
        "mirrored": lambda photo: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "turned by 90 degrees": lambda photo: photo.transpose(Image.Transpose.ROTATE_90),
        "mirrored, 5% off one corner, brightness x 1.2, JPEG quality 50": lambda photo: _jpeg(
            ImageEnhance.Brightness(_cut(photo, left=0.05, bottom=0.05)).enhance(1.2), 50
        ).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    }


def measure(manifest: Manifest, *, copies: int, network: Path | None = None) -> dict[str, Any]:
    """Detection of copies, change by change, and pairs found among different patients or lesions.

    Args:
        copies: photos, evenly spread over the set, of which each kind of copy is made.
        network: a run or a weights file whose own rates are measured too.
    """
    table = manifest.table
    paths, groups = table["path"].tolist(), table["group"].to_numpy()
    prints = list(_map(_print_of, paths, "read photos"))
    rows = np.unique(np.linspace(0, len(paths) - 1, min(copies, len(paths))).astype(int))
    rates = []
    for name, change in changes().items():
        changed = _map(partial(_print_of, change=change), [paths[row] for row in rows], name)
        found = [_is_found(prints[row], copy) for row, copy in zip(rows, changed, strict=True)]
        by_hash, by_details = np.mean(found, axis=0)
        rates.append(Rate(name, len(rows), float(by_details), float(by_hash)))
    sizes = table["group"].value_counts().to_numpy()
    n_apart = (len(paths) ** 2 - int((sizes**2).sum())) // 2
    candidates = hash_pairs(np.stack([one.hashes for one in prints]), progress=True)
    pairs = [pair for pair in copy_pairs(prints, progress=True) if groups[pair.first] != groups[pair.second]]
    result = {
        "photos": len(paths),
        "hash_limit_bits": HASH_LIMIT,
        "correlation_limit": CORRELATION_LIMIT,
        "copies": [asdict(rate) for rate in rates],
        "pairs_of_different_groups": n_apart,
        "of_them_candidates_by_hash": sum(groups[pair.first] != groups[pair.second] for pair in candidates),
        "of_them_found": [
            {"photos": [Path(paths[pair.first]).name, Path(paths[pair.second]).name], "bits": pair.bits,
             "correlation": round(pair.correlation or 0, 4)}
            for pair in pairs
        ],
    }  # fmt: skip
    return result | ({"network": _measure_network(paths, groups, network)} if network is not None else {})


def _measure_network(paths: list[str], groups: np.ndarray, network: Path) -> dict[str, Any]:
    from training.alike import alike_pairs

    pairs, check = alike_pairs(paths, network)
    apart = [pair for pair in pairs if groups[pair.first] != groups[pair.second]]
    return asdict(check) | {"pairs_of_different_groups_found": len(apart)}


def _map(function: Callable[[str], Fingerprint], items: Sequence[str], title: str) -> list[Fingerprint]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(tqdm(pool.map(function, items), title, len(items), unit="photo", leave=False))


def _print_of(path: str, change: Change = lambda photo: photo) -> Fingerprint:
    """Of a photo's copy: the change is made at full size, the copy then read as any photo."""
    photo = Image.fromarray(read_photo(path).image_rgb)
    copy = change(photo)
    if (factor := min(copy.size) // DECODE_SIDE) > 1:
        copy = copy.reduce(factor)
    return fingerprint(np.asarray(copy))


def _is_found(photo: Fingerprint, copy: Fingerprint) -> tuple[bool, bool]:
    both = [photo, copy]
    return bool(hash_pairs(np.stack([one.hashes for one in both]))), bool(copy_pairs(both))


def _jpeg(photo: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _cut(
    photo: Image.Image, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0
) -> Image.Image:
    width, height = photo.size
    x0, y0, x1, y1 = left * width, top * height, (1 - right) * width, (1 - bottom) * height
    return photo.crop((round(x0), round(y0), round(x1), round(y1)))


def format_table(result: dict[str, Any]) -> str:
    """The result as lines for a terminal."""
    lines = [f"{'copy':<64} {'candidate':>9} {'found':>7}"]
    lines += [
        f"{rate['change']:<64} {rate['found_by_hash']:>9.1%} {rate['found']:>7.1%}"
        for rate in result["copies"]
    ]
    lines.append(
        f"of {result['pairs_of_different_groups']:,} pairs of different patients or lesions "
        f"{result['of_them_candidates_by_hash']:,} are candidates, {len(result['of_them_found'])} are found"
    )
    return "\n".join(lines)


@dataclass(frozen=True)
class Arguments:
    """Measure the audit's search for copies on real photos."""

    data: Annotated[str, tyro.conf.Positional]
    """Anything that `--data` of `training.fit` takes."""
    copies: int = 200
    """Photos of which each kind of copy is made."""
    network: Path | None = None
    """A run's folder or a ResNet-18's .safetensors file, to be measured too."""
    out: Path | None = None
    """Where the result is written; by default benchmarks/results/duplicates-NAME.json."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; see `Arguments`."""
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.duplicates", args=argv)
    if arguments.copies < 1:
        raise DataError(f"--copies is {arguments.copies}; at least 1 is needed.")
    manifest = load_manifest(arguments.data)
    result = measure(manifest, copies=arguments.copies, network=arguments.network)
    words = ["python", "-m", "benchmarks.duplicates", manifest.name, "--copies", str(arguments.copies)]
    words += ["--network", arguments.network.name] if arguments.network else []
    record = {
        "command": shlex.join(words),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "data": {"name": manifest.name, "fingerprint": manifest.fingerprint()},
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("imagehash", "numpy", "pillow", "opencv-python-headless")},
        **result,
    }
    out = arguments.out or Path(f"benchmarks/results/duplicates-{manifest.name}.json")
    write_text(out, json.dumps(record, indent=2) + "\n")
    print(format_table(result))
    print(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

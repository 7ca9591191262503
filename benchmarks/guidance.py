"""How well the capture checks tell a poor photo from a good one, on photos degraded by known amounts.

    python -m benchmarks.guidance path/to/pad_ufes_20

Any data set with lesion masks will do. Prints a table and writes it as JSON; torch is not imported.
"""

import json
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from capture_app.quality import Quality, check_photo
from training.cli import run, write_text
from training.data.datasets.registry import load_manifest
from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.errors import DataError, PhotoError

NOISE_LEVELS = 1.0
"""Grey levels of fresh sensor noise on every degraded photo: a clean blur without it would be too easy."""
CENTRE_TOLERANCE = 0.1
"""Of the photo's shorter side."""
OVERLAP = 0.5

Degrade = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Row:
    """What the checks say of one kind of photo. Shares of all photos, in [0, 1]."""

    condition: str
    photos: int
    passed: float
    """No finding but ok."""
    not_blocked: float
    framing_amiss: float
    light_amiss: float
    focus_amiss: float


def degradations() -> dict[str, Degrade]:
    """Known amounts of what goes wrong, on uint8 RGB photos of any size."""
    return {
        "as they are": lambda image: image,
        "darkened, values x 0.5": lambda image: image * 0.5,
        "darkened, values x 0.35": lambda image: image * 0.35,
        "darkened, values x 0.2": lambda image: image * 0.2,
        "brightened, values x 1.6": lambda image: image * 1.6,
        "brightened, values x 2": lambda image: image * 2.0,
        "light falls off by 3 stops": lambda image: _gradient(image, 3),
        "light falls off by 5 stops": lambda image: _gradient(image, 5),
        "blurred, sigma 0.4% of the side": lambda image: _blur(image, 0.004),
        "blurred, sigma 0.6% of the side": lambda image: _blur(image, 0.006),
        "blurred, sigma 0.8% of the side": lambda image: _blur(image, 0.008),
    }


def _gradient(image: np.ndarray, stops: float) -> np.ndarray:
    slope = np.linspace(0.5, -0.5, image.shape[1])[None, :, None]
    return image * 2 ** (slope * stops / 2.2)


def _blur(image: np.ndarray, share: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), share * min(image.shape[:2])).astype(np.float64)


def cropped_to_edge(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray | None:
    """A square of 45% of the side whose left edge cuts the lesion in half, where it fits."""
    side = int(0.45 * min(image.shape[:2]))
    x0, y0 = (box[0] + box[2]) // 2, max(0, (box[1] + box[3] - side) // 2)
    crop = image[y0 : y0 + side, x0 : x0 + side]
    return crop if crop.shape[:2] == (side, side) else None


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    """(x0, y0, x1, y1) around the mask's white, exclusive at the end."""
    rows, columns = np.flatnonzero((mask > 127).any(axis=1)), np.flatnonzero((mask > 127).any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def measure(manifest: Manifest, *, every: int = 1, progress: bool = True) -> dict[str, Any]:
    """Check each photo as it is, degraded, and against its mask.

    Raises:
        DataError: no photo has a mask.
    """
    rng = np.random.default_rng(0)
    found: dict[str, list[Quality]] = {name: [] for name in degradations()}
    found["lesion cut by the left edge"] = []
    located = []
    table = manifest.table.iloc[::every]
    for path, mask_path in tqdm(
        zip(table["path"], table["mask"], strict=True),
        total=len(table),
        unit="photo",
        disable=None if progress else True,
    ):
        image = read_photo(path, min_side=512).image_rgb
        for name, degrade in degradations().items():
            found[name].append(check_photo(_with_noise(degrade(image), rng)))
        box = _box_of(mask_path, image.shape[:2])
        if box is None:
            continue
        located.append(_located(found["as they are"][-1], box, min(image.shape[:2])))
        if (crop := cropped_to_edge(image, box)) is not None:
            found["lesion cut by the left edge"].append(check_photo(crop))
    if not located:
        raise DataError(f"{manifest.name} names no lesion mask; give a data set with a 'mask' a photo.")
    centred, overlapping = np.array(located).T
    return {
        "rows": [asdict(_row(name, photos)) for name, photos in found.items()],
        "lesion_found": {
            "photos": len(located),
            f"centre within {CENTRE_TOLERANCE:g} of the side": float(centred.mean()),
            f"box overlap above {OVERLAP:g}": float(overlapping.mean()),
            "both": float((centred & overlapping).mean()),
        },
    }


def _with_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    return np.clip(image + rng.normal(0, NOISE_LEVELS, image.shape), 0, 255).round().astype(np.uint8)


def _box_of(mask_path: str, size_hw: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    if not mask_path:
        return None
    try:
        mask = read_photo(mask_path).image_rgb[..., 0]
    except PhotoError:
        return None
    return mask_box(cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST))


def _located(quality: Quality, box: tuple[int, int, int, int], side: int) -> tuple[bool, bool]:
    if quality.lesion is None:
        return False, False
    seen, true = np.array(quality.lesion.box, float), np.array(box, float)
    error = np.abs((seen[:2] + seen[2:]) - (true[:2] + true[2:])).max() / 2 / side
    shared = np.prod(np.maximum(np.minimum(seen[2:], true[2:]) - np.maximum(seen[:2], true[:2]), 0))
    union = np.prod(seen[2:] - seen[:2]) + np.prod(true[2:] - true[:2]) - shared
    return bool(error <= CENTRE_TOLERANCE), bool(shared / union > OVERLAP)


def _row(condition: str, photos: list[Quality]) -> Row:
    def share(test: Callable[[Quality], bool]) -> float:
        return float(np.mean([test(photo) for photo in photos])) if photos else float("nan")

    return Row(
        condition,
        len(photos),
        share(lambda photo: photo.severity == "ok"),
        share(lambda photo: photo.severity != "block"),
        share(lambda photo: photo.field_of_view.severity != "ok"),
        share(lambda photo: photo.illumination.severity != "ok"),
        share(lambda photo: photo.focus.severity != "ok"),
    )


def format_table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    lines = [
        "| photos | n | nothing amiss | not blocked | framing amiss | light amiss | focus amiss |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        shares = [
            row[key] for key in ("passed", "not_blocked", "framing_amiss", "light_amiss", "focus_amiss")
        ]
        lines.append(
            f"| {row['condition']} | {row['photos']} | " + " | ".join(f"{x:.0%}" for x in shares) + " |"
        )
    found = result["lesion_found"]
    shares = [f"{name} {value:.1%}" for name, value in found.items() if name != "photos"]
    return "\n".join([*lines, "", f"lesion found, {found['photos']} photos with a mask: {', '.join(shares)}"])


@dataclass(frozen=True)
class Arguments:
    """Degrade photos by known amounts and see what the capture checks say of them."""

    data: Annotated[str, tyro.conf.Positional]
    """A data set with lesion masks: a folder such as pad_ufes_20, or a manifest's CSV."""
    out: Path = Path("benchmarks/results/guidance.json")
    """Where the result is written."""
    every: int = 1
    """Take every n-th photo only."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.guidance", args=argv)
    if arguments.every < 1:
        raise DataError(f"--every is {arguments.every}; at least 1 is needed.")
    manifest = load_manifest(arguments.data)
    result = measure(manifest, every=arguments.every)
    command = shlex.join(
        ["python", "-m", "benchmarks.guidance", manifest.name, "--every", str(arguments.every)]
    )
    record = {
        "command": command,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "data": {"name": manifest.name, "fingerprint": manifest.fingerprint()},
        "versions": {"python": platform.python_version(), "opencv": cv2.__version__, "numpy": np.__version__},
        **result,
    }
    write_text(arguments.out, json.dumps(record, indent=2) + "\n")
    print(format_table(result))
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

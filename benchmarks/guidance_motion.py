"""How fast a hand may move: when a frame is smeared, and what the camera's measure of motion says then.

    python -m benchmarks.guidance_motion path/to/pad_ufes_20 --set-limit

Two frames of one photo, 0.1 s and a known way apart, both smeared by the way of one exposure and noisy, in light
that asks for 1/30 s. A pair is smeared where the checks find its second frame blurred, though they do not find the
still photo so. The limit is the one beyond which nearly all smeared pairs lie. Photos of the training part of
`guidance_parts`, and phantoms of a seed of its own. The measure is that of `capture_app/camera/guide.js`.
"""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from benchmarks.guidance_defects import NOISE_SIGMA, draw_phantom, linear_light
from benchmarks.guidance_limits import LIMITS_FILE, with_limit
from benchmarks.guidance_parts import masked_photos, on_training_side
from capture_app.frame import LUMA_PER_MILLE, Frame
from capture_app.quality import check_focus, forget_limits, limits
from training.cli import run, write_text
from training.data.datasets.phantom_capture import Capture, apply_capture
from training.data.datasets.registry import load_manifest
from training.errors import DataError
from training.machine import machine

SPEEDS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.5)
"""Of the picture across the frame, in shorter sides a second."""
BETWEEN_S, EXPOSURE_S = 0.1, 1 / 30
TOLD = 0.95
"""Of the smeared pairs, which lie beyond the limit."""
WINDOW = 0.8
"""Of the photo's side: the frame, which leaves room to move."""
SMALL_SIDE = 48
CONTRAST_FLOOR = 2.0
PHANTOM_SEED = 404
WHY = f"beyond it lie {TOLD:.0%} of the frames that an exposure of 1/30 s smears"


@dataclass(frozen=True)
class Pair:
    """Two frames of one photo."""

    speed: float
    motion: float
    blurred: bool


def small_luma(rgb: np.ndarray) -> np.ndarray:
    """`smallLuma` of guide.js: (H, W, 3) uint8 to (48, 48) float64, the mean luma of each cell."""
    luma = rgb @ (np.array(LUMA_PER_MILLE) / 1000)
    rows, columns = (np.arange(size) * SMALL_SIDE // size for size in luma.shape)
    cell = (rows[:, None] * SMALL_SIDE + columns).ravel()
    count = SMALL_SIDE**2
    means = np.bincount(cell, luma.ravel(), count) / np.bincount(cell, minlength=count)
    return np.asarray(means.reshape(SMALL_SIDE, SMALL_SIDE))


def motion_between(before: np.ndarray, after: np.ndarray) -> float:
    """`motionBetween` of guide.js for two small lumas that lie 0.1 s apart."""
    moved = np.abs(after - before - (after.mean() - before.mean()))
    return float(moved.sum() / (np.abs(after - after.mean()).sum() + CONTRAST_FLOOR * after.size))


def moved_pair(rgb: np.ndarray, speed: float, rng: random.Random) -> Pair:
    """A photo seen twice by a hand that moves at this speed, in a direction by chance.

    Args:
        rgb: (side, side, 3) uint8, RGB.
        speed: shorter sides of the frame a second.
    """
    degrees = rng.uniform(0, 360)
    smear = Capture(
        noise_sigma=NOISE_SIGMA, motion_blur=WINDOW * speed * EXPOSURE_S, motion_deg=degrees % 180
    )
    light = linear_light(rgb)
    way = speed * BETWEEN_S * WINDOW * rgb.shape[0] * np.exp(1j * np.radians(degrees))
    first, second = (
        _window(apply_capture(np.moveaxis(light, 2, 0).copy(), smear, rng), *shift)
        for shift in ((0.0, 0.0), (way.real, way.imag))
    )
    return Pair(
        speed,
        motion_between(small_luma(first), small_luma(second)),
        check_focus(Frame.of(second)).severity != "ok",
    )


def _window(rgb: np.ndarray, dx: float, dy: float) -> np.ndarray:
    side = rgb.shape[0]
    seen = round(WINDOW * side)
    margin = (side - seen) / 2
    shift = np.array([[1, 0, margin - dx], [0, 1, margin - dy]])
    inverse = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    moved = cv2.warpAffine(rgb, shift, (seen, seen), flags=inverse, borderMode=cv2.BORDER_REFLECT_101)
    return Frame.of(moved).rgb


def measure(photos: Sequence[np.ndarray], *, seed: int = 0) -> Iterator[list[Pair]]:
    """The pairs of each photo, one a speed, the first still; a photo that is blurred when still is left out."""
    for index, rgb in enumerate(photos):
        rng = random.Random(f"motion {seed} {index}")
        still = moved_pair(rgb, SPEEDS[0], rng)
        if not still.blurred:
            yield [still, *(moved_pair(rgb, speed, rng) for speed in SPEEDS[1:])]


def limit_for(pairs: Sequence[Pair]) -> float:
    """The measure beyond which TOLD of the smeared pairs lie.

    Raises:
        DataError: no pair is smeared.
    """
    smeared = [pair.motion for pair in pairs if pair.blurred]
    if not smeared:
        raise DataError(f"none of {len(pairs)} pairs is smeared; give more photos.")
    return float(np.quantile(smeared, 1 - TOLD))


def summarise(pairs: Sequence[Pair]) -> dict[str, Any]:
    """By speed and in all: the measure's quantiles, the share that is smeared, the share beyond the limit."""
    limit = limit_for(pairs)
    rows = []
    for speed in SPEEDS:
        own = [pair for pair in pairs if pair.speed == speed]
        low, middle, high = np.quantile([pair.motion for pair in own], [0.05, 0.5, 0.95])
        rows.append(
            {
                "speed": speed,
                "motion": [float(low), float(middle), float(high)],
                "smeared": float(np.mean([pair.blurred for pair in own])),
                "beyond": float(np.mean([pair.motion > limit for pair in own])),
            }
        )
    return {"photos": len(pairs) // len(SPEEDS), "limit": limit, "told": TOLD, "speeds": rows}


def table(record: dict[str, Any]) -> str:
    """The summary as Markdown."""
    now = limits()["moving"].advise
    lines = [
        f"{record['photos']} photos and phantoms; {TOLD:.0%} of the smeared pairs lie beyond "
        f"{record['limit']:.3g} (the limit in use: {now:.3g})",
        "",
        "| speed, sides a second | motion, median (5% to 95%) | smeared at 1/30 s | beyond the limit |",
        "|---|---|---|---|",
    ]
    for row in record["speeds"]:
        low, middle, high = row["motion"]
        lines.append(
            f"| {row['speed']:g} | {middle:.2f} ({low:.2f} to {high:.2f}) | {row['smeared']:.0%} "
            f"| {row['beyond']:.0%} |"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class Arguments:
    """Move photos by known speeds, and see from which on they are smeared and what the camera measures then."""

    data: Annotated[str, tyro.conf.Positional]
    """A data set with lesion masks: a folder such as pad_ufes_20, or a manifest's CSV."""
    phantoms: int = 60
    """Drawn beside the photos."""
    every: int = 2
    """Take every n-th photo only."""
    set_limit: bool = False
    """Write the limit to capture_app/limits.json."""
    out: Path = Path("benchmarks/results/guidance_motion.json")
    """Where the result is written."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.guidance_motion", args=argv)
    if arguments.every < 1 or arguments.phantoms < 0:
        raise DataError(
            f"--every is {arguments.every} and --phantoms {arguments.phantoms}; at least 1 and 0 are needed."
        )
    manifest = load_manifest(arguments.data)
    photos = [photo.rgb for photo in masked_photos(manifest) if on_training_side(photo.group)]
    photos = photos[:: arguments.every]
    photos += [draw_phantom(PHANTOM_SEED, index, None).rgb for index in range(arguments.phantoms)]
    bar = tqdm(measure(photos), total=len(photos), unit="photo", mininterval=5)
    pairs = [pair for own in bar for pair in own]
    record = {
        "command": f"python -m benchmarks.guidance_motion {manifest.name} --every {arguments.every}",
        "data": {"name": manifest.name, "fingerprint": manifest.fingerprint()},
        **summarise(pairs),
        "machine": machine("numpy", "opencv-python-headless"),
    }
    write_text(arguments.out, json.dumps(record, indent=1) + "\n")
    print(table(record))
    if arguments.set_limit:
        limit = float(f"{record['limit']:.2g}")
        write_text(LIMITS_FILE, with_limit("moving", advise=limit, why=WHY))
        forget_limits()
        print(f"limit {limit:g} written to {LIMITS_FILE.name}")
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

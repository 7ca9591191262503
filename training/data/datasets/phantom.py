"""The phantom: a synthetic data set of ten kinds of skin lesion, drawn from a seed.

    python -m training.data.datasets.phantom --out data/phantom --n-photos 3000
    python -m training.data.datasets.phantom --out data/phantom --dermquest
    python -m training.data.datasets.phantom --contact-sheet sheet.jpg

No person was photographed: every photo is drawn, with an exact lesion mask, for demonstrations, tests and
measurements, and says nothing about accuracy on people. Labels and their frequencies: Mishra et al. 2019, Table 1.
Torch-free.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import tyro
from tqdm import tqdm

from training.cli import run, whole_file, write_text
from training.data.datasets.phantom_capture import Capture, draw_capture
from training.data.datasets.phantom_dermquest import as_dermquest
from training.data.datasets.phantom_lesions import LABELS
from training.data.datasets.phantom_person import SITES
from training.data.datasets.phantom_photo import (
    DISPLAY,
    SITE_TABLE,
    TABLE_1_COUNTS,
    PhantomPhoto,
    draw_photo,
    draw_who,
    mask_box,
)
from training.data.datasets.phantom_sheet import write_capture_sheet, write_contact_sheet
from training.data.manifest import Manifest, read_table
from training.data.photo import read_photo
from training.errors import DataError

__all__ = [
    "DISPLAY",
    "LABELS",
    "SITES",
    "SITE_TABLE",
    "TABLE_1_COUNTS",
    "Capture",
    "PhantomPhoto",
    "draw_capture",
    "draw_photo",
    "read_phantom",
    "write_phantom",
]

VERSION = 2
"""Of the drawing: raised whenever the same seed gives other photos."""
LICENCE = "Apache-2.0 (synthetic)"
PARAMETERS_FILE, MANIFEST_FILE, DERMQUEST_FILE = "phantom.json", "manifest.csv", "dermquest.csv"
GROUP_SHARES = {1: 0.75, 2: 0.15, 3: 0.10}
"""How many photos of the same lesion a synthetic patient has."""
JPEG_444 = [
    cv2.IMWRITE_JPEG_QUALITY,
    92,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]
FEW_PHOTOS = 200
"""Up to this many, starting a process pool takes longer than it saves."""


@dataclass(frozen=True)
class Job:
    """One photo to draw. subject: the index of the first photo of the same patient."""

    index: int
    subject: int
    lesion: str


def write_phantom(
    folder: Path,
    *,
    n_photos: int = 3000,
    size: int = 256,
    seed: int = 0,
    site_coupling: float = 1.0,
    counts: dict[str, int] | None = None,
    progress: bool = True,
) -> Manifest:
    """Draw a synthetic data set into a folder, or take it as it is if it was drawn with these parameters.

    An interrupted run goes on where it stopped; `manifest.csv` is written last, so a folder that has one is whole.

    Args:
        n_photos: how many, over the labels in the proportions of TABLE_1_COUNTS.
        size: side of each photo in pixels.
        site_coupling: 0 = any body site for any lesion, 1 = the sites of SITE_TABLE.
        counts: photos a label, in place of `n_photos`; a label that is left out has none.
        progress: show a progress bar.

    Raises:
        DataError: the folder holds something else, or a parameter is outside its valid set.
    """
    folder = Path(folder)
    counts = _table_1_shares(n_photos) if counts is None else counts
    jobs = plan_jobs(counts, seed=seed)
    parameters = {
        "version": VERSION,
        "counts": {label: counts.get(label, 0) for label in LABELS},
        "size": size,
        "seed": seed,
        "site_coupling": site_coupling,
        "synthetic": True,
        "licence": LICENCE,
    }
    _check_folder(folder, parameters)
    if (folder / MANIFEST_FILE).is_file():
        return read_phantom(folder)
    draw_photo(seed, 0, size=size, site_coupling=site_coupling)  # Raises before anything is written.
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_text(folder / PARAMETERS_FILE, json.dumps(parameters, indent=2) + "\n")
    draw = partial(_write_one, folder=folder, size=size, seed=seed, site_coupling=site_coupling)
    rows = list(
        tqdm(
            _spread(draw, jobs), total=len(jobs), desc="synthetic photos", unit="photo", disable=not progress
        )
    )
    _manifest(folder, rows).write_csv(folder / MANIFEST_FILE)
    return read_phantom(folder)


def read_phantom(folder: Path) -> Manifest:
    """The manifest of a folder that `write_phantom` drew.

    Raises:
        DataError: the folder holds none, or is half drawn.
    """
    folder = Path(folder)
    if not (folder / PARAMETERS_FILE).is_file():
        raise DataError(
            f"{folder} holds no phantom; draw one with: python -m training.data.datasets.phantom --out {folder}"
        )
    if not (folder / MANIFEST_FILE).is_file():
        raise DataError(
            f"{folder} is a half-drawn phantom; draw it with the same command again, and it goes on."
        )
    return _manifest(folder, read_table(folder / MANIFEST_FILE))


def plan_jobs(counts: dict[str, int], *, seed: int) -> list[Job]:
    """Which photo shows which lesion of which patient: whole patients, shuffled.

    Raises:
        DataError: a count is negative, of an unknown label, or all are 0.
    """
    unknown = sorted(set(counts) - set(LABELS))
    if unknown:
        raise DataError(
            f"counts: '{unknown[0]}' is not one of the phantom's labels; valid are {', '.join(LABELS)}."
        )
    if min(counts.values(), default=0) < 0 or not sum(counts.values()):
        raise DataError(f"counts {counts}: a label has 0 photos or more, and at least one label has one.")
    if seed < 0:
        raise DataError(f"seed {seed} is negative; a phantom is drawn from 0 or above.")
    rng = np.random.default_rng([seed, 2])
    patients: list[tuple[str, int]] = []
    for label in LABELS:
        left = counts.get(label, 0)
        while left:
            photos = min(left, int(rng.choice(list(GROUP_SHARES), p=list(GROUP_SHARES.values()))))
            patients.append((label, photos))
            left -= photos
    jobs: list[Job] = []
    for patient in rng.permutation(len(patients)):
        label, photos = patients[patient]
        first = len(jobs)
        jobs += [Job(first + photo, first, label) for photo in range(photos)]
    return jobs


def _table_1_shares(n_photos: int) -> dict[str, int]:
    """`n_photos` in the proportions of Table 1, by largest remainder."""
    if n_photos < 1:
        raise DataError(f"n_photos {n_photos}: a data set has at least one photo.")
    exact = np.array([TABLE_1_COUNTS[label] for label in LABELS]) * n_photos / sum(TABLE_1_COUNTS.values())
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: n_photos - whole.sum()]] += 1
    return dict(zip(LABELS, whole.tolist(), strict=True))


def _check_folder(folder: Path, parameters: dict[str, object]) -> None:
    path = folder / PARAMETERS_FILE
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise DataError(f"{folder} holds something that is no phantom; give an empty or a new folder.")
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = {}
    for name, value in parameters.items():
        if found.get(name) != value:
            raise DataError(
                f"{folder} holds a phantom of {name} = {found.get(name)}, not {value}; give another folder, "
                "delete this one, or ask for the same."
            )


def _spread(draw: "partial[dict[str, object]]", jobs: list[Job]) -> Iterator[dict[str, object]]:
    """`draw` of each job, in their order, over the cores that this process may use.

    Where worker processes cannot start (a script without a `__main__` guard), this one does the rest.
    """
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    done = 0
    if len(jobs) > FEW_PHOTOS and workers > 1:
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,))
        with suppress(BrokenProcessPool), pool:
            for row in pool.map(draw, jobs, chunksize=16):
                yield row
                done += 1
    yield from map(draw, jobs[done:])


def _write_one(job: Job, *, folder: Path, size: int, seed: int, site_coupling: float) -> dict[str, object]:
    """Draw and write a photo and its mask, unless both are there; the manifest's row."""
    photo_path, mask_path = (folder / f"images/{job.index:06d}.jpg", folder / f"masks/{job.index:06d}.png")
    who = draw_who(seed, job.subject, lesion=job.lesion, site_coupling=site_coupling)
    if photo_path.is_file() and mask_path.is_file():
        mask = read_photo(mask_path).image_rgb[..., 0]
    else:
        photo = draw_photo(
            seed, job.index, subject=job.subject, lesion=job.lesion, size=size, site_coupling=site_coupling
        )
        mask = photo.mask
        _write(photo_path, np.ascontiguousarray(photo.image_rgb[..., ::-1]), JPEG_444)
        _write(mask_path, mask, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return {
        "path": f"images/{photo_path.name}",
        "lesions": who.lesion,
        "location": who.location,
        "group": f"phantom-{seed}-{job.subject:06d}",
        "source": "phantom",
        "skin_tone": str(who.skin_tone),
        "box": " ".join(map(str, mask_box(mask))) if mask.any() else "",
        "mask": f"masks/{mask_path.name}",
    }


def _write(path: Path, picture: np.ndarray, options: list[int]) -> None:
    ok, data = cv2.imencode(path.suffix, picture, options)
    if not ok:
        raise OSError(f"cannot encode {path}")
    with whole_file(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _manifest(folder: Path, rows: pd.DataFrame | list[dict[str, object]]) -> Manifest:
    return Manifest.from_rows(
        "phantom",
        rows,
        root=folder,
        lesion_labels=LABELS,
        location_labels=SITES,
        synthetic=True,
        licence=LICENCE,
    )


@dataclass(frozen=True)
class Options:
    """Draw a synthetic data set of skin photos, or a contact sheet of it."""

    out: Path = Path("data/phantom")
    """Folder to draw into; one drawn before with the same parameters is kept."""
    n_photos: int = 3000
    """How many, over the labels as in Mishra et al. 2019, Table 1."""
    size: int = 256
    """Side of each photo in pixels."""
    seed: int = 0
    """Another seed, other people."""
    site_coupling: float = 1.0
    """0 = any body site for any lesion; 1 = each lesion where it is usually found."""
    dermquest: bool = False
    """Write dermquest.csv too: the photos under Liao & Luo's 25 lesion names, several each, and 23 sites."""
    contact_sheet: Path | None = None
    """Draw only a sheet to look at (JPEG or PNG): a row a label, a column a skin tone."""
    capture_sheet: Path | None = None
    """Draw only a sheet of the capture conditions, each from nothing to its worst."""


def main() -> None:
    """The command line."""
    options = tyro.cli(Options)
    if options.contact_sheet or options.capture_sheet:
        if options.contact_sheet:
            write_contact_sheet(options.contact_sheet, seed=options.seed)
        if options.capture_sheet:
            write_capture_sheet(options.capture_sheet, seed=options.seed)
        return
    manifest = write_phantom(
        options.out,
        n_photos=options.n_photos,
        size=options.size,
        seed=options.seed,
        site_coupling=options.site_coupling,
    )
    patients = manifest.table["group"].nunique()
    print(f"{options.out}: {len(manifest)} synthetic photos of {patients} synthetic patients")
    print("  " + ", ".join(f"{label} {n}" for label, n in manifest.counts().items()))
    if options.dermquest:
        several = as_dermquest(manifest)
        several.write_csv(options.out / DERMQUEST_FILE)
        print(
            f"{options.out / DERMQUEST_FILE}: the same photos under {len(several.lesion_labels)} lesion names"
        )
        print("  " + ", ".join(f"{label} {n}" for label, n in several.counts().items()))


if __name__ == "__main__":
    sys.exit(run(main))

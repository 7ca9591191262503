"""Photos to calibrate an export on, and to compare it on: of the run's own data set, any others, or drawn.

    photos = run_photos(checkpoint.card, "data/pad_ufes_20")

Calibration takes training photos only, of as many patients as it can, every label among them. The comparison takes
what calibration has not seen, and no photo of a patient whom it has. Torch-free.
"""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from export.photos import find_photos
from training.data.cache import PhotoCache
from training.data.datasets.registry import MANIFEST_FILE, load_manifest
from training.data.manifest import Manifest
from training.data.photo import PHOTO_SUFFIXES, read_photo
from training.data.splits import hold_out
from training.errors import DataError, PhotoError
from training.evaluation.scoring import with_labels_of
from training.models.card import ModelCard, Preprocessing

CALIBRATION_PHOTOS = 128
MOST_COMPARED = 2000
"""Photos that a file is compared on; of larger sets, whole groups are drawn."""
CACHE = Path("data/cache")
MOST_LOOSE = 64
"""Of a folder of photos, taken at even steps: parity needs variety, not volume."""


@dataclass(frozen=True)
class LabelledPhotos:
    """Decoded photos, and where known, what they show and of whom."""

    images: list[np.ndarray] = field(repr=False)
    """Each (H, W, 3) uint8, RGB."""
    labels: np.ndarray | None = field(default=None, repr=False)
    """(N,) int64, rows of the card's lesion labels, of photos with one label; None where none are known."""
    groups: np.ndarray | None = field(default=None, repr=False)
    """(N,) the patient or lesion."""
    source: str = ""
    """What they are, in a few words."""

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class RunPhotos:
    """Photos of a run's own data set."""

    calibration: LabelledPhotos
    comparison: LabelledPhotos


def run_photos(card: ModelCard, data: str, *, cache: Path = CACHE) -> RunPhotos:
    """Find and decode them.

    Args:
        card: the run's.
        data: the data set that the run was trained on, as `python -m training.fit` takes it.

    Raises:
        DataError: the data set is another one, or has no training photo of one of the card's labels.
    """
    manifest = load_manifest(data)
    if manifest.fingerprint() != card.data.get("fingerprint"):
        raise DataError(
            f"--data {data} is not the data that the run was trained on ({card.data.get('name', 'unknown')}, "
            f"{card.data.get('training_photos', 'no')} training photos): calibration takes the run's own training "
            "photos, so name the data set that was given to python -m training.fit."
        )
    manifest = with_labels_of(card, manifest)
    recipe = card.recipe
    train, held_out = hold_out(
        manifest, validation_share=recipe["validation_share"], fold=recipe["fold"], seed=recipe["seed"]
    )
    calibration = calibration_rows(manifest, train, CALIBRATION_PHOTOS)
    groups = manifest.table["group"].to_numpy()
    unseen = train[~np.isin(groups[train], groups[calibration])]
    comparison = _at_most(np.concatenate([held_out, unseen]), groups, MOST_COMPARED)
    photos = PhotoCache.build(manifest, min_side=card.preprocessing.decode_min_side, folder=cache)
    return RunPhotos(
        _at(photos, manifest, calibration, f"training photos of {manifest.name}"),
        _at(photos, manifest, comparison, f"photos of {manifest.name} unseen in calibration"),
    )


def calibration_rows(manifest: Manifest, train: np.ndarray, n_photos: int) -> np.ndarray:
    """Training rows to calibrate on: label by label in turn, one photo a group, the same at every call.

    Args:
        manifest: labels in the card's order.
        train: row numbers to choose from.

    Returns:
        (at most `n_photos`,) row numbers, sorted.

    Raises:
        DataError: a label has no training photo.
    """
    targets = manifest.lesion_targets()[train].astype(bool)
    groups = manifest.table["group"].to_numpy()[train]
    missing = [name for name, n in zip(manifest.lesion_labels, targets.sum(0), strict=True) if not n]
    if missing:
        raise DataError(
            f"{manifest.name} has no training photo of '{missing[0]}', so the ranges of an int8 file cannot be "
            "calibrated for it; add photos of it and train again, or export --target cpu-fp32."
        )
    order = np.random.default_rng(0).permutation(len(train))
    rarest_first = targets.sum(0).argsort(kind="stable")
    waiting = [[row for row in order if targets[row, label]] for label in rarest_first]
    chosen: list[int] = []
    taken: set[object] = set()
    while len(chosen) < n_photos and any(waiting):
        for rows in waiting:
            while rows and groups[rows[0]] in taken:
                rows.pop(0)
            if rows and len(chosen) < n_photos:
                chosen.append(rows.pop(0))
                taken.add(groups[chosen[-1]])
    return np.sort(train[chosen])


def _at_most(rows: np.ndarray, groups: np.ndarray, n_photos: int) -> np.ndarray:
    """`rows`, or whole groups of them drawn at random, a little under `n_photos` of them in all."""
    if len(rows) <= n_photos:
        return rows
    shuffled = np.random.default_rng(0).permutation(np.unique(groups[rows]))
    place = {group: index for index, group in enumerate(shuffled)}
    ranked = rows[np.argsort([place[group] for group in groups[rows]], kind="stable")]
    return np.sort(ranked[:n_photos])


def _at(photos: PhotoCache, manifest: Manifest, rows: np.ndarray, source: str) -> LabelledPhotos:
    """The photos at `rows` that could be decoded."""
    rows = np.array([row for row in rows if row not in photos.left_out], np.int64)
    targets = manifest.lesion_targets()[rows]
    return LabelledPhotos(
        [photos[row] for row in rows],
        targets.argmax(1) if (targets.sum(1) == 1).all() else None,
        manifest.table["group"].to_numpy()[rows],
        f"{len(rows)} {source}",
    )


def photos_to_compare(card: ModelCard, data: str | None) -> tuple[LabelledPhotos, list[str]]:
    """Drawn pictures, the run's own photos, or any others; and one sentence for each that could not be read."""
    if data is None:
        return drawn_photos(card.preprocessing), []
    path = Path(data)
    loose = (
        path.is_dir()
        and not (path / MANIFEST_FILE).is_file()
        and any(p.suffix.lower() in PHOTO_SUFFIXES for p in path.iterdir())
    )
    if loose or path.suffix.lower() in PHOTO_SUFFIXES:
        return _read_photos(path, card.preprocessing.decode_min_side)
    return run_photos(card, data).comparison, []


def _read_photos(data: Path, min_side: int) -> tuple[LabelledPhotos, list[str]]:
    """Photos to compare by, and why others were left out."""
    photos, left_out = find_photos([data])
    images = []
    for path in photos[:: max(1, -(-len(photos) // MOST_LOOSE))]:
        try:
            images.append(read_photo(path, min_side=min_side).image_rgb)
        except PhotoError as error:
            left_out.append(str(error))
    if not images:
        raise PhotoError(f"there is no photo to compare by: {left_out[0]}")
    return LabelledPhotos(images, source=f"{len(images)} photos of {data.name}"), left_out


def drawn_photos(preprocessing: Preprocessing) -> LabelledPhotos:
    """`varied_images`, for a comparison that no photo is at hand for."""
    images = varied_images(preprocessing)
    return LabelledPhotos(images, source=f"{len(images)} drawn pictures")


def varied_images(preprocessing: Preprocessing, seed: int = 0) -> list[np.ndarray]:
    """Pictures to compare by: smooth colours under fine grain, in the sizes that go wrong first.

    Returns:
        Each (H, W, 3) uint8, RGB: exactly the input, the size of decoded photos, odd sides, portrait and
        landscape, long and narrow, larger than a phone's screen, as small as photos may be; some sizes occur
        once and some several times, so that batches of 1 to 4 are seen.
    """
    size, side = preprocessing.input_size, preprocessing.decode_min_side
    sizes_hw = [(size, size)] * 2 + [(side, side)] * 4 + [(side + 1, side * 4 // 3 + 1)] * 3
    sizes_hw += [
        (side * 4 // 3, side),
        (side, side * 3 + 1),
        (2 * side + 7, 2 * side - 4),
        (1531, 1147),
        (33, 47),
    ]
    generator = np.random.default_rng(seed)
    return [_varied_image(height, width, generator) for height, width in sizes_hw]


def _varied_image(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    coarse = generator.uniform(0, 255, (int(generator.integers(2, 9)), int(generator.integers(2, 9)), 3))
    smooth = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = generator.normal(0, generator.uniform(0, 30), smooth.shape)
    return (smooth + grain).clip(0, 255).astype(np.uint8)

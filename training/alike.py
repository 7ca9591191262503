"""Photos that a network finds alike: what no hash sees, such as one lesion photographed twice.

    pairs, check = alike_pairs(paths, Path("runs/demo"))

How many changed copies it would have found is measured on the spot, on copies of the photos themselves, since
it depends on the network. Photos are compared upright, as the network sees them.
"""

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from training.data.duplicates import COSINE_LIMIT, CROP_SHARE, PhotoPair, feature_pairs, whiten
from training.data.photo import decode_photo, read_photo
from training.models.features import Trunk, open_trunk

FEWEST_PHOTOS = 128
"""With fewer, the directions in which photos differ are not known well enough."""
COPIES = 64
COPY_QUALITY = 50
BATCH = 32


@dataclass(frozen=True)
class NetworkCheck:
    """What the network was, and how well it finds copies of these photos.

    found: of `copies` photos with 5% cut off and stored as JPEG again at quality 50, how many it would find.
    """

    network: str
    limit: float
    copies: int
    found: int


def alike_pairs(
    paths: Sequence[str],
    network: Path,
    *,
    architecture: str = "resnet18",
    limit: float = COSINE_LIMIT,
    progress: bool = True,
) -> tuple[list[PhotoPair], NetworkCheck]:
    """Pairs of photos, by position in `paths`, and the check of the network that found them.

    Args:
        paths: at least `FEWEST_PHOTOS` photos that open.
        network: a run's folder or a .safetensors file.

    Raises:
        CheckpointError, RecipeError: the network cannot be opened.
    """
    trunk = open_trunk(network, architecture)
    sample = np.unique(np.linspace(0, len(paths) - 1, min(COPIES, len(paths))).astype(int))
    features = _features(trunk, _read(paths, trunk, "features of the photos", progress))
    copies = (
        changed_copy(image) for image in _read([paths[row] for row in sample], trunk, "copies", progress)
    )
    similarity = (whiten(_features(trunk, copies), features) * whiten(features[sample], features)).sum(1)
    check = NetworkCheck(trunk.note, limit, len(sample), int((similarity >= limit).sum()))
    return feature_pairs(features, limit, progress=progress), check


def changed_copy(image_rgb: np.ndarray) -> np.ndarray:
    """An (H, W, 3) uint8 RGB photo without its top and left 5%, stored as JPEG once more."""
    height, width = image_rgb.shape[:2]
    part = image_rgb[round(CROP_SHARE * height) :, round(CROP_SHARE * width) :]
    buffer = io.BytesIO()
    Image.fromarray(part).save(buffer, "JPEG", quality=COPY_QUALITY)
    return decode_photo(buffer.getvalue()).image_rgb


def _read(paths: Sequence[str], trunk: Trunk, title: str, progress: bool) -> Iterator[np.ndarray]:
    def read(path: str) -> np.ndarray:
        return read_photo(path, min_side=trunk.view.decode_min_side).image_rgb

    bar = tqdm(total=len(paths), desc=title, unit="photo", leave=False, disable=not progress)
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), BATCH):
            for image in pool.map(read, paths[start : start + BATCH]):
                yield image
                bar.update()


def _features(trunk: Trunk, images: Iterator[np.ndarray]) -> np.ndarray:
    batches, waiting = [], []
    for image in images:
        waiting.append(image)
        if len(waiting) == BATCH:
            batches.append(trunk.features(waiting))
            waiting = []
    if waiting:
        batches.append(trunk.features(waiting))
    return np.concatenate(batches)

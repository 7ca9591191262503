"""The same picture twice: exact copies, copies that were changed a little, and what a network finds alike.

    prints = [fingerprint(read_photo(path, min_side=DECODE_SIDE).image_rgb) for path in paths]
    pairs = copy_pairs(prints)

Candidates come from a DCT hash of 16 x 16 bits (Zauner 2010, "Implementation and Benchmarking of Perceptual Image
Hash Functions", as the package imagehash computes it): of average, difference, wavelet and DCT hashes of 64 to
256 bits it parted copies from other photos of skin best. A hash of the whole picture survives neither a crop nor
a turn, so ten views of one photo (whole, and with 5% cut off in nine ways) are compared with eight orientations
of the other. Since dark spots on pale skin hash alike, each candidate is then aligned and its details compared.
The measured rates stand in docs/training.md. Torch-free.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import imagehash
import numpy as np
from PIL import Image
from tqdm import tqdm

from training.data.registration import registered_correlation

HASH_SIDE = 16
HASH_BITS = HASH_SIDE**2
DECODE_SIDE = 128
"""Shorter side, in pixels, to which a photo may be reduced before it is hashed."""
HASH_LIMIT = 56
"""Bits, of 256, by which the hashes of two candidates may differ."""
CORRELATION_LIMIT = 0.92
"""Of two candidates' details, from which on they are one picture (docs/training.md has the rates)."""
COSINE_LIMIT = 0.65
"""Of whitened features, from which on two photos count as alike to a network (rates likewise)."""
CROP_SHARE = 0.05
"""Of the width and of the height, cut off in the cropped views."""
GRID_SIDE = 64
"""Pixels of the grey square that is transformed: imagehash's four times `HASH_SIDE`."""
ORIENTATIONS = (None, *Image.Transpose)
_CUTS = (0.0, CROP_SHARE / 2, CROP_SHARE)
VIEWS = (
    (0.0, 0.0, 1.0, 1.0),
    *((left, top, left + 1 - CROP_SHARE, top + 1 - CROP_SHARE) for left in _CUTS for top in _CUTS),
)
"""(x0, y0, x1, y1) as shares of the photo: the whole, then 5% cut off at every side, edge and corner."""
NEAREST = 50
"""At most this many partners a photo are kept, so that a thousand copies of one picture stay readable."""
WHITENED = 128
BLOCK_ROWS, BLOCK_COLUMNS = 1024, 4096


@dataclass(frozen=True)
class PhotoPair:
    """Two rows of a manifest, first < second, that show the same or nearly the same.

    bits: by how many of `HASH_BITS` their hashes differ; None if not within the limit.
    correlation: of their details once aligned; None if they are no candidates by hash.
    cosine: of the network's whitened features; None if no network was asked, or below its limit.
    """

    first: int
    second: int
    same_bytes: bool = False
    bits: int | None = None
    correlation: float | None = None
    cosine: float | None = None

    @property
    def same_picture(self) -> bool:
        """By bytes or by details; the network alone only says that they look alike."""
        return self.same_bytes or self.correlation is not None


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a photo to find its copies.

    hashes: (17, 32) uint8, 256 bits each, packed: of ten upright views, then of seven other orientations.
    grey: (64, 64) uint8, the whole photo.
    """

    hashes: np.ndarray
    grey: np.ndarray


def fingerprint(image_rgb: np.ndarray) -> Fingerprint:
    """The fingerprint of a photo, (H, W, 3) uint8 RGB."""
    grey = Image.fromarray(image_rgb).convert("L")
    width, height = grey.size
    views = [
        grey.resize(
            (GRID_SIDE, GRID_SIDE),
            Image.Resampling.LANCZOS,
            box=(x0 * width, y0 * height, x1 * width, y1 * height),
        )
        for x0, y0, x1, y1 in VIEWS
    ]
    turned = [views[0].transpose(turn) for turn in ORIENTATIONS if turn is not None]
    bits = [imagehash.phash(view, HASH_SIDE).hash.ravel() for view in views + turned]
    return Fingerprint(np.packbits(np.array(bits), axis=1), np.asarray(views[0]))


def byte_pairs(digests: Sequence[str]) -> list[PhotoPair]:
    """Files with the same digest; each copy is paired with the first of its kind. "" matches nothing."""
    first: dict[str, int] = {}
    return [
        PhotoPair(first[digest], row, same_bytes=True)
        for row, digest in enumerate(digests)
        if digest and first.setdefault(digest, row) != row
    ]


def copy_pairs(
    prints: Sequence[Fingerprint],
    *,
    hash_limit: int = HASH_LIMIT,
    correlation_limit: float = CORRELATION_LIMIT,
    progress: bool = False,
) -> list[PhotoPair]:
    """Photos that are one picture: candidates by `hash_pairs`, kept if their details agree once aligned."""
    if len(prints) < 2:
        return []
    candidates = hash_pairs(np.stack([one.hashes for one in prints]), hash_limit, progress=progress)
    bar = tqdm(candidates, "compare candidates", unit="pair", leave=False, disable=not progress)
    aligned = (
        replace(pair, correlation=detail_agreement(prints[pair.first], prints[pair.second])) for pair in bar
    )
    return [pair for pair in aligned if (pair.correlation or 0) >= correlation_limit]


def hash_pairs(hashes: np.ndarray, limit: int = HASH_LIMIT, *, progress: bool = False) -> list[PhotoPair]:
    """Photos one of whose views differs from an orientation of the other by at most `limit` bits.

    Args:
        hashes: (N, 17, 32) uint8, of each photo's `Fingerprint`.

    Returns:
        Sorted by row; of each photo at most its `NEAREST` nearest partners.
    """
    best: dict[tuple[int, int], int] = {}
    for row, column in _blocks(len(hashes), "compare hashes", progress):
        views = _views(hashes[row : row + BLOCK_ROWS])
        turned = _orientations(hashes[column : column + BLOCK_COLUMNS])
        # Two hashes of b bits that differ in d of them, written as -1 and 1, have the product b - 2d.
        for first, second, product in _hits(_agreement(views, turned), HASH_BITS - 2 * limit, row, column):
            key, bits = (min(first, second), max(first, second)), (HASH_BITS - round(product)) // 2
            best[key] = min(bits, best.get(key, bits))
    return [PhotoPair(*key, bits=bits) for key, bits in sorted(best.items())]


def detail_agreement(one: Fingerprint, other: Fingerprint) -> float:
    """The correlation of two photos' details, aligned from the view and orientation whose hashes agree best."""
    tries = []
    for whole, part in ((one, other), (other, one)):
        products = _views(whole.hashes[None])[:, 0] @ _orientations(part.hashes[None])[:, 0].T
        view, orientation = np.unravel_index(products.argmax(), products.shape)
        tries.append((products.max(), whole, part, VIEWS[view], ORIENTATIONS[orientation]))
    _, whole, part, (x0, y0, x1, y1), turn = max(tries, key=lambda found: found[0])
    template = part.grey if turn is None else np.asarray(Image.fromarray(part.grey).transpose(turn))
    width, height = x1 - x0, y1 - y0
    start = np.array(
        [
            [width, 0, x0 * GRID_SIDE + (width - 1) / 2],
            [0, height, y0 * GRID_SIDE + (height - 1) / 2],
        ]
    )
    return registered_correlation(whole.grey, template, start)


def whiten(features: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(N, C) features to (N, K) of length 1, every principal direction of the reference given the same weight.

    Photos of skin share most of what a network sees in them; what sets one apart lies in the small directions.
    K is `WHITENED`, or a quarter of the reference's (M, C) rows where that is less.
    """
    mean = reference.mean(0)
    _, scale, directions = np.linalg.svd(reference - mean, full_matrices=False)
    kept = min(WHITENED, max(1, len(reference) // 4), max(1, int((scale > 1e-6 * scale[0]).sum())))
    white = (features - mean) @ directions[:kept].T / np.maximum(scale[:kept], 1e-12)
    return white / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12)


def feature_pairs(features: np.ndarray, limit: float, *, progress: bool = False) -> list[PhotoPair]:
    """Photos whose whitened features have a cosine of at least `limit`.

    Args:
        features: (N, C) float, a network's pooled features of each photo.
    """
    unit = whiten(features, features).astype(np.float32)
    best: dict[tuple[int, int], float] = {}
    for row, column in _blocks(len(unit), "compare features", progress):
        cosines = unit[row : row + BLOCK_ROWS] @ unit[column : column + BLOCK_COLUMNS].T
        for first, second, cosine in _hits(cosines, limit, row, column):
            best[min(first, second), max(first, second)] = min(1.0, cosine)
    return [PhotoPair(*key, cosine=cosine) for key, cosine in sorted(best.items())]


def merge(*searches: Sequence[PhotoPair]) -> list[PhotoPair]:
    """One pair for each two rows, with what every search says of them."""
    merged: dict[tuple[int, int], PhotoPair] = {}
    for pair in (pair for search in searches for pair in search):
        known = merged.setdefault((pair.first, pair.second), pair)
        merged[pair.first, pair.second] = replace(
            known,
            same_bytes=known.same_bytes or pair.same_bytes,
            bits=known.bits if pair.bits is None else pair.bits,
            correlation=known.correlation if pair.correlation is None else pair.correlation,
            cosine=known.cosine if pair.cosine is None else pair.cosine,
        )
    return [merged[key] for key in sorted(merged)]


def _blocks(n: int, title: str, progress: bool) -> Iterator[tuple[int, int]]:
    """Where each block of the N x N table begins; never the whole table at once."""
    corners = [(row, column) for row in range(0, n, BLOCK_ROWS) for column in range(0, n, BLOCK_COLUMNS)]
    yield from tqdm(corners, title, unit="block", leave=False, disable=not progress)


def _agreement(views: np.ndarray, orientations: np.ndarray) -> np.ndarray:
    """(n, m) float32: the greatest product of any view of n photos with any orientation of m."""
    best = np.full((views.shape[1], orientations.shape[1]), -HASH_BITS, np.float32)
    product = np.empty_like(best)
    for orientation in orientations:
        turned = np.ascontiguousarray(orientation.T)
        for view in views:
            np.matmul(view, turned, out=product)
            np.maximum(best, product, out=best)
    return best


def _views(hashes: np.ndarray) -> np.ndarray:
    """(n, 17, 32) to (10, n, 256) float32 of -1 and 1."""
    return _signs(hashes[:, : len(VIEWS)])


def _orientations(hashes: np.ndarray) -> np.ndarray:
    """(n, 17, 32) to (8, n, 256) float32 of -1 and 1: the whole photo upright, then turned."""
    return _signs(np.delete(hashes, np.s_[1 : len(VIEWS)], axis=1))


def _signs(packed: np.ndarray) -> np.ndarray:
    bits = np.unpackbits(np.ascontiguousarray(packed.swapaxes(0, 1)), axis=2)
    return bits.astype(np.float32) * 2 - 1


def _hits(values: np.ndarray, limit: float, row: int, column: int) -> Iterator[tuple[int, int, float]]:
    """(row, column, value) of the greatest values of at least `limit` in each row, the diagonal aside."""
    for local in np.flatnonzero((values >= limit).any(1)):
        found = np.flatnonzero(values[local] >= limit)
        found = found[found + column != local + row]
        strongest = found[np.argsort(-values[local, found], kind="stable")[:NEAREST]]
        for other in strongest:
            yield int(local) + row, int(other) + column, float(values[local, other])

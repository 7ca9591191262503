"""Where does each point of one photo lie in another of the same skin, taken under other light?

    registration = register(plain_linear, lit_linear)
    registration.homography, registration.agreement, registration.overlap

Both photos are turned into what light changes least: the logarithm of luminance without its slow part, over its
own local contrast. A few starts (no motion, phase correlation, features) are judged by their correlation, and the
best is refined by ECC from coarse to fine: Evangelidis & Psarakis, "Parametric image alignment using enhanced
correlation coefficient maximization", IEEE TPAMI 30(10), 2008. Pure functions; torch-free.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from capture_app.flash.light import CLIPPED, luminance

FINE_SIDE_PX = 256
"""Shorter side at which the two are aligned; a quarter of a pixel there is under one at 1024."""
COARSE_FACTOR = 4
DARK = 0.01
"""Linear light below which a pixel says little."""
NOISE_SIGMA_PX = 1.0
SLOW_SIGMA, LOCAL_SIGMA = 0.03, 0.06
"""In shorter sides: what is slower counts as light; the neighbourhood whose contrast is evened out."""
CONTRAST_FLOOR = 0.02
"""Natural log of light below which contrast is taken for noise."""
COARSE_STEPS, FINE_STEPS = 60, 25
"""Iterations of ECC, at most."""
TILES = 5
"""A side: over them the agreement is taken."""
TILE_SPREAD = 0.25
"""Standard deviation of a tile, below which it has nothing to agree on."""
TILE_SEEN = 0.7
"""Share of a tile that both photos must show."""
FEATURES, RANSAC_PX, MIN_MATCHES = 600, 4.0, 8


@dataclass(frozen=True, eq=False)
class Registration:
    """How one photo lies on the other."""

    homography: np.ndarray
    """(3, 3) float64: from pixels of the first photo to pixels of the second."""
    agreement: float
    """Median correlation of the tiles, -1 to 1, of what light changes least; -1 where no tile can say."""
    overlap: float
    """Share of the first photo that the second one shows, 0 to 1."""

    @property
    def turn_deg(self) -> float:
        """By which the camera turned about the line of sight."""
        h = self.homography
        return float(np.degrees(np.arctan2(h[1, 0] - h[0, 1], h[0, 0] + h[1, 1])))

    @property
    def scale(self) -> float:
        """Of the second photo over the first."""
        return float(np.sqrt(abs(np.linalg.det(self.homography[:2, :2]))))


def register(first: np.ndarray, second: np.ndarray) -> Registration:
    """Find the homography between two photos of the same size.

    Args:
        first, second: (H, W, 3) float32, linear light, 0 to 1.

    Returns:
        The best one found; whether to believe it is the caller's to judge, by its figures.
    """
    height, width = first.shape[:2]
    scale = min(1.0, FINE_SIDE_PX / min(height, width))
    size = round(width * scale), round(height * scale)
    small = [cv2.resize(photo, size, interpolation=cv2.INTER_AREA) for photo in (first, second)]
    one, other = (_light_free(photo) for photo in small)
    masks = [(photo.max(axis=2) < CLIPPED).astype(np.uint8) for photo in small]
    warp = _coarse(one, other, masks[1])
    warp = _refine(one, other, warp, masks[1], cv2.MOTION_HOMOGRAPHY, FINE_STEPS)
    agreement = _agreement(one, other, warp, masks)
    down = _pixel_scale(size[0] / width, size[1] / height)
    homography = np.linalg.inv(down) @ warp @ down
    homography /= homography[2, 2]
    return Registration(homography, agreement, float(seen_in_second(homography, (height, width)).mean()))


def warp_to_first(second: np.ndarray, homography: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The second photo as it would lie in the first; 0 where it shows nothing."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(second, homography, size_hw[::-1], flags=flags))


def seen_in_second(homography: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """(height, width) bool: pixels of the first photo that the second one shows too."""
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    ones = np.ones(size_hw, np.uint8)
    return np.asarray(cv2.warpPerspective(ones, homography, size_hw[::-1], flags=flags) > 0)


def common_box(homography: np.ndarray, size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of an upright box of the first photo that the second one shows whole, the ends just outside.

    It may be empty.
    """
    height, width = size_hw
    corners = np.array([[[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]], np.float64)
    (tl, tr, br, bl) = cv2.perspectiveTransform(corners, np.linalg.inv(homography))[0]
    # A cubic kernel reaches two pixels past the rim.
    x0, y0 = np.ceil([max(0, tl[0], bl[0]) + 2, max(0, tl[1], tr[1]) + 2]).astype(int)
    x1 = int(np.floor(min(width - 1, tr[0], br[0]))) - 1
    y1 = int(np.floor(min(height - 1, bl[1], br[1]))) - 1
    return int(x0), int(y0), max(int(x0), x1), max(int(y0), y1)


def _pixel_scale(x: float, y: float) -> np.ndarray:
    """From pixels of the photo to pixels of its smaller copy, whose centres lie elsewhere."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1.0]])


def _light_free(linear: np.ndarray) -> np.ndarray:
    """(h, w) float32, about -3 to 3."""
    side = min(linear.shape[:2])
    level = cv2.GaussianBlur(np.log(np.maximum(luminance(linear), 0) + DARK), (0, 0), NOISE_SIGMA_PX)
    detail = level - cv2.GaussianBlur(level, (0, 0), SLOW_SIGMA * side)
    contrast = cv2.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), LOCAL_SIGMA * side))
    return np.asarray(np.clip(detail / (contrast + CONTRAST_FLOOR), -3, 3), np.float32)


def _coarse(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The likeliest start, refined as an affine motion on small copies."""
    size = first.shape[1] // COARSE_FACTOR, first.shape[0] // COARSE_FACTOR
    one, other = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (first, second))
    small_mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST))
    shift, _ = cv2.phaseCorrelate(one, other, cv2.createHanningWindow(size, cv2.CV_32F))
    down = _pixel_scale(size[0] / first.shape[1], size[1] / first.shape[0])
    starts = [np.eye(3), np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1.0]])]
    if (features := _by_features(first, second)) is not None:
        starts.append(down @ features @ np.linalg.inv(down))
    refined = [_refine(one, other, start, small_mask, cv2.MOTION_AFFINE, COARSE_STEPS) for start in starts]
    best = max(refined, key=lambda warp: _correlation(one, other, warp))
    return np.asarray(np.linalg.inv(down) @ best @ down)


def _by_features(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """A similarity by SIFT features (Lowe 2004) and RANSAC, where enough of them agree."""
    sift = cv2.SIFT.create(nfeatures=FEATURES, contrastThreshold=0.02)
    grey = (np.clip(128 + 40 * plane, 0, 255).astype(np.uint8) for plane in (first, second))
    (points, words), (other_points, other_words) = (sift.detectAndCompute(plane, None) for plane in grey)
    if words is None or other_words is None or min(len(words), len(other_words)) < MIN_MATCHES:
        return None
    matches = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(words, other_words)
    if len(matches) < MIN_MATCHES:
        return None
    here = np.array([points[match.queryIdx].pt for match in matches])
    there = np.array([other_points[match.trainIdx].pt for match in matches])
    cv2.setRNGSeed(0)
    warp, inliers = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=RANSAC_PX)
    if warp is None or int(inliers.sum()) < MIN_MATCHES:
        return None
    return np.vstack([warp, [0, 0, 1]])


def _refine(
    first: np.ndarray, second: np.ndarray, start: np.ndarray, mask: np.ndarray, motion: int, steps: int
) -> np.ndarray:
    """ECC from a start; the start itself where it does not converge. mask: of the second photo."""
    warp = (start / start[2, 2])[: 3 if motion == cv2.MOTION_HOMOGRAPHY else 2].astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-4)
    try:
        _, warp = cv2.findTransformECC(first, second, warp, motion, criteria, mask, 1)
    except cv2.error:
        # ECC raises where the two do not correlate; the start's own correlation will tell.
        return start
    refined = np.eye(3)
    refined[: warp.shape[0]] = warp
    return refined if np.isfinite(refined).all() and abs(np.linalg.det(refined)) > 1e-3 else start


def _correlation(first: np.ndarray, second: np.ndarray, warp: np.ndarray) -> float:
    """Over what both show, scaled down where that is less than half."""
    seen = seen_in_second(warp, first.shape)
    share = float(seen.mean())
    if share < 0.1:
        return -1.0
    moved = warp_to_first(second, warp, first.shape)
    return _pearson(first[seen], moved[seen]) * min(1.0, 2 * share)


def _agreement(first: np.ndarray, second: np.ndarray, warp: np.ndarray, masks: list[np.ndarray]) -> float:
    """Median correlation over the tiles that both photos show and that have something to agree on."""
    moved = warp_to_first(second, warp, first.shape)
    seen = seen_in_second(warp, first.shape) & (masks[0] > 0)
    seen &= warp_to_first(masks[1], warp, first.shape) > 0
    rows, columns = (np.linspace(0, length, TILES + 1).astype(int) for length in first.shape)
    tiles = [
        np.s_[rows[i] : rows[i + 1], columns[j] : columns[j + 1]] for i in range(TILES) for j in range(TILES)
    ]
    found = [
        _pearson(first[tile][seen[tile]], moved[tile][seen[tile]])
        for tile in tiles
        if seen[tile].mean() >= TILE_SEEN and first[tile].std() >= TILE_SPREAD
    ]
    return float(np.median(found)) if found else -1.0


def _pearson(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / (np.sqrt((one * one).sum() * (other * other).sum()) + 1e-9))

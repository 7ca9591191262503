"""Is it the same picture? Two small grey pictures laid on one another, and how well their details then agree.

    correlation = registered_correlation(grey, other, start=np.eye(2, 3))

Source: Evangelidis & Psarakis 2008, "Parametric Image Alignment Using Enhanced Correlation Coefficient
Maximization" (OpenCV's findTransformECC), on a band of details: what is smooth looks alike in any two photos
of one dark spot on pale skin. Torch-free.
"""

import cv2
import numpy as np

FINE_SIGMA, COARSE_SIGMA = 1.0, 2.0
"""Pixels, of 64: details between these two scales are compared."""
ITERATIONS, PRECISION = 40, 1e-4
LEAST_OVERLAP = 0.7
"""Share of the picture that must be common: less is no copy with its edges cut off."""


def details(grey: np.ndarray) -> np.ndarray:
    """(H, W) uint8 to (H, W) float32: the difference of two Gaussian blurs."""
    values = grey.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(values, (0, 0), sigma) for sigma in (FINE_SIGMA, COARSE_SIGMA))
    return fine - coarse


def registered_correlation(picture: np.ndarray, template: np.ndarray, start: np.ndarray) -> float:
    """The correlation of two pictures' details after the affine alignment that maximises it.

    Args:
        picture, template: (S, S) uint8, grey.
        start: (2, 3), from the template's pixels to the picture's, right to within a few pixels.

    Returns:
        From -1 to 1; 0 where they cannot be aligned, or have too little in common.
    """
    moving, fixed = details(picture), details(template)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, ITERATIONS, PRECISION)
    everywhere = np.ones_like(picture)
    try:
        _, warp = cv2.findTransformECC(
            fixed, moving, start.astype(np.float32), cv2.MOTION_AFFINE, criteria, everywhere, 3
        )
    except cv2.error:  # No convergence: the only way in which OpenCV says so.
        return 0.0
    size, inverse = fixed.shape[::-1], cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(moving, warp, size, flags=cv2.INTER_LINEAR | inverse)
    common = cv2.warpAffine(everywhere, warp, size, flags=cv2.INTER_NEAREST | inverse) > 0
    if common.mean() < LEAST_OVERLAP or not (moved[common].std() and fixed[common].std()):
        return 0.0
    return float(np.corrcoef(moved[common], fixed[common])[0, 1])

"""What a plain photo and one with flash gave, against the truth they were drawn from.

row = judge(pair)              # accepted or why not, registration, colour, shine
summary = summarise(rows)
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks.flash_scenes import Pair
from capture_app.flash.light import linearise, luminance, to_display
from capture_app.flash.pair import FlashPair, Limits, separate_pair, washed_out
from training.errors import PhotoError

OPEN = Limits(np.inf, 1.0, -np.inf, 1.0, -2.0, 0.0, 360.0, np.inf)
"""Lets everything pass, so that the measures can be looked at."""
COLOUR_STEP = 3
"""Every n-th pixel each way is compared."""
LOOKS = ("plain", "flash", "reflectance")


def judge(pair: Pair, limits: Limits | None = None) -> tuple[dict[str, Any], FlashPair | None]:
    """What `separate_pair` makes of a drawn pair, with its own limits unless others are given."""
    try:
        photos = pair.ambient_rgb, pair.flash_rgb
        found = separate_pair(*photos) if limits is None else separate_pair(*photos, limits=limits)
    except PhotoError as error:
        return {"accepted": False, "why": error.kind}, None
    row = {
        "accepted": True,
        "error_px": registration_error(found.registration.homography, pair),
        "agreement": found.registration.agreement,
        "overlap": found.registration.overlap,
        "gain": found.gain,
        "darker": found.darker,
        "washed_out": max(washed_out(linearise(photo)) for photo in photos),
    }
    return row | against_truth(found, pair), found


def registration_error(homography: np.ndarray, pair: Pair) -> float:
    """Mean distance in pixels, over a grid, between where points lie and where they are said to lie."""
    found, true = (_moved(matrix, pair) for matrix in (homography, pair.homography))
    return float(np.hypot(*(found - true).T).mean())


def motion(pair: Pair) -> float:
    """Mean distance by which points moved between the photos, in sides of the frame."""
    still, moved = (_moved(matrix, pair) for matrix in (np.eye(3), pair.homography))
    return float(np.hypot(*(moved - still).T).mean()) / pair.ambient_rgb.shape[0]


def _moved(homography: np.ndarray, pair: Pair) -> np.ndarray:
    ticks = np.linspace(0.15, 0.85, 5) * pair.ambient_rgb.shape[0]
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(1, -1, 2)
    return np.asarray(cv2.perspectiveTransform(points, homography)[0])


def truth_in(box: tuple[int, int, int, int], pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance and shine in the part that both photos show."""
    x0, y0, x1, y1 = box
    return pair.reflectance[y0:y1, x0:x1], pair.specular[y0:y1, x0:x1]


def against_truth(found: FlashPair, pair: Pair) -> dict[str, float]:
    """Colour and shine against the truth, in the part that both photos show."""
    true, shine = truth_in(found.box, pair)
    photos = (found.plain_rgb, found.lit_rgb, found.reflectance_rgb)
    result = {
        f"colour_{look}": colour_error(linearise(photo), true)
        for look, photo in zip(LOOKS, photos, strict=True)
    }
    result["shine_error"] = float(np.abs(found.specular - shine).sum() / max(float(shine.sum()), 1e-6))
    if min(shine.std(), found.specular.std()) > 1e-5:
        result["shine_correlation"] = float(np.corrcoef(shine.ravel(), found.specular.ravel())[0, 1])
    return result


def colour_error(linear: np.ndarray, true: np.ndarray) -> float:
    """Mean CIE 1976 difference after one exposure factor, (h, w, 3) float32 linear both; 2.3 is just seen."""
    linear, true = (np.ascontiguousarray(light[::COLOUR_STEP, ::COLOUR_STEP]) for light in (linear, true))
    level = np.float32(np.median(luminance(true)) / max(float(np.median(luminance(linear))), 1e-5))
    one, other = (
        cv2.cvtColor(to_display(light).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        for light in (linear * level, true)
    )
    return float(np.linalg.norm(one - other, axis=2).mean())


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The share that was accepted, why others were not, and medians and 95th percentiles of the accepted ones."""
    kept = [row for row in rows if row["accepted"]]
    why = [row["why"] for row in rows if not row["accepted"]]
    result: dict[str, Any] = {
        "pairs": len(rows),
        "accepted": len(kept) / len(rows),
        "refused_as": {kind: why.count(kind) for kind in sorted(set(why))},
    }
    measures = ("error_px", *(f"colour_{look}" for look in LOOKS), "shine_error", "shine_correlation")
    for measure in measures:
        if values := [row[measure] for row in kept if measure in row]:
            result[measure] = {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))}
    if kept:
        nearer = [row["colour_reflectance"] < row["colour_plain"] for row in kept]
        result["nearer_than_plain"] = float(np.mean(nearer))
    return result


def spread(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Percentiles of each measure that has a limit, of pairs judged with `OPEN`."""
    found = {}
    for measure in ("agreement", "overlap", "gain", "darker", "washed_out", "error_px"):
        if values := [row[measure] for row in rows if row["accepted"]]:
            found[measure] = {f"p{q:g}": float(np.percentile(values, q)) for q in (0, 1, 5, 50, 95, 99, 100)}
    return found

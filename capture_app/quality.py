"""Is the photo good enough to judge? Three checks: field of view, illumination, focus.

    quality = check_photo(read_photo("lesion.jpg", min_side=512).image_rgb)
    print(quality.field_of_view.advice)

Each check measures, compares with the one table of limits (`limits.json`) and says what to do. Light is judged
against the skin in view, blur against the photo's own contrast, and all at one fixed size, so that neither dark
skin nor a large photo is taken for a fault. Pure functions; torch-free.
"""

import itertools
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from capture_app.locate import Lesion, Scene, read_scene

Severity = Literal["ok", "advise", "block"]

GRID = 4
"""Cells a side over which the evenness of the light is judged."""
CELL_SKIN_SHARE = 0.25
"""Of a cell's pixels, below which a cell says nothing about the light on the skin."""
CLIPPED_LUMA = 248
LOG_SIGMA_PX, TEXTURE_SIGMA_PX = 1.0, 8.0
"""Of the Laplacian of Gaussian, and of what counts as shading rather than texture, at the working size."""
CONTRAST_FLOOR = 1.0
"""Grey levels added to the contrast, so that a blank photo does not look sharp by its noise."""
NO_LESION = "Nothing stands out from the skin: put the spot in the middle, or go on if it is spread out."


@dataclass(frozen=True)
class Limit:
    """Where a measure is advised on and where it asks for another photo; None means never."""

    worse: Literal["above", "below"]
    advise: float
    block: float | None
    unit: str

    def judge(self, measure: float) -> Severity:
        sign = 1 if self.worse == "above" else -1
        if self.block is not None and sign * (measure - self.block) > 0:
            return "block"
        return "advise" if sign * (measure - self.advise) > 0 else "ok"


@dataclass(frozen=True)
class Finding:
    """What a check says, and on what ground."""

    code: str
    """`field_of_view`, `illumination` or `focus` when all is well, otherwise the fault's key in limits.json."""
    severity: Severity
    measure: float
    unit: str
    limit: float
    """The limit that was passed, or, when all is well, the one that would be passed next."""
    advice: str
    """One sentence that a person with a phone can act on."""


@dataclass(frozen=True)
class Light:
    """Measures of illumination, on the skin in view where not said otherwise."""

    highlight_luma: float
    """95th percentile, 0 to 255: dark skin in good light still has bright ridges and highlights."""
    median_luma: float
    """0 to 255."""
    clipped_share: float
    """Of the whole photo, in [0, 1]."""
    uneven_stops: float
    """From the darkest to the brightest cell of a 4x4 grid, in stops (log2 of linear light)."""


@dataclass(frozen=True)
class Quality:
    """All findings on one photo."""

    field_of_view: Finding
    illumination: Finding
    focus: Finding
    lesion: Lesion | None
    """None where nothing stands out from the skin."""

    @property
    def findings(self) -> tuple[Finding, Finding, Finding]:
        return self.field_of_view, self.illumination, self.focus

    @property
    def severity(self) -> Severity:
        """The worst of the three."""
        return max((finding.severity for finding in self.findings), key=("ok", "advise", "block").index)


@cache
def limits() -> dict[str, Limit]:
    """The table of limits, by fault."""
    table = json.loads(Path(__file__).with_name("limits.json").read_text(encoding="utf-8"))
    return {fault: Limit(**row) for fault, row in table.items() if isinstance(row, dict)}


def check_photo(image_rgb: np.ndarray) -> Quality:
    """Run the three checks.

    Args:
        image_rgb: (H, W, 3) uint8, RGB, upright.
    """
    scene = read_scene(image_rgb)
    field_of_view = check_field_of_view(scene)
    lesion = None if field_of_view.code == "no_lesion" else scene.lesion
    return Quality(field_of_view, check_illumination(scene), check_focus(scene), lesion)


def check_field_of_view(scene: Scene) -> Finding:
    """Where the lesion lies, and how much of the frame it takes."""
    lesion = scene.lesion
    presence = _finding("no_lesion", lesion.contrast if lesion else 0.0, NO_LESION)
    if lesion is None or presence.severity != "ok":
        return presence
    dx, dy = lesion.offset_xy
    found = [
        _finding("cut_off", lesion.cut_off, f"Part of it is outside the photo: {_towards(dx, dy)}."),
        _finding("off_centre", max(abs(dx), abs(dy)), f"{_towards(dx, dy).capitalize()}, to centre it."),
        _finding("too_far", lesion.extent, "Come closer: it should fill about a third of the photo."),
        _finding("too_close", lesion.extent, "Step back a little, so that some skin around it is seen."),
    ]
    return _worst(found, "field_of_view", found[1], "It is in view and well placed.")


def check_illumination(scene: Scene) -> Finding:
    """Whether there is light enough, not too much, and on all of the skin in view."""
    light = measure_light(scene)
    found = [
        _finding("too_dark", light.highlight_luma, "It is too dark: turn on a lamp or go to a window."),
        _finding("too_bright", light.median_luma, "It is too bright: turn away from the lamp or the sun."),
        _finding(
            "clipped", light.clipped_share, "Parts are washed out: turn off the flash or tilt the phone."
        ),
        _finding("uneven", light.uneven_stops, "A shadow falls across it: turn towards the light."),
    ]
    return _worst(found, "illumination", found[0], "There is good light on the skin.")


def check_focus(scene: Scene) -> Finding:
    """Whether the finest detail that the network can use is there."""
    found = _finding(
        "blurred",
        measure_sharpness(scene),
        "It is blurred: hold still, tap the screen to focus, and keep a hand's width away.",
    )
    return _worst([found], "focus", found, "The photo is sharp.")


def measure_light(scene: Scene) -> Light:
    """Measure the light on the skin in view."""
    luma = scene.luma
    skin = luma[scene.skin]
    return Light(
        highlight_luma=_quantile(skin, 0.95),
        median_luma=_quantile(skin, 0.5),
        clipped_share=float((luma >= CLIPPED_LUMA).mean()),
        uneven_stops=_uneven_stops(luma, scene.skin),
    )


def measure_sharpness(scene: Scene) -> float:
    """Fine detail as a share of the photo's own contrast: 0 for a flat photo, falling with blur.

    The standard deviation of the Laplacian of Gaussian over that of the luma without its shading; the Gaussian
    keeps sensor noise from passing for detail, and the ratio keeps smooth skin from passing for blur.
    """
    luma = scene.luma.astype(np.float32)
    detail = cv2.Laplacian(cv2.GaussianBlur(luma, (0, 0), LOG_SIGMA_PX), cv2.CV_32F)
    texture = luma - cv2.GaussianBlur(luma, (0, 0), TEXTURE_SIGMA_PX)
    return float(detail.std() / (texture.std() + CONTRAST_FLOOR))


def _quantile(values: np.ndarray, share: float) -> float:
    """`np.quantile` of (n,) uint8 from their histogram, which takes a fifth of the time."""
    below = np.bincount(values, minlength=256).cumsum()
    place = share * (len(values) - 1)
    low, high = np.searchsorted(below, (math.floor(place), math.ceil(place)), side="right")
    return float(low + (place - math.floor(place)) * (high - low))


def _uneven_stops(luma: np.ndarray, skin: np.ndarray) -> float:
    height, width = luma.shape
    rows, columns = np.linspace(0, height, GRID + 1).astype(int), np.linspace(0, width, GRID + 1).astype(int)
    cells = []
    for top, bottom in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            inside = skin[top:bottom, left:right]
            if inside.mean() >= CELL_SKIN_SHARE:
                cells.append(_quantile(luma[top:bottom, left:right][inside], 0.5))
    if not cells:
        return 0.0
    linear = ((np.array(cells) + 1) / 256) ** 2.2
    return float(np.log2(linear.max() / linear.min()))


def _towards(dx: float, dy: float) -> str:
    """Which way the phone goes, given where the lesion lies from the centre (right and down are positive)."""
    if max(abs(dx), abs(dy)) < 0.02:
        return "step back a little"
    sideways = "right" if dx > 0 else "left"
    upright = "down" if dy > 0 else "up"
    larger, smaller = max(abs(dx), abs(dy)), min(abs(dx), abs(dy))
    if smaller > larger / 2:
        return f"move the phone {upright} and to the {sideways}"
    return f"move the phone to the {sideways}" if abs(dx) > abs(dy) else f"move the phone {upright}"


def _finding(fault: str, measure: float, advice: str) -> Finding:
    limit = limits()[fault]
    severity = limit.judge(measure)
    passed = limit.block if severity == "block" and limit.block is not None else limit.advise
    return Finding(fault, severity, measure, limit.unit, passed, advice)


def _worst(found: list[Finding], check: str, usual: Finding, praise: str) -> Finding:
    """The first of the most severe findings, or praise for the usual measure when none is amiss."""
    for severity in ("block", "advise"):
        for finding in found:
            if finding.severity == severity:
                return finding
    return Finding(check, "ok", usual.measure, usual.unit, usual.limit, praise)

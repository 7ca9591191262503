"""Is the photo good enough to judge? Three checks: field of view, illumination, focus.

    quality = check_photo(read_photo("lesion.jpg", min_side=512).image_rgb)
    print(quality.field_of_view.code, quality.field_of_view.severity)

Each check measures and compares with the one table of limits (`limits.json`); `capture_app.words` says what to do
about it. Light is judged against the skin in view, blur against the photo's own contrast, and all at one fixed
size, so that neither dark skin nor a large photo is taken for a fault. `camera/light.js` and `checks.js` do the
same. Pure functions; torch-free.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from capture_app.frame import CELL_PX, Frame, rank, stops
from capture_app.locate import Lesion, Scene, read_scene

Severity = Literal["ok", "advise", "block"]
Direction = Literal["left", "right", "up", "down", "up-left", "up-right", "down-left", "down-right"]

SIDE_BEGINS = 0.25
"""From the middle, in shorter sides: what lies beyond on the one side and on the other is compared for the
evenness of the light. A limb that falls away on both sides is no fault of the light."""
SIDE_SHARE = 0.6
"""A side is as bright as this share of its skin lies below: hair and folds are no shadow."""
HUE_SHARE, MAX_HUE_STOPS = 0.6, 0.5
"""Of what blue falls by more than the brightest colour, and at most this much of it, is not taken for light: blood
and melanin take blue away first, a shadow as much of every colour."""
SIDE_SKIN_SHARE = 0.02
"""Of the frame's cells, below which the skin on a side says nothing about the light."""
BRIGHT_SHARE = 0.95
"""Whether there is light enough is seen where this share of the skin lies below: dark skin has bright ridges."""
WHITE = 250
"""From here on a colour is taken to be at the sensor's white."""
GLARE_SHARE, GLARE_RISE = 0.9, 0.5
"""This share of the skin lies below a luma from which this much of the way is left to white: a pixel all of whose
colours lie beyond is the lamp's reflection."""
SMOOTH_KERNEL = np.array([1, 2, 1], np.float32) / 4
"""Binomial."""
DETAIL_SIDE_PX, BLOCK_PX = 160, 40
"""Of the middle square in which detail is judged, since what must be sharp is the lesion and not the table behind
it; and of its blocks, of which two by two make a part that can be sharp by itself."""
DETAIL_MARGIN_PX = 2
"""Left out of the middle square: what has no neighbours there does not count."""
WAYS = ((0, 1, 1), (1, 0, 1), (1, 1, 2), (1, -1, 2))
"""Down, along, and what a second difference is divided by: the diagonals' neighbours lie further apart."""
NOISE_LEFT = 1.8 * 0.0305
"""Of the squared bends of the plainest part, taken for noise, what does not count as fine detail: smoothing once
leaves 0.0305 of white noise's (the mean of the four directions), and the sharpest part is the noisiest too."""
DETAIL_FLOOR = 0.4
"""Grey levels added in square to the coarser detail, so that a blank photo does not look sharp."""


@dataclass(frozen=True)
class Limit:
    """Where a measure is advised on and where it asks for another photo; None means never."""

    worse: Literal["above", "below"]
    advise: float
    block: float | None
    unit: str
    why: str = ""
    """Where a limit was set by its meaning and not by measurement, the reason."""

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
    towards: Direction | None = None
    """Which way the phone goes, where a fault is one of place; None elsewhere, and where stepping back helps."""


@dataclass(frozen=True)
class Light:
    """Measures of illumination, on the skin in view, by the brightest of each cell's colours.

    That is nearly always red, of which blood and melanin take least away: inflamed or tanned skin beside pale skin
    passes less for a shadow than by luma, and it is the first that reaches white.
    """

    underexposed_stops: float
    """How far the skin's brightness lies below what is usual for its tone, which its hue tells: melanin takes more
    green than red away, exposure as much of both."""
    washed_share: float
    """Of the skin, in [0, 1]: where a colour is at white, and what it was is lost."""
    glare_share: float
    """Of the frame, in [0, 1]: pixels of the body; white cloth beside it reflects no lamp."""
    uneven_stops: float
    """Between two opposite sides: the root mean square of the difference across, along and both ways aslant. A
    slope of light shows in most of them, a fold or a patch of hair in one."""


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


@functools.cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("limits.json").read_text(encoding="utf-8"))
    return table


@functools.cache
def limits() -> dict[str, Limit]:
    """The table of limits, by fault."""
    return {fault: Limit(**row) for fault, row in _table()["limits"].items()}


def forget_limits() -> None:
    """Read the table anew the next time: it was written."""
    _table.cache_clear()
    limits.cache_clear()


def check_photo(image_rgb: np.ndarray) -> Quality:
    """Run the three checks.

    Args:
        image_rgb: (H, W, 3) uint8, RGB, upright.
    """
    return check_scene(read_scene(image_rgb))


def check_scene(scene: Scene) -> Quality:
    """`check_photo` of a scene that is taken apart already."""
    field_of_view = check_field_of_view(scene)
    lesion = None if field_of_view.code == "no_lesion" else scene.lesion
    return Quality(field_of_view, check_illumination(scene), check_focus(scene.frame), lesion)


def measures_of(scene: Scene) -> dict[str, float]:
    """What each limit is held against, by fault."""
    lesion, light = scene.lesion, measure_light(scene)
    return {
        "no_lesion": lesion.likelihood,
        "cut_off": lesion.cut_off,
        "off_centre": max(abs(offset) for offset in lesion.offset_xy),
        "too_far": lesion.extent,
        "too_close": lesion.extent,
        "too_dark": light.underexposed_stops,
        "too_bright": light.washed_share,
        "glare": light.glare_share,
        "uneven": light.uneven_stops,
        "blurred": measure_detail(scene.frame.luma),
    }


def check_field_of_view(scene: Scene) -> Finding:
    """Where the lesion lies, and how much of the frame it takes."""
    lesion = scene.lesion
    presence = _finding("no_lesion", lesion.likelihood)
    if presence.severity != "ok":
        return presence
    dx, dy = lesion.offset_xy
    found = [
        _finding("cut_off", lesion.cut_off, direction_of(dx, dy)),
        _finding("off_centre", max(abs(dx), abs(dy)), direction_of(dx, dy)),
        _finding("too_far", lesion.extent),
        _finding("too_close", lesion.extent),
    ]
    return _worst(found, "field_of_view", found[1])


def check_illumination(scene: Scene) -> Finding:
    """Whether there is light enough, not too much, and on all of the skin in view.

    Glare brightens the skin too, so of the two it is named.
    """
    light = measure_light(scene)
    found = [
        _finding("too_dark", light.underexposed_stops),
        _finding("glare", light.glare_share),
        _finding("too_bright", light.washed_share),
        _finding("uneven", light.uneven_stops),
    ]
    return _worst(found, "illumination", found[0])


def check_focus(frame: Frame) -> Finding:
    """Whether the finest detail that the network can use is there, in every direction."""
    found = _finding("blurred", measure_detail(frame.luma))
    return _worst([found], "focus", found)


def measure_light(scene: Scene) -> Light:
    """Measure the light on the skin in view."""
    cells, skin = scene.frame.cells.astype(np.float64), scene.skin
    brightest = cells.max(axis=2)
    red, green, _ = np.moveaxis(stops(cells[skin]), 1, 0)
    tone = _table()["usual_brightness"]
    redder = max(0.0, rank(red - green, 0.5) - tone["up_to_red_over_green"])
    usual_stops = tone["stops"] + tone["and_then_per_stop"] * redder
    lit = rank(scene.frame.cell_luma[skin], GLARE_SHARE)
    rows, columns = (CELL_PX * size for size in skin.shape)
    body = cv2.resize(scene.body.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST) > 0
    shining = scene.frame.darkest[:rows, :columns] > lit + GLARE_RISE * (255 - lit)
    return Light(
        underexposed_stops=float(usual_stops - stops(rank(brightest[skin], BRIGHT_SHARE))),
        washed_share=float((brightest[skin] >= WHITE).mean()),
        glare_share=float((shining & body).mean()),
        uneven_stops=_uneven_stops(brightest, cells[..., 2], skin),
    )


def measure_detail(luma: np.ndarray) -> float:
    """Fine detail in the direction that has least, as a share of the coarser detail: low with any blur.

    Bends, that is second differences, along rows, columns and both diagonals, of the luma smoothed once and of the
    luma smoothed four times at twice the distance. Blur takes more of the fine ones away than of the coarse ones,
    whatever there is to see; motion takes both away in its own direction, so the coarse ones of all directions
    count too. Noise, which would make up for what blur took, is told by the bends of the plainest skin before any
    smoothing, and taken off. Of nine overlapping parts of the frame's middle the sharpest counts: skin falls away
    behind a lesion in focus.

    Args:
        luma: (h, w) float32, 0 to 255, each side at least 160.
    """
    y0, x0 = ((size - DETAIL_SIDE_PX) // 2 for size in luma.shape)
    middle = luma[y0 : y0 + DETAIL_SIDE_PX, x0 : x0 + DETAIL_SIDE_PX].copy()
    once = _smoothed(middle, 1)
    noise = _bends(middle, 1).mean(axis=0).min()
    fine = np.sqrt(np.maximum(_bends(once, 1) - NOISE_LEFT * noise, 0))
    coarse = np.sqrt(_bends(_smoothed(once, 3), 2) + DETAIL_FLOOR**2)
    return float((fine / np.sqrt(coarse * np.sqrt(coarse * coarse.mean(axis=0)))).min(axis=0).max())


def _smoothed(plane: np.ndarray, times: int) -> np.ndarray:
    for _ in range(times):
        plane = cv2.sepFilter2D(plane, -1, SMOOTH_KERNEL, SMOOTH_KERNEL, borderType=cv2.BORDER_REPLICATE)
    return plane


def _bends(plane: np.ndarray, distance: int) -> np.ndarray:
    """(4, 3, 3): the second difference's mean square in four directions, by part."""
    ends = np.array([DETAIL_MARGIN_PX, DETAIL_SIDE_PX - DETAIL_MARGIN_PX])

    def seen_from(y: int, x: int) -> np.ndarray:
        return plane[slice(*ends + y * distance), slice(*ends + x * distance)]

    squares, twice, found = np.zeros_like(plane), 2 * seen_from(0, 0), []
    n_blocks = DETAIL_SIDE_PX // BLOCK_PX
    for y, x, spacing in WAYS:
        second = seen_from(y, x) + seen_from(-y, -x) - twice
        np.multiply(second, second, out=squares[slice(*ends), slice(*ends)])
        blocks = cv2.resize(squares, (n_blocks, n_blocks), interpolation=cv2.INTER_AREA) / spacing**2
        found.append((blocks[1:, 1:] + blocks[1:, :-1] + blocks[:-1, 1:] + blocks[:-1, :-1]) / 4)
    return np.array(found)


def _uneven_stops(brightest: np.ndarray, blue: np.ndarray, skin: np.ndarray) -> float:
    height, width = brightest.shape
    y, x = np.mgrid[1 - height : height : 2, 1 - width : width : 2]
    squares = 0.0
    for along, unit in ((x, 1.0), (y, 1.0), (x + y, np.sqrt(2)), (x - y, np.sqrt(2))):
        edge = 2 * SIDE_BEGINS * min(height, width) * unit
        sides = skin & (along > edge), skin & (along < -edge)
        if min(side.mean() for side in sides) >= SIDE_SKIN_SHARE:
            light, of_blue = (
                float(np.subtract(*(stops(rank(colour[side], SIDE_SHARE)) for side in sides)))
                for colour in (brightest, blue)
            )
            hue = (of_blue if light > 0 else -of_blue) - abs(light)
            squares += max(0.0, abs(light) - HUE_SHARE * min(max(hue, 0.0), MAX_HUE_STOPS)) ** 2
    return float(np.sqrt(squares / 4))


def direction_of(dx: float, dy: float) -> Direction | None:
    """Which way the phone goes, given where the lesion lies from the centre (right and down are positive).

    None where it lies in the middle: there is nowhere to go but back.
    """
    larger, smaller = max(abs(dx), abs(dy)), min(abs(dx), abs(dy))
    if larger < 0.02:
        return None
    right, down = dx > 0, dy > 0
    if smaller > larger / 2:
        if down:
            return "down-right" if right else "down-left"
        return "up-right" if right else "up-left"
    if abs(dx) > abs(dy):
        return "right" if right else "left"
    return "down" if down else "up"


def _finding(fault: str, measure: float, towards: Direction | None = None) -> Finding:
    limit = limits()[fault]
    severity = limit.judge(measure)
    passed = limit.block if severity == "block" and limit.block is not None else limit.advise
    return Finding(fault, severity, measure, limit.unit, passed, towards)


def _worst(found: list[Finding], check: str, usual: Finding) -> Finding:
    """The first of the most severe findings, or the usual measure under the check's name when none is amiss."""
    for severity in ("block", "advise"):
        for finding in found:
            if finding.severity == severity:
                return finding
    return Finding(check, "ok", usual.measure, usual.unit, usual.limit)

"""Photos varied by chance, for the locator to learn from: near and far, aside, on other skin, in other light.

    planes, mask = vary(Sheet.of(photo), rng, others)

A photo that is made smaller lies within its own skin, the lesion painted over and mirrored, as in
`guidance_defects`; now and then its lesion is laid on another's skin as the light that it takes away there, band
by band (Beer and Lambert: what is left multiplies). Done at the locator's grid of 120, from a pyramid of sizes, so
that nothing aliases and a photo takes a few milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.guidance_parts import MaskedPhoto
from capture_app.frame import CELL_PX, FINE_PX, WORKING_SIDE_PX
from capture_app.locator import opponent_planes

GRID_SIDE, CELLS_SIDE = WORKING_SIDE_PX // FINE_PX, WORKING_SIDE_PX // CELL_PX
"""What the locator sees, and answers."""
LEVELS_PX = (256, 181, 128, 91, 64, 45, 32, 23)
"""Sides of the pyramid."""
PAINTED_SIDE_PX, PAINTED_MARGIN_PX = 192, 7
"""At which the lesion is painted over, and how much around its mask."""
NEAR, FAR_SHARE, FAR_EXTENT = (0.75, 1.8), 0.35, (0.07, 0.25)
"""Enlargement of most photos; of the others, and their share, the lesion's longer side in the frame."""
ASIDE_SHARE, ASIDE, AIM_SIGMA = 0.25, 0.35, 0.06
"""Of photos aimed anywhere within this much of the centre, in sides; how well the others are aimed."""
STRETCH_SIGMA = 0.1
OTHER_SKIN_SHARE = 0.25
CLOTH_SHARE = 0.15
"""Of photos with something of another colour, such as cloth or a table, along an edge."""
INK_SHARE, CIRCLE_SHARE = 0.2, 0.6
"""Of photos with a pen's marks around the lesion, and of those the share that are a circle or a part of it."""
INKS = ((60, 40, 110), (40, 40, 60), (30, 60, 120), (90, 40, 90), (20, 90, 70))
"""RGB: violet, black, blue, red and green pens on skin."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A photo prepared to be varied."""

    photo: tuple[np.ndarray, ...]
    """By level, (side, side, 4) uint8: RGB, and as a fourth band how surely it is the lesion's."""
    skin: tuple[np.ndarray, ...]
    """By level, (side, side, 4) uint8: RGB without the lesion, and zeros."""
    centre_xy: tuple[float, float]
    """Of the lesion, in the photo's sides."""
    extent: float
    """The lesion's longer side, in the photo's."""

    @classmethod
    def of(cls, photo: MaskedPhoto, truth: np.ndarray | None = None) -> "Sheet":
        """Paint the lesion over, and make the pyramid.

        Args:
            truth: (side, side) in [0, 1]: how surely each pixel is the lesion's; `photo.mask` without it.
        """
        mask = (255 * (photo.mask if truth is None else truth)).astype(np.uint8)
        small = (PAINTED_SIDE_PX, PAINTED_SIDE_PX)
        around = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
        around = cv2.dilate((around > 0).astype(np.uint8), np.ones((PAINTED_MARGIN_PX,) * 2, np.uint8))
        skin = cv2.resize(photo.rgb, small, interpolation=cv2.INTER_AREA)
        if not around.all():
            skin = cv2.inpaint(skin, around, 3, cv2.INPAINT_TELEA)
        side = photo.rgb.shape[0]
        beyond = cv2.resize(around, (side, side), interpolation=cv2.INTER_LINEAR)[..., None] > 0
        bare = np.where(beyond, cv2.resize(skin, (side, side), interpolation=cv2.INTER_LINEAR), photo.rgb)
        x0, y0, x1, y1 = photo.box
        return cls(
            _pyramid(np.dstack([photo.rgb, mask])),
            _pyramid(np.dstack([bare, np.zeros_like(mask)])),
            ((x0 + x1) / 2 / side, (y0 + y1) / 2 / side),
            max(x1 - x0, y1 - y0) / side,
        )


def _pyramid(planes: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(cv2.resize(planes, (side, side), interpolation=cv2.INTER_AREA) for side in LEVELS_PX)


def vary(
    sheet: Sheet, rng: np.random.Generator, others: Sequence[Sheet] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """A photo and its mask, turned, moved, enlarged or made small, lit and coloured by chance.

    Args:
        others: photos whose skin the lesion may be laid on.

    Returns:
        (3, 120, 120) float32 opponent planes; (60, 60) float32 in [0, 1].
    """
    zoom = float(np.exp(rng.uniform(*np.log(NEAR))))
    if rng.random() < FAR_SHARE:
        zoom = min(zoom, float(np.exp(rng.uniform(*np.log(FAR_EXTENT)))) / sheet.extent)
    seen = _seen(sheet, zoom, rng, others)
    values, mask = seen[..., :3], seen[..., 3] / 255
    if rng.random() < 0.5:
        values, mask = values[:, ::-1], mask[:, ::-1]
    if rng.random() < CLOTH_SHARE:
        values = _with_cloth(values, mask, rng)
    if rng.random() < INK_SHARE:
        values = _with_ink(values, mask, rng)
    values = np.clip(_in_other_light(values, rng), 0, 255).astype(np.float32)
    planes = opponent_planes(values, _by_cell(values))
    return planes, _by_cell(np.ascontiguousarray(mask, np.float32))


def _by_cell(plane: np.ndarray) -> np.ndarray:
    return cv2.resize(plane, (CELLS_SIDE, CELLS_SIDE), interpolation=cv2.INTER_AREA)


def _seen(sheet: Sheet, zoom: float, rng: np.random.Generator, others: Sequence[Sheet]) -> np.ndarray:
    """(120, 120, 4) float32: RGB and mask, 0 to 255."""
    aside = rng.random() < ASIDE_SHARE
    aim = rng.uniform(-ASIDE, ASIDE, 2) if aside else rng.normal(0, AIM_SIGMA, 2)
    turn = rng.uniform(0, 2 * np.pi)
    to_frame = zoom * _rotation(turn) @ _stretch(rng)
    middle = np.array(sheet.centre_xy)
    far = zoom * sheet.extent < FAR_EXTENT[1]
    about = middle if far else 0.5 + rng.uniform(0, 1) * (middle - 0.5)
    skin = _warped(sheet.skin, to_frame, about, aim)
    seen = _warped(sheet.photo, to_frame, about, aim, over=skin)
    if others and rng.random() < OTHER_SKIN_SHARE:
        other = others[int(rng.integers(0, len(others)))]
        own = np.exp(rng.uniform(*np.log(NEAR))) * _rotation(rng.uniform(0, 2 * np.pi))
        ground = _warped(other.skin, own, np.array([0.5, 0.5]), rng.normal(0, AIM_SIGMA, 2))[..., :3]
        left = (seen[..., :3].astype(np.float32) + 2) / (skin[..., :3].astype(np.float32) + 2)
        seen = np.dstack([np.clip(ground * left, 0, 255), seen[..., 3]])
    return seen.astype(np.float32)


def _warped(
    levels: Sequence[np.ndarray],
    to_frame: np.ndarray,
    about: np.ndarray,
    aim: np.ndarray,
    over: np.ndarray | None = None,
) -> np.ndarray:
    """(120, 120, 4) uint8. `about`, in the photo's sides, lands `aim` from the frame's centre; beyond the photo it
    is mirrored, or what it is laid over."""
    zoom = np.sqrt(abs(np.linalg.det(to_frame)))
    level = int(np.argmin([abs(np.log(side / (GRID_SIDE * zoom))) for side in LEVELS_PX]))
    side = LEVELS_PX[level]
    matrix = np.empty((2, 3))
    matrix[:, :2] = to_frame * GRID_SIDE / side
    shift = 0.5 + aim - to_frame @ (about - 0.5 / side)
    matrix[:, 2] = GRID_SIDE * shift - 0.5
    size = (GRID_SIDE, GRID_SIDE)
    if over is None:
        return cv2.warpAffine(levels[level], matrix, size, borderMode=cv2.BORDER_REFLECT)
    return cv2.warpAffine(levels[level], matrix, size, dst=over.copy(), borderMode=cv2.BORDER_TRANSPARENT)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _stretch(rng: np.random.Generator) -> np.ndarray:
    """Wider or higher, and slanted, of the same area."""
    wider, slant = np.exp(rng.normal(0, STRETCH_SIGMA)), rng.normal(0, STRETCH_SIGMA)
    return np.array([[wider, slant], [0, 1 / wider]])


def _with_cloth(values: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another colour along one edge, clear of the lesion."""
    ticks = np.arange(GRID_SIDE) / GRID_SIDE - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    beyond = np.cos(angle) * ticks[None] + np.sin(angle) * ticks[:, None] - rng.uniform(0.25, 0.5)
    cloth = (beyond > 0) & (cv2.dilate((mask > 0).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0)
    woven = np.clip(rng.uniform(10, 250, 3) + rng.normal(0, 8, values.shape), 0, 255)
    return np.where(cloth[..., None], woven, values)


def _with_ink(values: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pen's circle, a part of one, or a few strokes, around the lesion and not on it."""
    rows, columns = (np.flatnonzero((mask > 0.5).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return values
    centre = np.array([columns[0] + columns[-1], rows[0] + rows[-1]]) / 2
    extent = 1 + max(columns[-1] - columns[0], rows[-1] - rows[0])
    drawn, width = np.zeros(mask.shape, np.uint8), max(1, round(GRID_SIDE * rng.uniform(0.006, 0.02)))
    if rng.random() < CIRCLE_SHARE:
        middle, radii = centre + rng.normal(0, 0.1, 2) * extent, extent / 2 * rng.uniform(1.3, 2.8, 2)
        begin, turn = rng.uniform(0, 360, 2)
        end = begin + (360 if rng.random() < 0.5 else rng.uniform(40, 300))
        where = tuple(middle.astype(int).tolist()), tuple(radii.astype(int).tolist())
        cv2.ellipse(drawn, *where, turn, begin, end, 255, width, cv2.LINE_AA)
    else:
        for _ in range(rng.integers(1, 5)):
            aside, along = rng.uniform(0, 2 * np.pi, 2)
            start = centre + extent * rng.uniform(0.75, 2) * np.array([np.cos(aside), np.sin(aside)])
            end = start + GRID_SIDE * rng.uniform(0.02, 0.15) * np.array([np.cos(along), np.sin(along)])
            cv2.line(drawn, start.astype(int).tolist(), end.astype(int).tolist(), 255, width, cv2.LINE_AA)
    shade = drawn / 255 * rng.uniform(0.4, 1) * (mask <= 0.5)
    if rng.random() < 0.5:
        shade = shade * np.clip(rng.normal(0.7, 0.3, mask.shape), 0, 1)
    ink = np.array(INKS[rng.integers(len(INKS))]) * rng.uniform(0.6, 1.4)
    stained = values * ink / 200 if rng.random() < 0.5 else ink
    return values + shade[..., None] * (stained - values)


def _in_other_light(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, tone curve, colour, slope, shadow, blur and noise."""
    ticks = np.linspace(-0.5, 0.5, GRID_SIDE)
    if rng.random() < 0.5:
        values = 255 * (values / 255) ** np.exp(rng.normal(0, 0.35))
    if rng.random() < 0.3:
        values = values * rng.uniform(0.4, 1.6)
    if rng.random() < 0.5:
        values = values * np.exp(rng.normal(0, 0.1, 3))
    if rng.random() < 0.3:
        grey = values.mean(2, keepdims=True)
        values = grey + rng.uniform(0.6, 1.4) * (values - grey)
    if rng.random() < 0.3:
        angle, stops = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2)
        slope = np.cos(angle) * ticks[None] + np.sin(angle) * ticks[:, None]
        values = values * 2 ** (stops * slope)[..., None]
    if rng.random() < 0.15:
        angle, edge, width = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.4), rng.uniform(0.02, 0.15)
        across = np.cos(angle) * ticks[None] + np.sin(angle) * ticks[:, None] - edge
        shade = 1 - rng.uniform(0.1, 0.5) * np.clip(across / width + 0.5, 0, 1)
        values = values * shade[..., None]
    if rng.random() < 0.2:
        values = cv2.GaussianBlur(values.astype(np.float32), (0, 0), rng.uniform(0.3, 1.5))
    return values + rng.normal(0, rng.uniform(0, 2), values.shape)

"""The synthetic phantom's raw material: tileable noise, skin relief and hair, drawn once a process.

    height = banks().relief["glyphic"]

Everything that varies from photo to photo is a crop, a warp or a threshold of these banks, which is what makes a
photo cheap. They come from fixed seeds, so every process has the same ones. Cell patterns: Worley, A cellular
texture basis function, SIGGRAPH 1996. Torch-free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

import cv2
import numpy as np

BANK_PX = 512
"""Side of the noise and cell banks."""
RELIEF_PX = 1024
"""Side of the skin-relief and hair banks."""
NO_HAIR = 255
GRAIN_SIGMA = 32.0
Choice = TypeVar("Choice")


class Uniform(Protocol):
    """NumPy's Generator, or random.Random, which is several times quicker at single numbers."""

    def random(self) -> float:
        """Evenly from 0 to 1."""
        ...


@dataclass(frozen=True)
class Banks:
    """noise: name -> (512, 512) float32, mean 0, variance 1; `broad`, `mid` and `fine` by size of feature.
    mottle: `broad` and `mid` a quarter of their size: (256, 256) float32, four copies of a tile.
    cell_edge: (512, 512) float32 in [0, 1], 0 on the border between two cells.
    cell_value: (512, 512) float32 in [0, 1], one number a cell.
    relief: name -> two (1024, 1024) float32, the skin's height, mean 0, variance 1, and the same turned by
        90 degrees; four copies of a 512-pixel tile.
    scalp_hair, body_hair: (1024, 1024) uint8, the rank of the topmost strand (strands of low rank lie on top,
        so those below a rank are what a hair density of rank / 255 shows), 255 where there is none.
    scalp_tone: (1024, 1024) uint8, how light each strand of scalp_hair is.
    grain: (768, 768, 3) uint8, the sensor's noise, mean 128, standard deviation GRAIN_SIGMA.
    """

    noise: dict[str, np.ndarray]
    mottle: dict[str, np.ndarray]
    cell_edge: np.ndarray
    cell_value: np.ndarray
    relief: dict[str, tuple[np.ndarray, np.ndarray]]
    scalp_hair: np.ndarray
    scalp_tone: np.ndarray
    body_hair: np.ndarray
    grain: np.ndarray


@lru_cache(maxsize=1)
def banks() -> Banks:
    """The banks of this process, drawn at the first call (about a second)."""
    rng = np.random.default_rng(20190616)
    noise = {name: band_noise(rng, BANK_PX, px) for name, px in (("broad", 70), ("mid", 22), ("fine", 6))}
    quarter = (BANK_PX // 4, BANK_PX // 4)
    mottle = {
        name: _tiled(cv2.resize(noise[name], quarter, interpolation=cv2.INTER_AREA))
        for name in ("broad", "mid")
    }
    edge, value = cells(rng, BANK_PX, 26)
    scalp_hair, scalp_tone = _strands(rng, 4000, length_px=420, wave=0.16, spread=0.09, width_px=(2, 4))
    body_hair, _ = _strands(rng, 2600, length_px=70, wave=0.45, spread=0.35, width_px=(2, 2))
    return Banks(
        noise=noise,
        mottle=mottle,
        cell_edge=edge,
        cell_value=value,
        relief=_reliefs(rng),
        scalp_hair=scalp_hair,
        scalp_tone=scalp_tone,
        body_hair=body_hair,
        grain=_grain(rng),
    )


def band_noise(rng: np.random.Generator, side: int, feature_px: float) -> np.ndarray:
    """Tileable noise with features of about one size: (side, side) float32, mean 0, variance 1."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * feature_px
    gain = frequency / (0.15 + frequency) * np.exp(-(frequency**1.5))
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * gain, s=(side, side))
    return (field / field.std()).astype(np.float32)


def cells(
    rng: np.random.Generator, side: int, cell_px: float, *, stretch: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """A tileable Worley pattern.

    Returns:
        The distance to the border in cells, 0 on it, clipped to 1; and each cell's own number in [0, 1]. Both
        (side, side) float32.
    """
    columns, rows = max(2, round(side / cell_px / stretch)), max(2, round(side / cell_px))
    jitter, number = rng.random((2, rows, columns), np.float32), rng.random((rows, columns), np.float32)
    y = (np.arange(side) * rows / side).astype(np.float32)
    x = (np.arange(side) * columns / side).astype(np.float32)
    first, second = np.full((side, side), 9.0, np.float32), np.full((side, side), 9.0, np.float32)
    value = np.zeros((side, side), np.float32)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            row, column = y.astype(int) + down, x.astype(int) + right
            at = np.ix_(row % rows, column % columns)
            dx = jitter[0][at] + (column - x).astype(np.float32)[None]
            dy = jitter[1][at] + (row - y).astype(np.float32)[:, None]
            distance = cv2.sqrt(dx * dx + dy * dy)
            np.copyto(value, number[at], where=distance < first)
            second = np.minimum(second, np.maximum(first, distance))
            first = np.minimum(first, distance)
    return np.clip(second - first, 0, 1), value


def _reliefs(rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Skin surfaces: `fine` (back, abdomen), `glyphic` (hand, foot), `creased` (neck), `porous` (face)."""
    grit, lumps, pits = (band_noise(rng, BANK_PX, px) for px in (4, 16, 7))

    def furrows(cell_px: float, stretch: float = 1.0) -> np.ndarray:
        edge, value = cells(rng, BANK_PX, cell_px, stretch=stretch)
        return np.minimum(edge * 2.2, 1) + np.float32(0.25) * value

    small = furrows(8)
    surfaces = {
        "fine": 0.8 * furrows(9, 1.3) + 0.22 * grit + 0.30 * lumps,
        "glyphic": 1.2 * furrows(17, 1.5) + 0.6 * small + 0.15 * grit + 0.25 * lumps,
        "creased": 1.0 * furrows(22, 4.0) + 0.6 * furrows(9, 1.5) + 0.2 * grit + 0.30 * lumps,
        "porous": -1.5 * ramp(pits, 1.25, 2.0) + 0.30 * small + 0.20 * grit + 0.40 * lumps,
    }
    reliefs = {}
    for name, field in surfaces.items():
        height = np.clip((field - field.mean()) / field.std(), -3, 3).astype(np.float32)
        reliefs[name] = (_tiled(height), _tiled(np.ascontiguousarray(height.T)))
    return reliefs


def _tiled(bank: np.ndarray) -> np.ndarray:
    """Four copies of a tileable bank, so that any crop of its own size is one view."""
    return np.tile(bank, (2, 2))


def _strands(
    rng: np.random.Generator,
    n: int,
    *,
    length_px: float,
    wave: float,
    spread: float,
    width_px: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Hairs that run about along +x, drawn in the order of falling rank: their ranks and their tones."""
    bank = np.full((RELIEF_PX, RELIEF_PX), NO_HAIR, np.uint8)
    tones = np.full((RELIEF_PX, RELIEF_PX), 60, np.uint8)
    steps = 10
    ranks = np.sort(rng.random(n))[::-1]
    for rank in ranks:
        angles = rng.normal(0, spread) + wave * rng.normal(0, 1) * np.linspace(-1, 1, steps)
        run = length_px * rng.uniform(0.5, 1.2) / steps
        start = rng.uniform(-length_px, RELIEF_PX), rng.uniform(-30, RELIEF_PX + 30)
        points = np.stack(
            [start[0] + np.cumsum(np.cos(angles)) * run, start[1] + np.cumsum(np.sin(angles)) * run]
        )
        width, tone = int(rng.integers(width_px[0], width_px[1] + 1)), int(rng.integers(60, 256))
        line = [np.round(points.T * 16).astype(np.int32)]
        cv2.polylines(bank, line, False, int(rank * 250), width, cv2.LINE_AA, 4)
        cv2.polylines(tones, line, False, tone, width, cv2.LINE_AA, 4)
    return bank, tones


def _grain(rng: np.random.Generator) -> np.ndarray:
    raw = rng.standard_normal((768, 768, 3)).astype(np.float32)
    raw = 0.8 * raw + 0.6 * raw.mean(axis=2, keepdims=True) * 3**0.5
    raw = 0.75 * raw + 0.9 * cv2.GaussianBlur(raw, (3, 3), 0)
    return np.clip(np.rint(128 + GRAIN_SIGMA * raw / raw.std()), 0, 255).astype(np.uint8)


def crop(rng: Uniform, bank: np.ndarray, side: int) -> np.ndarray:
    """A (side, side) view of a bank, anywhere in it."""
    y, x = (int(rng.random() * (bank.shape[0] - side + 1)) for _ in range(2))
    return bank[y : y + side, x : x + side]


def curve(x: np.ndarray, low: float, high: float, table: np.ndarray) -> np.ndarray:
    """`table` (256 float32) read from its start, where x is `low` or beyond, to its end at `high`."""
    gain = 255 / (high - low)
    return cv2.LUT(cv2.addWeighted(x, gain, x, 0, -low * gain, dtype=cv2.CV_8U), table)


def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between (3t^2 - 2t^3); `low` > `high` turns it round."""
    return curve(x, low, high, _SMOOTHSTEP)


def choose(rng: Uniform, shares: Mapping[Choice, float]) -> Choice:
    """A key drawn by its share."""
    return list(shares)[pick(rng, list(shares.values()))]


def bell(x: np.ndarray, middle: float, width: float) -> np.ndarray:
    """A Gaussian, exp(-((x - middle) / width)^2), that is exactly 0 beyond three widths."""
    return curve(x, middle - 3 * width, middle + 3 * width, _BELL)


def clip_to_one(x: np.ndarray) -> np.ndarray:
    """Clip to [0, 1], in place; a fifth of the time of `np.clip`."""
    cv2.threshold(x, 1, 0, cv2.THRESH_TRUNC, dst=x)
    cv2.threshold(x, 0, 0, cv2.THRESH_TOZERO, dst=x)
    return x


_TICKS = np.linspace(0, 1, 256)
_SMOOTHSTEP = (_TICKS * _TICKS * (3 - 2 * _TICKS)).astype(np.float32)
_BELL = np.exp(-((6 * _TICKS - 3) ** 2)).astype(np.float32)
_BELL[[0, -1]] = 0


def pick(rng: Uniform, shares: Sequence[float]) -> int:
    """An index drawn by its share; what `Generator.choice` does, at a tenth of its time."""
    mark = rng.random() * sum(shares)
    for index, share in enumerate(shares):
        mark -= share
        if mark < 0:
            return index
    return len(shares) - 1

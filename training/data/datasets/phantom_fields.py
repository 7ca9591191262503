"""The synthetic phantom's raw material: tileable noise, skin relief and hair, drawn once a process.

    height = banks().relief["glyphic"]

Everything that varies from photo to photo is a crop, a warp or a threshold of these banks, which is what makes a
photo cheap. They come from fixed seeds, so every process has the same ones. Cell patterns: Worley, A cellular
texture basis function, SIGGRAPH 1996. Torch-free.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

BANK_PX = 512
"""Side of the noise and cell banks."""
RELIEF_PX = 1024
"""Side of the skin-relief and hair banks."""
NO_HAIR = 255


@dataclass(frozen=True)
class Banks:
    """noise: name -> (512, 512) float32, mean 0, variance 1; `broad`, `mid`, `fine` by size of their features.
    cell_edge: (512, 512) float32 in [0, 1], 0 on the border between two cells.
    cell_value: (512, 512) float32 in [0, 1], one number a cell.
    relief: name -> (1024, 1024) uint8, height of the skin's surface, 128 = mean.
    scalp_hair, body_hair: (1024, 1024) uint8, the rank of the topmost strand (strands of low rank lie on top,
        so those below a rank are what a hair density of rank / 255 shows), 255 where there is none.
    grain: (768, 768, 3) float32, the sensor's noise, mean 0, variance 1.
    """

    noise: dict[str, np.ndarray]
    cell_edge: np.ndarray
    cell_value: np.ndarray
    relief: dict[str, np.ndarray]
    scalp_hair: np.ndarray
    body_hair: np.ndarray
    grain: np.ndarray


@lru_cache(maxsize=1)
def banks() -> Banks:
    """The banks of this process, drawn at the first call (about a second)."""
    rng = np.random.default_rng(20190616)
    noise = {name: band_noise(rng, BANK_PX, px) for name, px in (("broad", 70), ("mid", 22), ("fine", 6))}
    edge, value = cells(rng, BANK_PX, 26)
    return Banks(
        noise=noise,
        cell_edge=edge,
        cell_value=value,
        relief=_reliefs(rng),
        scalp_hair=_strands(rng, 5200, length_px=420, wave=0.10, spread=0.07, thickness=(1, 2)),
        body_hair=_strands(rng, 2600, length_px=70, wave=0.9, spread=0.40, thickness=(1, 1)),
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
    jitter, number = rng.random((rows, columns, 2), np.float32), rng.random((rows, columns), np.float32)
    y, x = np.meshgrid(np.arange(side) * rows / side, np.arange(side) * columns / side, indexing="ij")
    row, column = y.astype(int), x.astype(int)
    first, second = np.full((side, side), 9.0, np.float32), np.full((side, side), 9.0, np.float32)
    value = np.zeros((side, side), np.float32)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            r, c = (row + down) % rows, (column + right) % columns
            point = jitter[r, c]
            distance = np.hypot(row + down + point[..., 1] - y, column + right + point[..., 0] - x)
            nearer = distance < first
            second = np.where(nearer, first, np.minimum(second, distance))
            value = np.where(nearer, number[r, c], value)
            first = np.where(nearer, distance, first)
    return np.clip(second - first, 0, 1).astype(np.float32), value.astype(np.float32)


def _reliefs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Skin surfaces: `fine` (back, abdomen), `glyphic` (hand, foot), `creased` (neck), `porous` (face)."""
    fine_noise, mid_noise = band_noise(rng, RELIEF_PX, 4), band_noise(rng, RELIEF_PX, 16)

    def furrows(cell_px: float, stretch: float = 1.0) -> np.ndarray:
        edge, value = cells(rng, RELIEF_PX, cell_px, stretch=stretch)
        return np.minimum(edge * 2.2, 1) + 0.25 * value

    pores = np.zeros((RELIEF_PX, RELIEF_PX), np.float32)
    for x, y, r in zip(*rng.uniform(0, RELIEF_PX * 16, (2, 9000)), rng.uniform(14, 34, 9000), strict=True):
        cv2.circle(pores, (int(x), int(y)), int(r), 1.0, -1, cv2.LINE_AA, 4)
    pores = cv2.GaussianBlur(pores, (0, 0), 0.9)
    surfaces = {
        "fine": 0.9 * furrows(9, 1.3) + 0.22 * fine_noise + 0.25 * mid_noise,
        "glyphic": 1.3 * furrows(17, 1.5) + 0.6 * furrows(8) + 0.15 * fine_noise + 0.2 * mid_noise,
        "creased": 1.1 * furrows(22, 4.0) + 0.6 * furrows(9, 1.5) + 0.2 * fine_noise + 0.25 * mid_noise,
        "porous": -1.6 * pores + 0.35 * furrows(8) + 0.22 * fine_noise + 0.35 * mid_noise,
    }
    return {
        name: np.clip(128 + 40 * (field - field.mean()) / field.std(), 0, 255).astype(np.uint8)
        for name, field in surfaces.items()
    }


def _strands(
    rng: np.random.Generator,
    n: int,
    *,
    length_px: float,
    wave: float,
    spread: float,
    thickness: tuple[int, int],
) -> np.ndarray:
    """Hairs that run about along +x, drawn in the order of falling rank."""
    bank = np.full((RELIEF_PX, RELIEF_PX), NO_HAIR, np.uint8)
    steps = 10
    ranks = np.sort(rng.random(n))[::-1]
    for rank in ranks:
        angles = rng.normal(0, spread) + wave * rng.normal(0, 1) * np.linspace(-1, 1, steps)
        run = length_px * rng.uniform(0.5, 1.2) / steps
        start = rng.uniform(-length_px, RELIEF_PX), rng.uniform(-30, RELIEF_PX + 30)
        points = np.stack(
            [start[0] + np.cumsum(np.cos(angles)) * run, start[1] + np.cumsum(np.sin(angles)) * run]
        )
        width = int(rng.integers(thickness[0], thickness[1] + 1))
        cv2.polylines(
            bank, [np.round(points.T * 16).astype(np.int32)], False, int(rank * 250), width, cv2.LINE_AA, 4
        )
    return bank


def _grain(rng: np.random.Generator) -> np.ndarray:
    raw = rng.standard_normal((768, 768, 3)).astype(np.float32)
    raw = 0.8 * raw + 0.6 * raw.mean(axis=2, keepdims=True) * 3**0.5
    raw = 0.75 * raw + 0.9 * cv2.GaussianBlur(raw, (3, 3), 0)
    return (raw / raw.std()).astype(np.float32)


def crop(rng: np.random.Generator, bank: np.ndarray, side: int) -> np.ndarray:
    """A (side, side) view of a bank, anywhere in it and in one of eight orientations."""
    y, x = rng.integers(0, bank.shape[0] - side + 1), rng.integers(0, bank.shape[1] - side + 1)
    turn = int(rng.integers(0, 8))
    view = bank[y : y + side, x : x + side]
    view = view[:: 1 if turn & 1 else -1, :: 1 if turn & 2 else -1]
    return view.T if turn & 4 else view


def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between (3t^2 - 2t^3); `low` > `high` turns it round."""
    t = np.clip((x - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)

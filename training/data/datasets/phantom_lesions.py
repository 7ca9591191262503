"""The ten synthetic lesions, each painted as a clinician would describe it.

    canvas = paint(rng, "wheal", skin_melanin=0.8)

Labels and their order: Mishra et al. 2019, Table 1. The pairs that the paper confuses (ulcer and tumour, pigmented
macula and erythema, ulcer and crust, blister and ulcer) share some of their forms here too. Masks: the skin that a
clinician would outline as the lesion; the flush around it stays outside. Torch-free.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

from training.data.datasets.phantom_canvas import (
    CANVAS_PX,
    UNIT_PX,
    WHOLE,
    Canvas,
    Colour,
    around,
    beads,
    blend,
    colours_at,
    grid,
    noise,
    oval,
    palette,
    scatter,
    vessels,
)
from training.data.datasets.phantom_fields import BANK_PX, banks, pick, ramp

HONEY, OCHRE, BROWN, CLOT = (0.66, 0.40, 0.10), (0.45, 0.22, 0.06), (0.19, 0.075, 0.03), (0.060, 0.016, 0.012)
SCALE, CREAM, SEROUS = (0.74, 0.64, 0.50), (0.82, 0.68, 0.36), (0.76, 0.55, 0.30)
FLUIDS = ((0.80, 0.66, 0.46), SEROUS, (0.86, 0.76, 0.48), (0.16, 0.020, 0.030))
"""Clear, serous, purulent, bloody."""
GRANULATION, SLOUGH, NECROSIS = (0.40, 0.040, 0.035), (0.60, 0.46, 0.22), (0.028, 0.020, 0.017)

CRUST = palette((0.0, HONEY), (0.35, OCHRE), (0.7, BROWN), (1.0, CLOT))
WOUND = palette((0.0, GRANULATION), (0.3, (0.54, 0.055, 0.047)), (0.75, SLOUGH), (1.0, (0.68, 0.57, 0.33)))


def _dome(rho: np.ndarray, round_off: float = 0.2) -> np.ndarray:
    """1 in the middle, 0 at the rim; half an ellipsoid at `round_off` 0, a paraboloid at 1."""
    bowl = np.maximum(1 - rho * rho, 0)
    return cv2.addWeighted(cv2.sqrt(bowl), 1 - round_off, bowl, round_off, 0)


def _edge(rho: np.ndarray, width: float = 0.08) -> np.ndarray:
    """1 inside, 0 outside, soft over `width` radii around the outline."""
    return ramp(rho, 1 + width / 2, 1 - width / 2)


def _cells(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """`side` pixels of the cell bank enlarged to a canvas: distance from the borders, and each cell's number."""
    y, x = (int(rng.random() * (BANK_PX - side)) for _ in range(2))
    window = slice(y, y + side), slice(x, x + side)
    edge, value = banks().cell_edge[window], banks().cell_value[window]
    whole = (CANVAS_PX, CANVAS_PX)
    return cv2.resize(edge, whole, interpolation=cv2.INTER_LINEAR), cv2.resize(
        value, whole, interpolation=cv2.INTER_NEAREST
    )


def _dim(colour: Colour, share: float) -> Colour:
    return colour[0] * share, colour[1] * share, colour[2] * share


def _acne(rng: np.random.Generator, canvas: Canvas) -> None:
    """Red papules and pustules in groups, with comedones, some nodules and the brown marks of healed ones."""
    n = int(rng.integers(9, 30))
    kinds = rng.choice(5, n, p=rng.dirichlet((7, 5, 4, 1.2, 2)))
    sizes = np.array([(0.07, 0.14), (0.07, 0.13), (0.028, 0.05), (0.15, 0.24), (0.07, 0.13)])[kinds]
    radii = sizes[:, 0] + rng.random(n) * (sizes[:, 1] - sizes[:, 0])
    centres = scatter(rng, n, spread=1.1, gap=1.15, radii=radii)
    rho, owner = beads(centres, radii, 2.2)
    rho *= 1 + np.float32(0.07) * noise(rng, "fine")

    def each(values: np.ndarray) -> np.ndarray:
        table = np.zeros(256, np.float32)
        table[:n] = values
        return cv2.LUT(owner, table)

    comedo, mark, pustule = kinds == 2, kinds == 4, kinds == 1
    angry = np.where(comedo | mark, 0.0, rng.uniform(0.7, 1.7, n))
    lift = np.where(mark, 0.0, np.where(comedo, 0.12, rng.uniform(0.4, 0.75, n))) * radii * UNIT_PX
    top = np.where(pustule, rng.uniform(0.4, 0.7, n), 0.0)
    inside, bump = ramp(rho, 1.08, 0.92), np.exp(np.float32(-1.5) * rho * rho)
    blood = ramp(oval(rng, rough=0.25), 1.2, 0.1) * np.float32(rng.uniform(0.05, 0.35))
    blood += each(angry) * (
        np.exp(np.float32(-0.9) * rho * rho * rho) + np.float32(0.3) * ramp(rho, 2.2, 0.8)
    )
    blood += each(mark * rng.uniform(0.1, 0.6, n)) * inside
    canvas.planes["blood"] = blood
    canvas.planes["melanin"] = each(mark * rng.uniform(0.3, 0.9, n)) * inside
    canvas.planes["height"] = each(lift) * bump
    canvas.planes["smooth"] = each(0.7 * ~mark) * inside
    canvas.planes["gloss"] = each(np.where(mark, 0.0, rng.uniform(0.05, 0.35, n))) * inside
    if comedo.any():
        canvas.lay(WHOLE, each(0.9 * comedo) * ramp(rho, 0.9, 0.5), (0.045, 0.032, 0.026))
    if pustule.any():
        peak = each(top)
        canvas.lay(WHOLE, np.float32(0.9) * ramp(peak - rho, -0.02, 0.16) * (peak > 0), CREAM)
    canvas.mark(WHOLE, inside)


def _alopecia(rng: np.random.Generator, canvas: Canvas) -> None:
    """Smooth round bald patches in dense hair, broken exclamation-mark hairs at the rim."""
    n = (1, 2, 3)[pick(rng, (0.62, 0.26, 0.12))]
    radii = np.array([1.0, *rng.uniform(0.3, 0.6, n - 1)])
    rho = oval(rng, radius=1.0 if n == 1 else 0.75, aspect=(0.72, 1.0), rough=0.07, fray=0.015)
    for radius in radii[1:]:
        angle = rng.uniform(0, 2 * math.pi)
        other = oval(
            rng, centre=(0.8 * math.cos(angle), 0.8 * math.sin(angle)), radius=float(radius), rough=0.12
        )
        rho = np.minimum(rho, 1 + (other - 1) * np.float32(radius))
    sparse = rng.random() < 0.3
    canvas.plane("bald")[:] = ramp(rho, 1.22, 0.86) * np.float32(rng.uniform(0.86, 0.95) if sparse else 1.0)
    skin = _edge(rho, 0.3)
    canvas.plane("blood")[:] = skin * np.float32(rng.uniform(-0.05, 0.45))
    canvas.plane("melanin")[:] = skin * np.float32(-0.25 * canvas.skin_melanin * rng.random())
    canvas.plane("gloss")[:] = skin * np.float32(rng.uniform(0.05, 0.30))
    canvas.plane("smooth")[:] = skin * np.float32(rng.uniform(0.2, 0.8))
    canvas.mark(WHOLE, _edge(rho))
    stubs = rng.uniform(-1.1, 1.1, (int(rng.integers(15, 45)), 2))
    dots, _ = beads([(float(x), float(y)) for x, y in stubs], rng.uniform(0.014, 0.026, len(stubs)), 1.6)
    ring = ramp(rho, 0.5, 0.7) * ramp(rho, 1.05, 0.95)
    canvas.lay(WHOLE, ramp(dots, 1.4, 0.5) * ring * np.float32(0.8), (0.03, 0.022, 0.018))


def _blister(rng: np.random.Generator, canvas: Canvas) -> None:
    """Tense translucent domes full of fluid, with a rim and a highlight, on a red base; some collapsed."""
    n = (1, 2, 3, 4, 6, 8)[pick(rng, (0.34, 0.2, 0.16, 0.12, 0.10, 0.08))]
    radii = np.sort(rng.uniform(0.22, 0.5, n))[::-1] if n > 1 else np.array([1.0])
    fluid = FLUIDS[pick(rng, (0.4, 0.3, 0.15, 0.15))]
    light = rng.uniform(0, 2 * math.pi)
    blood, height, angry = canvas.plane("blood"), canvas.plane("height"), rng.uniform(0.4, 1.4)
    smooth, gloss = canvas.plane("smooth"), canvas.plane("gloss")
    mid, fine = noise(rng, "mid"), noise(rng, "fine")
    spread, veil = 0.8 if n > 1 else 0.0, math.exp(-0.22 * canvas.skin_melanin)
    for radius, centre in zip(
        radii.tolist(), scatter(rng, n, spread=spread, gap=0.85, radii=radii), strict=True
    ):
        at = around(centre, 1.9 * radius)
        rho = oval(rng, centre=centre, radius=radius, aspect=(0.72, 1.0), rough=0.05, window=at)
        inside, slack = _edge(rho, 0.07), rng.random() < 0.25
        halo = ramp(rho + mid[at] * np.float32(0.08), 1.65, 0.95) * (1 - np.float32(0.65) * inside)
        np.maximum(blood[at], halo * np.float32(angry), out=blood[at])
        roof = _dome(rho, 0.0) * np.float32(radius * UNIT_PX * (0.15 if slack else rng.uniform(0.22, 0.38)))
        if slack:
            roof += inside * (mid[at] * np.float32(0.9) + fine[at] * np.float32(0.12))
        np.maximum(height[at], roof, out=height[at])
        u, v = grid()[0][:, at[1]] - np.float32(centre[0]), grid()[1][at[0]] - np.float32(centre[1])
        across = np.float32(math.cos(light) / radius) * u + np.float32(math.sin(light) / radius) * v
        rim = np.exp(-(((rho - 0.95) / 0.07) ** 2))
        shaded = blend(_dim(fluid, 0.5 * veil), _dim(fluid, veil), np.clip(0.5 + 0.5 * across, 0, 1))
        canvas.lay(at, inside * np.float32(rng.uniform(0.18, 0.42)) * (1 - 0.5 * rim), shaded)
        blood[at] += rim * np.float32(0.5)
        np.maximum(smooth[at], inside * np.float32(0.95), out=smooth[at])
        np.maximum(gloss[at], inside * np.float32(0.25 if slack else 0.9), out=gloss[at])
        canvas.mark(at, inside)
        if slack and rng.random() < 0.6:
            raw = ramp(oval(rng, centre=centre, radius=radius * 0.7, rough=0.25, window=at), 1.0, 0.85)
            canvas.lay(at, raw * np.float32(0.85), (0.46, 0.075, 0.06))
            height[at] -= raw * np.float32(radius * 8)


def _crust(rng: np.random.Generator, canvas: Canvas) -> None:
    """Yellow-brown plates of dried serum and blood, cracked, with loose scale, on a red base."""
    n = (1, 2, 3)[pick(rng, (0.55, 0.28, 0.17))]
    rho = oval(rng, radius=1.0 if n == 1 else 0.7, rough=0.28, fray=0.03)
    for _ in range(n - 1):
        angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0.25, 0.5)
        other = oval(rng, centre=(0.75 * math.cos(angle), 0.75 * math.sin(angle)), radius=radius, rough=0.3)
        rho = np.minimum(rho, 1 + (other - 1) * np.float32(radius))
    edge, value = _cells(rng, int(rng.integers(100, CANVAS_PX)))
    mid, fine = noise(rng, "mid"), noise(rng, "fine")
    halo = ramp(rho + mid * np.float32(0.06), 1.55, 0.9)
    canvas.plane("blood")[:] = halo * np.float32(rng.uniform(0.35, 1.2))
    plate = ramp(rho + value * np.float32(0.22) + fine * np.float32(0.03), 1.16, 1.06)
    crack = ramp(edge + fine * np.float32(0.05), 0.02, 0.16) * np.float32(0.85) + np.float32(0.15)
    ripe = rng.normal(0.1, 0.35)
    share = value * np.float32(0.28) + mid * np.float32(0.13) + np.float32(0.25 + 0.5 * ripe)
    shingle = rho + value * np.float32(0.22)
    scale = np.exp(-(((shingle - 1.04) / 0.07) ** 2)) * np.float32(rng.uniform(0.0, 0.7))
    colour = colours_at(CRUST, share + np.float32(0.06) * fine)
    canvas.lay(WHOLE, ramp(rho, 1.02, 0.94) * np.float32(0.75), (0.36, 0.055, 0.040))
    canvas.lay(WHOLE, plate * crack, colour)
    canvas.lay(WHOLE, scale * plate, SCALE)
    canvas.plane("height")[:] = plate * crack * (2.5 + 3.0 * value + 0.6 * mid) + fine * plate * np.float32(
        0.25
    )
    canvas.plane("gloss")[:] = plate * np.float32(rng.uniform(0.02, 0.3))
    canvas.plane("smooth")[:] = plate
    canvas.mark(WHOLE, ramp(rho, 1.06, 0.98))


def _erythema(rng: np.random.Generator, canvas: Canvas) -> None:
    """Diffuse blotchy redness with a soft border: one flush, many small macules, or a ring."""
    form = pick(rng, (0.6, 0.27, 0.13))
    mid, fine = noise(rng, "mid"), noise(rng, "fine")
    rho = oval(rng, radius=1.0, rough=0.28)
    if form == 1:
        spots = noise(rng, "mid") + noise(rng, "broad") * np.float32(0.5) + fine * np.float32(0.15)
        red = ramp(spots, rng.uniform(-0.1, 0.3), 1.1) * ramp(rho, 1.15, 0.7)
    elif form == 2:
        red = np.exp(-(((rho - 0.8) / rng.uniform(0.18, 0.3)) ** 2)) + np.float32(0.25) * ramp(rho, 1.0, 0.6)
        red *= 1 + np.float32(0.15) * mid
    else:
        red = ramp(rho + mid * np.float32(rng.uniform(0.06, 0.2)), 1.35, rng.uniform(0.2, 0.7))
        red *= 1 + mid * np.float32(0.16) + fine * np.float32(0.05)
    np.maximum(red, 0, out=red)
    canvas.plane("blood")[:] = red * np.float32(rng.uniform(0.45, 1.5))
    stain = (0.0, 0.15, 0.4)[pick(rng, (0.6, 0.25, 0.15))]
    canvas.plane("melanin")[:] = red * np.float32(stain * (0.5 + canvas.skin_melanin))
    canvas.plane("height")[:] = red * np.float32(rng.uniform(0, 1.2))
    canvas.mark(WHOLE, ramp(red, 0.30, 0.46) if form != 2 else ramp(rho, 1.1, 1.0))


def _leukoderma(rng: np.random.Generator, canvas: Canvas) -> None:
    """Milk-white patches with sharp scalloped borders, a darker margin, islands of pigment coming back."""
    n = int(rng.integers(2, 9))
    bend = noise(rng, "mid") * np.float32(0.05) + noise(rng, "broad") * np.float32(0.06)
    level = np.full((CANVAS_PX, CANVAS_PX), 9.0, np.float32)
    reach = rng.uniform(0.3, 0.75)
    for _ in range(n):
        x, y = np.clip(rng.normal(0, 0.5, 2), -1, 1) * reach
        radius = rng.uniform(0.2, 0.55)
        u, v = grid()
        level = np.minimum(
            level, cv2.sqrt((u - np.float32(x)) ** 2 + (v - np.float32(y)) ** 2) - np.float32(radius)
        )
    level += bend + noise(rng, "fine") * np.float32(0.010)
    sharp = rng.uniform(0.015, 0.06)
    pale = ramp(level, sharp, -sharp)
    kept = pale.copy()
    if rng.random() < 0.45:
        kept *= 1 - ramp(noise(rng, "fine"), 1.5, 2.0) * ramp(level, -0.35, 0.0)
    canvas.plane("depigment")[:] = kept * np.float32(rng.uniform(0.78, 0.98))
    tanned = max(0.0, 0.45 - 0.25 * canvas.skin_melanin)
    margin = np.exp(-(((level - 0.05) / 0.07) ** 2)) * np.float32(rng.uniform(0.05, 0.35))
    canvas.plane("melanin")[:] = (margin + np.float32(tanned) * ramp(level, 0.6, 0.1)) * (1 - pale)
    canvas.plane("blood")[:] = pale * np.float32(rng.uniform(-0.10, 0.04))
    canvas.mark(WHOLE, ramp(level, 0.02, -0.02))


def _p_macula(rng: np.random.Generator, canvas: Canvas) -> None:
    """Flat brown: a patch with a network and an irregular border, a cafe-au-lait spot, lentigines, or melasma."""
    form = pick(rng, (0.40, 0.2, 0.2, 0.2))
    deep = 0.55 + 0.55 * canvas.skin_melanin
    mid, fine = noise(rng, "mid"), noise(rng, "fine")
    if form == 2:
        n = int(rng.integers(5, 16))
        radii = rng.uniform(0.08, 0.26, n)
        rho, owner = beads(scatter(rng, n, spread=0.95, gap=1.1, radii=radii), radii, 1.6)
        brown: np.ndarray = _edge(rho + mid * np.float32(0.14), 0.25)
        brown *= rng.uniform(0.5, 1, n).astype(np.float32)[owner]
    else:
        soft = (rng.uniform(0.06, 0.25), rng.uniform(0.03, 0.10), 0.0, rng.uniform(0.35, 0.9))[form]
        rho = oval(rng, radius=1.0, rough=(0.2, 0.12, 0, 0.3)[form], fray=(0.03, 0.02, 0, 0.03)[form])
        brown = _edge(rho + mid * np.float32(0.04), soft)
    shape = ramp(brown, 0.25, 0.5)
    if form == 0:
        net = _cells(rng, int(rng.integers(60, 110)))[0]
        brown = brown * (1 + np.float32(0.22) * mid + np.float32(rng.uniform(0.1, 0.5)) * (0.35 - net))
        brown += shape * ramp(noise(rng, "mid"), 0.6, 1.5) * np.float32(rng.uniform(0, 0.9))
    else:
        brown = brown * (1 + np.float32(0.07 if form == 1 else 0.18) * mid + np.float32(0.05) * fine)
    strength = (rng.uniform(1.0, 3.2), rng.uniform(0.5, 1.1), rng.uniform(0.7, 1.8), rng.uniform(0.5, 1.2))[
        form
    ]
    canvas.plane("melanin")[:] = np.maximum(brown, 0) * np.float32(strength * deep)
    canvas.plane("blood")[:] = brown * np.float32((0.0, 0.2, 0.5)[pick(rng, (0.55, 0.25, 0.20))])
    canvas.mark(WHOLE, shape)


def _tumour(rng: np.random.Generator, canvas: Canvas) -> None:
    """A raised nodule, one lobe or several: pearly with vessels, red, pigmented, or rough; some ulcerate."""
    form = pick(rng, (0.36, 0.24, 0.22, 0.18))
    lobes = (1, 2, 3, 5)[pick(rng, (0.5, 0.2, 0.15, 0.15))]
    rho = oval(rng, radius=0.95 if lobes == 1 else 0.75, aspect=(0.7, 1.0), rough=0.10)
    lift = rng.uniform(0.22, 0.5)
    height = _dome(rho, rng.uniform(0.0, 0.7)) * np.float32(UNIT_PX * lift)
    for _ in range(lobes - 1):
        angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 0.55)
        centre = 0.5 * math.cos(angle), 0.5 * math.sin(angle)
        other = oval(rng, centre=centre, radius=radius, aspect=(0.75, 1), rough=0.06)
        height = np.maximum(height, _dome(other) * np.float32(UNIT_PX * lift * radius * 1.7))
        rho = np.minimum(rho, 1 + (other - 1) * np.float32(radius))
    inside, mid, fine = _edge(rho, 0.10), noise(rng, "mid"), noise(rng, "fine")
    height += inside * (mid * np.float32(0.5) + fine * np.float32(rng.uniform(0.03, 0.14)))
    blood, melanin = canvas.plane("blood"), canvas.plane("melanin")
    blood += ramp(rho, 1.5, 0.95) * np.float32(rng.uniform(0.0, 0.4))
    gloss, smooth = rng.uniform(0.15, 0.6), rng.uniform(0.6, 0.95)
    if form == 0:
        canvas.plane("depigment")[:] = inside * np.float32(rng.uniform(0.2, 0.6))
        blood += inside * (np.float32(rng.uniform(0.10, 0.6)) + np.float32(0.1) * mid)
        blood += vessels(rng, int(rng.integers(4, 11)), 0.95) * inside * np.float32(1.6)
    elif form == 1:
        blood += inside * (np.float32(rng.uniform(0.9, 2.4)) + np.float32(0.3) * mid)
    elif form == 2:
        melanin += inside * np.maximum(np.float32(rng.uniform(2.0, 5.0)) + np.float32(0.7) * mid, 0.3)
        blood += inside * np.float32(rng.uniform(0.2, 1.0))
    else:
        warts = _cells(rng, 96)[0]
        height += inside * warts * np.float32(rng.uniform(2, 4.5))
        melanin += inside * (np.float32(rng.uniform(0.4, 2.2)) + np.float32(0.5) * (1 - warts))
        canvas.lay(
            WHOLE, inside * ramp(warts, 0.2, 0.8) * np.float32(rng.uniform(0.1, 0.5)), (0.42, 0.31, 0.20)
        )
        gloss, smooth = rng.uniform(0.02, 0.2), 0.9
    if rng.random() < 0.28 and form != 3:
        pit = oval(rng, centre=tuple(rng.uniform(-0.15, 0.15, 2)), radius=rng.uniform(0.25, 0.55), rough=0.2)
        hollow = ramp(pit, 1.1, 0.75)
        height *= 1 - np.float32(0.45) * hollow
        colour = blend(
            (0.38, 0.05, 0.04), BROWN if rng.random() < 0.5 else CLOT, np.clip(0.5 + 0.5 * mid, 0, 1)
        )
        canvas.lay(WHOLE, hollow * np.float32(0.9), colour)
    canvas.plane("height")[:] = height
    canvas.plane("gloss")[:] = inside * np.float32(gloss)
    canvas.plane("smooth")[:] = inside * np.float32(smooth)
    canvas.plane("bald")[:] = inside
    canvas.mark(WHOLE, _edge(rho))


def _ulcer(rng: np.random.Generator, canvas: Canvas) -> None:
    """A crater with a raised rim and a moist bed of granulation, slough and, at times, necrosis."""
    rho = oval(rng, radius=0.9, aspect=(0.55, 1.0), rough=rng.uniform(0.08, 0.22), fray=0.02)
    broad, mid, fine = noise(rng, "broad"), noise(rng, "mid"), noise(rng, "fine")
    bed = ramp(rho, 1.0, 0.9)
    heap = rng.uniform(1.5, 9)
    height = np.exp(-(((rho - 1.12) / rng.uniform(0.10, 0.2)) ** 2)) * np.float32(heap)
    height -= ramp(rho, 1.02, rng.uniform(0.6, 0.85)) * np.float32(rng.uniform(5, 13))
    height += bed * (mid * np.float32(0.9) + fine * np.float32(0.22))
    slough = mid + broad * np.float32(0.6) + fine * np.float32(0.25) - np.float32(rng.normal(0.35, 0.7))
    colour = colours_at(
        WOUND, ramp(slough, 0.0, 0.7) * np.float32(0.65) + np.float32(0.05) * fine + np.float32(0.15)
    )
    depth = 1 + np.float32(0.15) * mid
    colour = [band * depth for band in colour]
    canvas.lay(WHOLE, bed * np.float32(0.96), colour)
    if rng.random() < 0.3:
        dead = noise(rng, "mid") + noise(rng, "broad") * np.float32(0.5) - np.float32(rng.normal(0.1, 0.4))
        canvas.lay(WHOLE, bed * ramp(dead, 0.3, 0.6), NECROSIS)
    lip = np.exp(-(((rho - 1.06) / 0.07) ** 2))
    if rng.random() < 0.4:
        canvas.lay(WHOLE, lip * np.float32(0.5), (0.72, 0.60, 0.52))
    halo = ramp(rho + mid * np.float32(0.07), 1.7, 1.0)
    canvas.plane("blood")[:] = halo * np.float32(rng.uniform(0.3, 1.3)) + lip * np.float32(
        rng.uniform(0.1, 0.6)
    )
    canvas.plane("melanin")[:] = halo * np.float32(
        (0.0, 0.3, 0.9)[pick(rng, (1, 1, 1))] * (0.4 + 0.5 * canvas.skin_melanin)
    )
    canvas.plane("height")[:] = height
    canvas.plane("gloss")[:] = bed * np.float32(rng.uniform(0.15, 0.5))
    canvas.plane("smooth")[:] = ramp(rho, 1.3, 1.0)
    canvas.plane("bald")[:] = ramp(rho, 1.15, 1.0)
    canvas.mark(WHOLE, ramp(rho, 1.10, 1.02))


def _wheal(rng: np.random.Generator, canvas: Canvas) -> None:
    """Raised, smooth, pale-centred plaques with pink edges in a red flare; they run together and form rings."""
    n = (1, 2, 3, 5, 8)[pick(rng, (0.2, 0.2, 0.22, 0.22, 0.16))]
    ring = rng.random() < 0.25
    level = np.full((CANVAS_PX, CANVAS_PX), 9.0, np.float32)
    radii = rng.uniform(0.30, 0.62, n) if n > 1 else np.array([0.95])
    for radius, centre in zip(
        radii, scatter(rng, n, spread=0.8 if n > 1 else 0.0, gap=0.6, radii=radii), strict=True
    ):
        rho = oval(rng, centre=centre, radius=float(radius), aspect=(0.6, 1.0), rough=0.09)
        level = np.minimum(level, (rho - 1) * np.float32(radius))
    level += noise(rng, "mid") * np.float32(0.02)
    if ring:
        width = rng.uniform(0.10, 0.2)
        level = np.abs(level + np.float32(width)) - np.float32(width)
    thick = rng.uniform(0.16, 0.34)
    plateau = ramp(level, 0.03, -thick)
    inside, mid = ramp(level, 0.03, -0.03), noise(rng, "mid")
    canvas.plane("height")[:] = plateau * (np.float32(rng.uniform(5, 9)) + mid * np.float32(0.3))
    flare = ramp(level + mid * np.float32(0.06), rng.uniform(0.3, 0.7), 0.0)
    blood = flare * np.float32(rng.uniform(0.5, 1.3))
    blood += inside * np.float32(rng.uniform(0.25, 0.6))
    blood -= ramp(level, -0.03, -0.16) * np.float32(rng.uniform(0.6, 1.4))
    canvas.plane("blood")[:] = blood * (1 + np.float32(0.08) * mid)
    canvas.plane("depigment")[:] = plateau * np.float32(rng.uniform(0.10, 0.35))
    canvas.plane("smooth")[:] = inside * np.float32(0.55)
    canvas.plane("gloss")[:] = inside * np.float32(rng.uniform(0.05, 0.16))
    canvas.mark(WHOLE, inside)


PAINTERS: dict[str, Callable[[np.random.Generator, Canvas], None]] = {
    "acne": _acne,
    "alopecia": _alopecia,
    "blister": _blister,
    "crust": _crust,
    "erythema": _erythema,
    "leukoderma": _leukoderma,
    "p_macula": _p_macula,
    "tumour": _tumour,
    "ulcer": _ulcer,
    "wheal": _wheal,
}
LABELS: tuple[str, ...] = tuple(PAINTERS)


def paint(rng: np.random.Generator, lesion: str, *, skin_melanin: float, parted: bool = False) -> Canvas:
    """Paint a lesion for skin with that much melanin (phantom_skin).

    Args:
        parted: hair is parted over the lesion, to show it.
    """
    canvas = Canvas(skin_melanin)
    PAINTERS[lesion](rng, canvas)
    canvas.fade_out()
    if parted:
        room = cv2.blur(canvas.mask, (13, 13)) * 2 + noise(rng, "fine") * np.float32(0.12)
        open_skin = ramp(room, 0.15, 0.8) * np.float32(rng.uniform(0.8, 1.0))
        canvas.planes["bald"] = np.maximum(canvas.plane("bald"), open_skin)
    return canvas

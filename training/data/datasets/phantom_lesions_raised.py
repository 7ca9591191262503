"""Synthetic lesions that change the skin's surface: acne, blister, crust, tumour, ulcer, wheal.

    canvas = Canvas(skin_melanin=0.8)
    wheal(rng, canvas)

Each is painted as a clinician would describe it. Torch-free.
"""

import math

import cv2
import numpy as np

from training.data.datasets.phantom_canvas import (
    CANVAS_PX,
    FAR,
    UNIT_PX,
    Canvas,
    Colour,
    around,
    beads,
    blend,
    cells,
    colours_at,
    dome,
    grid,
    join,
    noise,
    oval,
    palette,
    scatter,
    soft_edge,
    vessels,
)
from training.data.datasets.phantom_fields import bell, choose, pick, ramp

HONEY, OCHRE, BROWN, CLOT = (0.66, 0.40, 0.10), (0.45, 0.22, 0.06), (0.19, 0.075, 0.03), (0.060, 0.016, 0.012)
SCALE, CREAM, SEROUS = (0.74, 0.64, 0.50), (0.82, 0.68, 0.36), (0.76, 0.55, 0.30)
FLUIDS = ((0.80, 0.66, 0.46), SEROUS, (0.86, 0.76, 0.48), (0.16, 0.020, 0.030))
"""Clear, serous, purulent, bloody."""
GRANULATION, SLOUGH, NECROSIS = (0.40, 0.040, 0.035), (0.60, 0.46, 0.22), (0.028, 0.020, 0.017)

CRUST = palette((0.0, HONEY), (0.35, OCHRE), (0.7, BROWN), (1.0, CLOT))
WOUND = palette((0.0, GRANULATION), (0.3, (0.54, 0.055, 0.047)), (0.75, SLOUGH), (1.0, (0.68, 0.57, 0.33)))

ACNE_SPOTS = ("papule", "pustule", "comedo", "nodule", "mark")
BLISTERS = {1: 0.34, 2: 0.2, 3: 0.16, 4: 0.12, 6: 0.10, 8: 0.08}
CRUSTS = {1: 0.55, 2: 0.28, 3: 0.17}
TUMOUR_FORMS = {"pearly": 0.36, "red": 0.24, "pigmented": 0.22, "rough": 0.18}
TUMOUR_LOBES = {1: 0.5, 2: 0.2, 3: 0.15, 5: 0.15}
WHEALS = {1: 0.2, 2: 0.2, 3: 0.22, 5: 0.22, 8: 0.16}
"""Number or form and its share: what each of these painters draws first (a tumour's form, then its lobes)."""


def acne_spots(rng: np.random.Generator) -> np.ndarray:
    """What acne draws first: (n,) int, the kind of each spot, an index of ACNE_SPOTS."""
    n = int(rng.integers(9, 30))
    return rng.choice(len(ACNE_SPOTS), n, p=rng.dirichlet((7, 5, 4, 1.2, 2)))


def acne(rng: np.random.Generator, canvas: Canvas) -> None:
    """Red papules and pustules in groups, with comedones, some nodules and the brown marks of healed ones."""
    kinds = acne_spots(rng)
    n = len(kinds)
    sizes = np.array([(0.07, 0.14), (0.07, 0.13), (0.028, 0.05), (0.15, 0.24), (0.07, 0.13)])[kinds]
    radii = sizes[:, 0] + rng.random(n) * (sizes[:, 1] - sizes[:, 0])
    rho, owner = beads(scatter(rng, n, spread=1.1, gap=1.15, radii=radii), radii, 2.2)
    rho *= cv2.addWeighted(noise(rng, "fine"), 0.07, rho, 0, 1)

    def each(values: np.ndarray) -> np.ndarray:
        table = np.zeros(256, np.float32)
        table[:n] = values
        return cv2.LUT(owner, table)

    comedo, mark, pustule = kinds == 2, kinds == 4, kinds == 1
    angry = np.where(comedo | mark, 0.0, rng.uniform(0.7, 1.7, n))
    lift = np.where(mark, 0.0, np.where(comedo, 0.12, rng.uniform(0.4, 0.75, n))) * radii * UNIT_PX
    inside = ramp(rho, 1.08, 0.92)
    flush = ramp(oval(rng, rough=0.25), 1.2, 0.1)
    swelling = cv2.addWeighted(ramp(rho, 1.65, 0.3), 1, ramp(rho, 2.2, 0.8), 0.3, 0)
    swelling *= each(angry)
    blood = cv2.scaleAdd(flush, rng.uniform(0.05, 0.35), swelling)
    if mark.any():
        blood += each(mark * rng.uniform(0.1, 0.6, n)) * inside
        canvas.planes["melanin"] = each(mark * rng.uniform(0.3, 0.9, n)) * inside
    canvas.planes["blood"] = blood
    canvas.planes["height"] = each(lift) * ramp(rho, 1.9, 0)
    canvas.planes["smooth"] = each(0.7 * ~mark) * inside
    canvas.planes["gloss"] = each(np.where(mark, 0.0, rng.uniform(0.05, 0.35, n))) * inside
    if comedo.any():
        canvas.lay(each(0.9 * comedo) * ramp(rho, 0.9, 0.5), (0.045, 0.032, 0.026))
    if pustule.any():
        peak = each(np.where(pustule, rng.uniform(0.4, 0.7, n), -1.0))
        peak -= rho
        canvas.lay(ramp(peak, -0.02, 0.16) * 0.9, CREAM)
    canvas.mask = inside


def blister(rng: np.random.Generator, canvas: Canvas) -> None:
    """Tense translucent domes full of fluid, with a rim and a highlight, on a red base; some collapsed."""
    n = choose(rng, BLISTERS)
    radii = np.sort(rng.uniform(0.22, 0.5, n))[::-1] if n > 1 else np.array([1.0])
    fluid = FLUIDS[pick(rng, (0.4, 0.3, 0.15, 0.15))]
    light, angry = rng.uniform(0, 2 * math.pi), rng.uniform(0.4, 1.4)
    blood, height = canvas.plane("blood"), canvas.plane("height")
    smooth, gloss = canvas.plane("smooth"), canvas.plane("gloss")
    mid, fine = noise(rng, "mid"), noise(rng, "fine")
    spread, veil = 0.8 if n > 1 else 0.0, math.exp(-0.22 * canvas.skin_melanin)
    for radius, centre in zip(
        radii.tolist(), scatter(rng, n, spread=spread, gap=0.85, radii=radii), strict=True
    ):
        at = around(centre, 1.9 * radius)
        rho = oval(rng, centre=centre, radius=radius, aspect=(0.72, 1.0), rough=0.05, window=at)
        inside, slack = soft_edge(rho, 0.07), rng.random() < 0.25
        halo = ramp(cv2.scaleAdd(mid[at], 0.08, rho), 1.65, 0.95)
        halo *= cv2.addWeighted(inside, -0.65 * angry, inside, 0, angry)
        np.maximum(blood[at], halo, out=blood[at])
        roof = dome(rho, 0.0) * (radius * UNIT_PX * (0.15 if slack else rng.uniform(0.22, 0.38)))
        if slack:
            roof += inside * cv2.addWeighted(mid[at], 0.9, fine[at], 0.12, 0)
        np.maximum(height[at], roof, out=height[at])
        u, v = (ticks[at] for ticks in grid())
        right, down = 0.5 * math.cos(light) / radius, 0.5 * math.sin(light) / radius
        across = cv2.addWeighted(u, right, v, down, 0.5 - right * centre[0] - down * centre[1])
        rim = bell(rho, 0.95, 0.07)
        shaded = blend(_dim(fluid, 0.5 * veil), _dim(fluid, veil), np.clip(across, 0, 1, out=across))
        opacity = rng.uniform(0.18, 0.42)
        canvas.lay(inside * cv2.addWeighted(rim, -0.5 * opacity, rim, 0, opacity), shaded, at)
        cv2.scaleAdd(rim, 0.5, blood[at], dst=blood[at])
        np.maximum(smooth[at], inside * 0.95, out=smooth[at])
        np.maximum(gloss[at], inside * (0.25 if slack else 0.9), out=gloss[at])
        np.maximum(canvas.mask[at], inside, out=canvas.mask[at])
        if slack and rng.random() < 0.6:
            raw = ramp(oval(rng, centre=centre, radius=radius * 0.7, rough=0.25, window=at), 1.0, 0.85)
            canvas.lay(raw * 0.85, (0.46, 0.075, 0.06), at)
            height[at] -= raw * (radius * 8)


def _dim(colour: Colour, share: float) -> Colour:
    return colour[0] * share, colour[1] * share, colour[2] * share


def crust(rng: np.random.Generator, canvas: Canvas) -> None:
    """Yellow-brown plates of dried serum and blood, cracked, with loose scale, on a red base."""
    n = choose(rng, CRUSTS)
    rho = oval(rng, radius=1.0 if n == 1 else 0.7, rough=0.28, fray=0.03)
    for _ in range(n - 1):
        angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0.25, 0.5)
        centre = 0.75 * math.cos(angle), 0.75 * math.sin(angle)
        join(rho, oval(rng, centre=centre, radius=radius, rough=0.3), radius)
    edge, value = cells(rng, int(rng.integers(100, CANVAS_PX)))
    mid, fine = noise(rng, "mid"), noise(rng, "fine")
    canvas.planes["blood"] = ramp(cv2.scaleAdd(mid, 0.06, rho), 1.55, 0.9) * rng.uniform(0.35, 1.2)
    shingle = cv2.scaleAdd(value, 0.22, rho)
    plate = ramp(cv2.scaleAdd(fine, 0.03, shingle), 1.16, 1.06)
    crack = ramp(cv2.scaleAdd(fine, 0.05, edge), 0.02, 0.16)
    cracked = plate * cv2.addWeighted(crack, 0.85, crack, 0, 0.15)
    share = cv2.addWeighted(value, 0.28, mid, 0.13, 0.25 + 0.5 * rng.normal(0.1, 0.35))
    canvas.lay(ramp(rho, 1.02, 0.94) * 0.75, (0.36, 0.055, 0.040))
    canvas.lay(cracked, colours_at(CRUST, cv2.scaleAdd(fine, 0.06, share)))
    scale = bell(shingle, 1.04, 0.07)
    scale *= plate
    canvas.lay(scale * rng.uniform(0.0, 0.7), SCALE)
    height = cracked * cv2.addWeighted(value, 3.0, mid, 0.6, 2.5)
    canvas.planes["height"] = cv2.scaleAdd(fine * plate, 0.25, height)
    canvas.planes["gloss"] = plate * rng.uniform(0.02, 0.3)
    canvas.planes["smooth"] = plate
    canvas.mask = ramp(rho, 1.06, 0.98)


def tumour(rng: np.random.Generator, canvas: Canvas) -> None:
    """A raised nodule, one lobe or several: pearly with vessels, red, pigmented, or rough; some ulcerate."""
    form, lobes = choose(rng, TUMOUR_FORMS), choose(rng, TUMOUR_LOBES)
    rho = oval(rng, radius=0.95 if lobes == 1 else 0.75, aspect=(0.7, 1.0), rough=0.10)
    lift = rng.uniform(0.22, 0.5)
    height = dome(rho, rng.uniform(0.0, 0.7)) * (UNIT_PX * lift)
    for _ in range(lobes - 1):
        angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 0.55)
        centre = 0.5 * math.cos(angle), 0.5 * math.sin(angle)
        other = oval(rng, centre=centre, radius=radius, aspect=(0.75, 1), rough=0.06)
        np.maximum(height, dome(other) * (UNIT_PX * lift * radius * 1.7), out=height)
        join(rho, other, radius)
    inside, mid, fine = soft_edge(rho, 0.10), noise(rng, "mid"), noise(rng, "fine")
    height += inside * cv2.addWeighted(mid, 0.5, fine, rng.uniform(0.03, 0.14), 0)
    blood: np.ndarray = ramp(rho, 1.5, 0.95) * rng.uniform(0.0, 0.4)
    gloss, smooth = rng.uniform(0.15, 0.6), rng.uniform(0.6, 0.95)
    if form == "pearly":
        canvas.planes["depigment"] = inside * rng.uniform(0.2, 0.6)
        red = cv2.addWeighted(
            mid, 0.1, vessels(rng, int(rng.integers(4, 11)), 0.95), 1.6, rng.uniform(0.10, 0.6)
        )
        blood += inside * red
    elif form == "red":
        blood += inside * cv2.addWeighted(mid, 0.3, mid, 0, rng.uniform(0.9, 2.4))
    elif form == "pigmented":
        canvas.planes["melanin"] = inside * np.maximum(mid * 0.7 + rng.uniform(2.0, 5.0), 0.3)
        blood = cv2.scaleAdd(inside, rng.uniform(0.2, 1.0), blood)
    else:
        warts = cells(rng, 96)[0]
        height += inside * (warts * rng.uniform(2, 4.5))
        canvas.planes["melanin"] = inside * cv2.addWeighted(
            warts, -0.5, warts, 0, 0.5 + rng.uniform(0.4, 2.2)
        )
        canvas.lay(inside * ramp(warts, 0.2, 0.8) * rng.uniform(0.1, 0.5), (0.42, 0.31, 0.20))
        gloss, smooth = rng.uniform(0.02, 0.2), 0.9
    if rng.random() < 0.28 and form != "rough":
        x, y = rng.uniform(-0.15, 0.15, 2).tolist()
        pit = oval(rng, centre=(x, y), radius=rng.uniform(0.25, 0.55), rough=0.2)
        hollow = ramp(pit, 1.1, 0.75)
        height *= cv2.addWeighted(hollow, -0.45, hollow, 0, 1)
        share = np.clip(cv2.addWeighted(mid, 0.5, mid, 0, 0.5), 0, 1)
        canvas.lay(hollow * 0.9, blend((0.38, 0.05, 0.04), BROWN if rng.random() < 0.5 else CLOT, share))
    canvas.planes |= {"blood": blood, "height": height, "gloss": inside * gloss, "smooth": inside * smooth}
    canvas.planes["bald"] = inside
    canvas.mask = soft_edge(rho)


def ulcer(rng: np.random.Generator, canvas: Canvas) -> None:
    """A crater with a raised rim and a moist bed of granulation, slough and, at times, necrosis."""
    rho = oval(rng, radius=0.9, aspect=(0.55, 1.0), rough=rng.uniform(0.08, 0.22), fray=0.02)
    broad, mid, fine = noise(rng, "broad"), noise(rng, "mid"), noise(rng, "fine")
    bed = ramp(rho, 1.0, 0.9)
    rim, heap = bell(rho, 1.12, rng.uniform(0.10, 0.2)), rng.uniform(1.5, 9)
    crater, depth = ramp(rho, 1.02, rng.uniform(0.6, 0.85)), rng.uniform(5, 13)
    height = cv2.addWeighted(rim, heap, crater, -depth, 0)
    height = cv2.add(height, bed * cv2.addWeighted(mid, 0.9, fine, 0.22, 0))
    slough = cv2.scaleAdd(fine, 0.25, cv2.addWeighted(mid, 1, broad, 0.6, -rng.normal(0.35, 0.7)))
    share = cv2.addWeighted(ramp(slough, 0.0, 0.7), 0.65, fine, 0.05, 0.15)
    uneven = cv2.addWeighted(mid, 0.15, mid, 0, 1)
    canvas.lay(bed * 0.96, [band * uneven for band in colours_at(WOUND, share)])
    if rng.random() < 0.3:
        dead = cv2.addWeighted(noise(rng, "mid"), 1, noise(rng, "broad"), 0.5, -rng.normal(0.1, 0.4))
        canvas.lay(bed * ramp(dead, 0.3, 0.6), NECROSIS)
    lip = bell(rho, 1.06, 0.07)
    if rng.random() < 0.4:
        canvas.lay(lip * 0.5, (0.72, 0.60, 0.52))
    halo = ramp(cv2.scaleAdd(mid, 0.07, rho), 1.7, 1.0)
    canvas.planes["blood"] = cv2.addWeighted(halo, rng.uniform(0.3, 1.3), lip, rng.uniform(0.1, 0.6), 0)
    stain = (0.0, 0.3, 0.9)[pick(rng, (1, 1, 1))]
    if stain:
        canvas.planes["melanin"] = halo * (stain * (0.4 + 0.5 * canvas.skin_melanin))
    canvas.planes |= {"height": height, "gloss": bed * rng.uniform(0.15, 0.5)}
    canvas.planes["smooth"] = ramp(rho, 1.3, 1.0)
    canvas.planes["bald"] = ramp(rho, 1.15, 1.0)
    canvas.mask = ramp(rho, 1.10, 1.02)


def wheal(rng: np.random.Generator, canvas: Canvas) -> None:
    """Raised, smooth, pale-centred plaques with pink edges in a red flare; they run together and form rings."""
    n = choose(rng, WHEALS)
    ring = rng.random() < 0.25
    radii = rng.uniform(0.30, 0.62, n) if n > 1 else np.array([0.95])
    centres = scatter(rng, n, spread=0.8 if n > 1 else 0.0, gap=0.6, radii=radii)
    mid, level = noise(rng, "mid"), np.full((CANVAS_PX, CANVAS_PX), FAR, np.float32)
    for radius, centre in zip(radii.tolist(), centres, strict=True):
        rho = oval(rng, centre=centre, radius=radius, aspect=(0.6, 1.0), rough=0.09)
        np.minimum(level, cv2.addWeighted(rho, radius, rho, 0, -radius), out=level)
    cv2.scaleAdd(noise(rng, "mid"), 0.02, level, dst=level)
    if ring:
        width = rng.uniform(0.10, 0.2)
        level = np.abs(level + width) - width
    plateau, inside = ramp(level, 0.03, -rng.uniform(0.16, 0.34)), ramp(level, 0.03, -0.03)
    canvas.planes["height"] = plateau * cv2.addWeighted(mid, 0.3, mid, 0, rng.uniform(5, 9))
    flare = ramp(cv2.scaleAdd(mid, 0.06, level), rng.uniform(0.3, 0.7), 0.0)
    blood = cv2.addWeighted(flare, rng.uniform(0.5, 1.3), inside, rng.uniform(0.25, 0.6), 0)
    blood = cv2.scaleAdd(ramp(level, -0.03, -0.16), -rng.uniform(0.6, 1.4), blood)
    canvas.planes["blood"] = cv2.multiply(blood, cv2.addWeighted(mid, 0.08, mid, 0, 1))
    canvas.planes["depigment"] = plateau * rng.uniform(0.10, 0.35)
    canvas.planes["smooth"] = inside * 0.55
    canvas.planes["gloss"] = inside * rng.uniform(0.05, 0.16)
    canvas.mask = inside

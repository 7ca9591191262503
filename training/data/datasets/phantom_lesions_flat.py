"""Synthetic lesions that leave the skin's surface as it is: alopecia, erythema, leukoderma, pigmented macula.

    canvas = Canvas(skin_melanin=0.8)
    p_macula(rng, canvas)

Each is painted as a clinician would describe it. Torch-free.
"""

import math

import cv2
import numpy as np

from training.data.datasets.phantom_canvas import (
    CANVAS_PX,
    Canvas,
    beads,
    cells,
    join,
    noise,
    oval,
    rounds,
    scatter,
    soft_edge,
)
from training.data.datasets.phantom_fields import bell, choose, pick, ramp

ALOPECIA_PATCHES = {1: 0.62, 2: 0.26, 3: 0.12}
ERYTHEMA_FORMS = {"flush": 0.6, "macules": 0.27, "ring": 0.13}
P_MACULA_FORMS = {"network": 0.40, "cafe_au_lait": 0.2, "lentigines": 0.2, "melasma": 0.2}
"""Number or form and its share: what each of these painters draws first."""


def alopecia(rng: np.random.Generator, canvas: Canvas) -> None:
    """Smooth round bald patches in dense hair, broken exclamation-mark hairs at the rim."""
    n = choose(rng, ALOPECIA_PATCHES)
    rho = oval(rng, radius=1.0 if n == 1 else 0.75, aspect=(0.72, 1.0), rough=0.07, fray=0.015)
    for radius in rng.uniform(0.3, 0.6, n - 1).tolist():
        angle = rng.uniform(0, 2 * math.pi)
        join(rho, oval(rng, centre=_at(angle, 0.8), radius=radius, rough=0.12), radius)
    sparse = rng.random() < 0.3
    canvas.planes["bald"] = ramp(rho, 1.22, 0.86) * (rng.uniform(0.86, 0.95) if sparse else 1.0)
    skin = ramp(rho, 1.15, 0.85)
    canvas.planes["blood"] = skin * rng.uniform(-0.05, 0.45)
    canvas.planes["melanin"] = skin * (-0.25 * canvas.skin_melanin * rng.random())
    canvas.planes["gloss"] = skin * rng.uniform(0.05, 0.30)
    canvas.planes["smooth"] = skin * rng.uniform(0.2, 0.8)
    canvas.mask = soft_edge(rho)
    stubs = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    n_stubs = int(rng.integers(15, 45))
    places, widths = rng.uniform(0.16, 0.84, (n_stubs, 2)) * CANVAS_PX, rng.uniform(0.7, 1.3, n_stubs)
    for (x, y), width in zip(places.tolist(), widths.tolist(), strict=True):
        cv2.circle(stubs, (round(16 * x), round(16 * y)), round(16 * width), 204, -1, cv2.LINE_AA, 4)
    ring = bell(rho, 0.85, 0.25)
    canvas.lay(cv2.multiply(ring, stubs, scale=1 / 255, dtype=cv2.CV_32F), (0.03, 0.022, 0.018))


def _at(angle: float, radius: float) -> tuple[float, float]:
    return radius * math.cos(angle), radius * math.sin(angle)


def erythema(rng: np.random.Generator, canvas: Canvas) -> None:
    """Diffuse blotchy redness with a soft border: one flush, many small macules, or a ring."""
    form = choose(rng, ERYTHEMA_FORMS)
    mid, fine = noise(rng, "mid"), noise(rng, "fine")
    rho = oval(rng, radius=1.0, rough=0.28)
    if form == "macules":
        spots = cv2.addWeighted(noise(rng, "mid"), 1, noise(rng, "broad"), 0.5, 0)
        red = ramp(cv2.scaleAdd(fine, 0.15, spots), rng.uniform(-0.1, 0.3), 1.1)
        red *= ramp(rho, 1.15, 0.7)
    elif form == "ring":
        red = cv2.scaleAdd(ramp(rho, 1.0, 0.6), 0.25, bell(rho, 0.8, rng.uniform(0.18, 0.3)))
        red = red * (1 + 0.15 * mid)
    else:
        red = ramp(cv2.scaleAdd(mid, rng.uniform(0.06, 0.2), rho), 1.35, rng.uniform(0.2, 0.7))
        red *= cv2.addWeighted(mid, 0.16, fine, 0.05, 1)
    np.maximum(red, 0, out=red)
    canvas.planes["blood"] = red * rng.uniform(0.45, 1.5)
    stain = (0.0, 0.15, 0.4)[pick(rng, (0.6, 0.25, 0.15))]
    if stain:
        canvas.planes["melanin"] = red * (stain * (0.5 + canvas.skin_melanin))
    canvas.mask = ramp(red, 0.30, 0.46) if form != "ring" else ramp(rho, 1.1, 1.0)


def leukoderma(rng: np.random.Generator, canvas: Canvas) -> None:
    """Milk-white patches with sharp scalloped borders, a darker margin, islands of pigment coming back."""
    n, reach = int(rng.integers(2, 9)), rng.uniform(0.3, 0.75)
    centres = np.clip(rng.normal(0, 0.5, (n, 2)), -1, 1) * reach
    level = rounds(centres.tolist(), rng.uniform(0.2, 0.55, n).tolist())
    level += cv2.addWeighted(noise(rng, "mid"), 0.05, noise(rng, "broad"), 0.06, 0)
    level = cv2.scaleAdd(noise(rng, "fine"), 0.010, level)
    sharp = rng.uniform(0.015, 0.06)
    pale = ramp(level, sharp, -sharp)
    kept = pale * rng.uniform(0.78, 0.98)
    if rng.random() < 0.45:
        kept *= 1 - ramp(noise(rng, "fine"), 1.5, 2.0) * ramp(level, -0.35, 0.0)
    canvas.planes["depigment"] = kept
    tanned = max(0.0, 0.45 - 0.25 * canvas.skin_melanin)
    margin = cv2.addWeighted(
        bell(level, 0.05, 0.07), rng.uniform(0.05, 0.35), ramp(level, 0.6, 0.1), tanned, 0
    )
    canvas.planes["melanin"] = margin * (1 - pale)
    canvas.planes["blood"] = pale * rng.uniform(-0.10, 0.04)
    canvas.mask = ramp(level, 0.02, -0.02)


def p_macula(rng: np.random.Generator, canvas: Canvas) -> None:
    """Flat brown: a patch with a network and an irregular border, a cafe-au-lait spot, lentigines, or melasma."""
    form = pick(rng, tuple(P_MACULA_FORMS.values()))
    deep = 0.55 + 0.55 * canvas.skin_melanin
    mid, fine = noise(rng, "mid"), noise(rng, "fine")
    if form == 2:
        n = int(rng.integers(5, 16))
        radii = rng.uniform(0.08, 0.26, n)
        rho, owner = beads(scatter(rng, n, spread=0.95, gap=1.1, radii=radii), radii, 1.6)
        brown = soft_edge(cv2.scaleAdd(mid, 0.14, rho), 0.25)
        shades = np.zeros(256, np.float32)
        shades[:n] = rng.uniform(0.5, 1, n)
        brown *= cv2.LUT(owner, shades)
    else:
        soft = (rng.uniform(0.06, 0.25), rng.uniform(0.03, 0.10), 0.0, rng.uniform(0.35, 0.9))[form]
        rho = oval(rng, radius=1.0, rough=(0.2, 0.12, 0, 0.3)[form], fray=(0.03, 0.02, 0, 0.03)[form])
        brown = soft_edge(cv2.scaleAdd(mid, 0.04, rho), soft)
    shape = ramp(brown, 0.25, 0.5)
    if form == 0:
        net = rng.uniform(0.1, 0.5)
        brown *= cv2.addWeighted(mid, 0.22, cells(rng, int(rng.integers(60, 110)))[0], -net, 1 + 0.35 * net)
        dark = ramp(noise(rng, "mid"), 0.6, 1.5)
        dark *= shape
        brown = cv2.scaleAdd(dark, rng.uniform(0, 0.9), brown)
        np.maximum(brown, 0, out=brown)
    else:
        brown *= cv2.addWeighted(mid, 0.07 if form == 1 else 0.18, fine, 0.05, 1)
    strength = (rng.uniform(1.0, 3.2), rng.uniform(0.5, 1.1), rng.uniform(0.7, 1.8), rng.uniform(0.5, 1.2))[
        form
    ]
    canvas.planes["melanin"] = brown * (strength * deep)
    red = (0.0, 0.2, 0.5)[pick(rng, (0.55, 0.25, 0.20))]
    if red:
        canvas.planes["blood"] = brown * red
    canvas.mask = shape

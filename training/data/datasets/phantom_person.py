"""Synthetic people: body sites, skin tones, and what stays the same when a lesion is photographed again.

    person = draw_person(rng, location="arm", tone=3, lesion_cm=(1, 4), hairy=False)

The numbers below were chosen by eye. Torch-free.
"""

import math
from dataclasses import dataclass

import numpy as np

TONE_MELANIN = {1: 0.18, 2: 0.42, 3: 0.80, 4: 1.5, 5: 2.7, 6: 4.8}
"""Units of melanin of the six tones, lightest to darkest."""
TONES = tuple(TONE_MELANIN)


@dataclass(frozen=True)
class Site:
    """What a body site looks like, in centimetres where a length is meant."""

    half_width_cm: float
    """Half of what the eye sees of the part, edge to edge."""
    relief: str
    """Which skin surface (phantom_fields.Banks.relief)."""
    relief_gain: float
    hair: tuple[float, float]
    """Lowest and highest density of hair, 0 to 1."""
    blood: float
    """Haemoglobin above the trunk's."""
    tan: float
    """Melanin relative to the trunk's."""
    creases: float = 0.0
    """Depth of long creases across the part."""
    freckles: float = 0.15
    """Chance of freckles or moles nearby."""


SITE_LOOKS: dict[str, Site] = {
    "scalp": Site(8.5, "fine", 0.6, (0.93, 1.0), 0.05, 0.85, freckles=0.0),
    "face": Site(7.5, "porous", 1.25, (0.0, 0.03), 0.16, 0.95, freckles=0.35),
    "neck": Site(6.5, "creased", 1.0, (0.0, 0.02), 0.10, 1.08, creases=1.0, freckles=0.25),
    "chest": Site(15, "fine", 0.8, (0.0, 0.12), 0.03, 0.98, freckles=0.3),
    "back": Site(17, "fine", 1.0, (0.0, 0.03), 0.02, 1.0, freckles=0.45),
    "abdomen": Site(15, "fine", 0.6, (0.0, 0.07), 0.0, 0.92, creases=0.25, freckles=0.15),
    "arm": Site(4.6, "creased", 0.7, (0.0, 0.09), 0.03, 1.06, freckles=0.3),
    "hand": Site(4.4, "glyphic", 1.5, (0.0, 0.05), 0.18, 1.05, creases=1.5, freckles=0.1),
    "leg": Site(6.5, "creased", 0.8, (0.0, 0.18), 0.0, 0.98, freckles=0.15),
    "foot": Site(4.6, "glyphic", 1.7, (0.0, 0.04), 0.12, 0.97, creases=0.8, freckles=0.05),
}
SITES: tuple[str, ...] = tuple(SITE_LOOKS)
MAX_ACROSS = 0.45
"""How far off the middle line of its part a lesion sits at most, in half widths."""
HAIR_COLOURS = (
    (0.018, 0.014, 0.012),
    (0.045, 0.026, 0.016),
    (0.10, 0.055, 0.028),
    (0.20, 0.125, 0.060),
    (0.26, 0.24, 0.22),
)
"""Linear RGB: black, dark brown, brown, fair, grey."""


@dataclass(frozen=True)
class Person:
    """All that stays the same when the same lesion is photographed again; positions in units of the frame's side
    at distance 1, from the lesion's centre."""

    tone: int
    location: str
    melanin: float
    blood: float
    unit_cm: float
    """Centimetres that a frame shows at distance 1."""
    hair_density: float
    hair_rgb: tuple[float, float, float]
    axis_deg: float
    """Direction in which the body part runs."""
    across: float
    """Where across the part the lesion lies, -1 = one edge, 1 = the other."""
    backdrop_rgb: tuple[float, float, float]
    spots: np.ndarray
    """(K, 4) float64: x, y, radius, melanin of moles and freckles."""
    texture_seed: int

    @property
    def dense_hair(self) -> bool:
        """Hair as on a scalp or in a beard."""
        return self.hair_density > 0.3


def draw_person(
    rng: np.random.Generator, *, location: str, tone: int, lesion_cm: tuple[float, float], hairy: bool
) -> Person:
    """A person, and the place on the body.

    Args:
        lesion_cm: range of the lesion's longer side.
        hairy: the lesion shows only where hair grows (alopecia), so some grows here whatever the site.
    """
    site = SITE_LOOKS[location]
    low, high = lesion_cm
    size_cm = min(low * (high / low) ** rng.random(), 0.85 * site.half_width_cm)
    density = rng.uniform(*site.hair) if rng.random() < 0.55 else site.hair[0]
    if hairy:
        density = max(density, rng.uniform(0.35, 0.7))
    grey = rng.random() < 0.12 and density > 0.3
    colour = int(rng.integers(0, 4 if tone <= 2 else 3 if tone == 3 else 2))
    spots = np.empty((0, 4))
    if rng.random() < site.freckles:
        freckled = rng.random() < 0.4 and tone <= 4
        n = int(rng.integers(12, 50)) if freckled else int(rng.integers(1, 5))
        where = rng.uniform(-0.8, 0.8, (n, 2))
        radius = rng.uniform(0.004, 0.012, n) if freckled else rng.uniform(0.007, 0.022, n)
        depth = rng.uniform(0.25, 0.7, n) if freckled else rng.uniform(0.8, 2.2, n)
        spots = np.column_stack([where, radius, depth])[np.hypot(*where.T) > 0.24]
    return Person(
        tone=tone,
        location=location,
        melanin=TONE_MELANIN[tone] * site.tan * math.exp(rng.normal(0, 0.12)),
        blood=float(max(0.05, 0.24 + site.blood * rng.uniform(0.3, 1.5) + rng.normal(0, 0.05))),
        unit_cm=3 * size_cm,
        hair_density=float(density),
        hair_rgb=HAIR_COLOURS[4 if grey else colour],
        axis_deg=float(rng.uniform(0, 360)),
        across=float(rng.uniform(-MAX_ACROSS, MAX_ACROSS)),
        backdrop_rgb=_backdrop(rng),
        spots=spots,
        texture_seed=int(rng.integers(0, 2**31)),
    )


def _backdrop(rng: np.random.Generator) -> tuple[float, float, float]:
    """A wall, a cloth, a table."""
    bright, spread = rng.uniform(0.03, 0.75), 0.10 if rng.random() < 0.6 else 0.45
    red, green, blue = (min(max(bright * math.exp(x), 0.01), 0.9) for x in rng.normal(0, spread, 3).tolist())
    return red, green, blue

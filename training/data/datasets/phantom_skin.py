"""Synthetic skin: body sites, tones, and the bare skin that a lesion is then laid on.

    person = draw_person(rng, location="arm", lesion="wheal")
    skin = render_skin(person, size=256, distance=1.0, centre_xy=(0.5, 0.5))

Colour follows the Beer-Lambert law in three bands: light that comes back from the skin is bloodless, unpigmented
dermis dimmed by melanin (which absorbs blue most) and haemoglobin (green most), after Tsumura et al.,
Image-based skin color and texture analysis/synthesis by extracting hemoglobin and melanin information, SIGGRAPH
2003. The numbers below were chosen by eye. Torch-free.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from training.data.datasets.phantom_fields import NO_HAIR, banks, crop

DERMIS = np.array([0.90, 0.72, 0.60], np.float32)
"""Linear RGB of dermis without melanin or blood."""
MELANIN = np.array([0.44, 0.70, 1.00], np.float32)
HAEMOGLOBIN = np.array([0.10, 0.80, 0.62], np.float32)
"""Absorption (natural log) of one unit, R, G, B."""
SURFACE = 0.018
"""Light that the surface scatters back whatever lies below."""
TONE_MELANIN = {1: 0.18, 2: 0.42, 3: 0.80, 4: 1.5, 5: 2.7, 6: 4.8}
"""Units of melanin of the six tones, lightest to darkest."""
TONES = tuple(TONE_MELANIN)
LOW_PX = 64
"""Side of the fields that vary slowly over the frame; they are enlarged to it."""
LOW_TICKS = np.linspace(0, 1, LOW_PX, dtype=np.float32)


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


@dataclass
class Skin:
    """Bare skin in a photo's frame; each plane (size, size) float32."""

    melanin: np.ndarray
    blood: np.ndarray
    relief: np.ndarray
    """Height of the fine surface in pixels."""
    hair: np.ndarray | None
    """The rank of the hair at each pixel, 0 to 1; 1 = none."""
    hair_tone: np.ndarray | None
    """How light each strand is, 0 to 255, where hair is dense."""
    shade: np.ndarray
    """(LOW_PX, LOW_PX) natural log of the shading by the body's curvature."""
    body: np.ndarray | None
    """1 where the body is, 0 where the background is; None = body everywhere."""
    backdrop: np.ndarray | None
    """Relative brightness of the background, where there is any."""


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
        across=float(rng.uniform(-0.45, 0.45)),
        backdrop_rgb=_backdrop(rng),
        spots=spots,
        texture_seed=int(rng.integers(0, 2**31)),
    )


def _backdrop(rng: np.random.Generator) -> tuple[float, float, float]:
    """A wall, a cloth, a table."""
    bright, spread = rng.uniform(0.03, 0.75), 0.10 if rng.random() < 0.6 else 0.45
    red, green, blue = (min(max(bright * math.exp(x), 0.01), 0.9) for x in rng.normal(0, spread, 3).tolist())
    return red, green, blue


def render_skin(person: Person, *, size: int, distance: float, centre_xy: tuple[float, float]) -> Skin:
    """The bare skin as the camera sees it.

    Args:
        distance: frame sides of distance 1 that the frame now shows.
        centre_xy: where the lesion's centre falls, in fractions of the frame's side.
    """
    rng = np.random.default_rng(person.texture_seed)
    site = SITE_LOOKS[person.location]
    ticks = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = (ticks - np.float32(centre_xy[0])) * distance, (ticks - np.float32(centre_xy[1])) * distance
    broad, mid = (_window(rng, banks().noise[name], 150, distance, centre_xy) for name in ("broad", "mid"))
    tint = broad * np.float32(0.07 * person.melanin + 0.02) + mid * np.float32(0.05 * person.melanin + 0.01)
    melanin = _enlarge(np.maximum(tint + np.float32(person.melanin), 0.05), size)
    flush = mid * np.float32(0.045 + 0.12 * site.blood) - broad * np.float32(0.05)
    blood = _enlarge(flush + np.float32(person.blood), size)
    _lay_spots(melanin, person.spots, size, distance, centre_xy)

    zoom = min(max(math.sqrt(person.unit_cm / 7), 0.5), 1.1) * distance
    turned = banks().relief[site.relief][int(45 < person.axis_deg % 180 < 135)]
    relief = _enlarge(_crop(rng, turned, 256 * zoom, centre_xy), size)
    melanin = cv2.scaleAdd(relief, -0.044 * (0.3 + person.melanin), melanin)
    relief *= np.float32(0.16 * site.relief_gain * (size / 256) / max(zoom, 0.7))
    if site.creases:
        _lay_creases(rng, relief, melanin, x, y, person, site.creases * size / 256 / max(distance, 0.6))
    hair, hair_tone = _hair(rng, person, size, distance, centre_xy)
    shade, body, backdrop = _curvature(rng, person, site, x, y, size)
    return Skin(melanin, blood, relief, hair, hair_tone, shade, body, backdrop)


def _crop(
    rng: np.random.Generator, tiled: np.ndarray, span_px: float, centre_xy: tuple[float, float]
) -> np.ndarray:
    """The view of a tiled bank that spans the frame; the lesion's centre always meets the same place in it."""
    tile = tiled.shape[0] // 2
    reach = min(max(8, round(span_px)), tile)
    left, top = (int(rng.random() * tile - centre * reach) % tile for centre in centre_xy)
    return tiled[top : top + reach, left : left + reach]


def _window(
    rng: np.random.Generator,
    tiled: np.ndarray,
    span_px: float,
    distance: float,
    centre_xy: tuple[float, float],
) -> np.ndarray:
    """Coarse noise, `span_px` of its pixels a unit of distance, LOW_PX a side."""
    view = _crop(rng, tiled, span_px * distance, centre_xy)
    return cv2.resize(view, (LOW_PX, LOW_PX), interpolation=cv2.INTER_LINEAR)


def _enlarge(low: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(low, (size, size), interpolation=cv2.INTER_LINEAR)


def _warp(
    bank: np.ndarray,
    anchor: np.ndarray,
    span: float,
    degrees: float,
    size: int,
    centre_xy: tuple[float, float],
    *,
    smooth: bool,
) -> np.ndarray:
    """A bank turned by `degrees`, `span` of its pixels across the frame: (size, size) uint8."""
    scale, angle = span / size, math.radians(degrees)
    turn = scale * np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    shift = anchor * bank.shape[0] - turn @ (np.asarray(centre_xy) * size)
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST)
    return cv2.warpAffine(
        bank, np.column_stack([turn, shift]), (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )


def _hair(
    rng: np.random.Generator, person: Person, size: int, distance: float, centre_xy: tuple[float, float]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Each pixel's hair rank in [0, 1], 1 = no hair; and each strand's tone, where hair is dense."""
    turn, anchor = person.axis_deg + rng.normal(0, 25), rng.uniform(0.4, 0.6, 2)
    if person.hair_density < 0.01:
        return None, None
    span = (
        (330 if person.dense_hair else 360) * distance * min(max(math.sqrt(person.unit_cm / 12), 0.6), 1.25)
    )
    bank = banks().scalp_hair if person.dense_hair else banks().body_hair
    ranks = _warp(bank, anchor, span, turn, size, centre_xy, smooth=person.dense_hair).astype(np.float32)
    ranks *= np.float32(1 / NO_HAIR)
    if not person.dense_hair:
        return ranks, None
    return ranks, _warp(banks().scalp_tone, anchor, span, turn, size, centre_xy, smooth=True).astype(
        np.float32
    )


def _lay_spots(
    melanin: np.ndarray, spots: np.ndarray, size: int, distance: float, centre_xy: tuple[float, float]
) -> None:
    if not len(spots):
        return
    dots = np.zeros((size, size), np.uint8)
    for x, y, radius, depth in spots.tolist():
        at = (
            round((x / distance + centre_xy[0]) * size * 16),
            round((y / distance + centre_xy[1]) * size * 16),
        )
        cv2.circle(dots, at, round(radius / distance * size * 16), round(depth * 100), -1, cv2.LINE_AA, 4)
    melanin += cv2.blur(dots, (3, 3)).astype(np.float32) * np.float32(0.01)


def _lay_creases(
    rng: np.random.Generator,
    relief: np.ndarray,
    melanin: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    person: Person,
    depth_px: float,
) -> None:
    """Long creases across the part's axis, a few centimetres apart: knuckles, the neck's rings."""
    angle = math.radians(person.axis_deg)
    along = np.float32(math.cos(angle)) * x[None] + np.float32(math.sin(angle)) * y[:, None]
    bend = np.float32(rng.uniform(0.05, 0.25)) * np.sin(y * np.float32(rng.uniform(2, 5)))[:, None]
    pitch = float(np.clip(rng.uniform(2.2, 3.4) / person.unit_cm, 0.16, 1.2))
    turns = along + bend
    turns *= np.float32(1 / pitch)
    turns += np.float32(rng.random())
    turns -= np.rint(turns)
    turns *= turns
    turns *= np.float32(-2600 * pitch**2)
    turns += 1
    dip = np.maximum(turns, 0, out=turns)
    dip *= dip
    relief -= np.float32(0.7 * depth_px) * dip
    melanin += np.float32(0.10 + 0.10 * person.melanin) * dip


def _curvature(
    rng: np.random.Generator, person: Person, site: Site, x: np.ndarray, y: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Shading of a cylinder seen from above, and the background where the frame reaches past its edge."""
    angle = math.radians(person.axis_deg)
    half = site.half_width_cm / person.unit_cm
    swing = np.float32(rng.normal(0, 0.06 / half))

    def distance_from_axis(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        along = np.float32(math.cos(angle)) * x[None] + np.float32(math.sin(angle)) * y[:, None]
        across = (
            np.float32(-math.sin(angle) / half) * x[None] + np.float32(math.cos(angle) / half) * y[:, None]
        )
        along *= along
        along *= swing
        along += across
        along += np.float32(person.across)
        return along

    low = x[0] + LOW_TICKS * (x[-1] - x[0]), y[0] + LOW_TICKS * (y[-1] - y[0])
    s = distance_from_axis(*low)
    shade = np.log(0.22 + 0.78 * np.sqrt(np.maximum(1 - s * s, np.float32(0.02)))) * np.float32(0.6)
    edge = 1.2 * float(x[1] - x[0]) / half
    if float(np.abs(s).max()) < 1 - edge:
        return shade, None, None
    outside = np.abs(distance_from_axis(x, y))
    body = (1 + edge - outside) * np.float32(0.5 / edge)
    np.maximum(body, 0, out=body)
    np.minimum(body, 1, out=body)
    backdrop = _cloth(rng, size)
    beside = np.abs(s) - 1
    backdrop *= _enlarge(1 - np.float32(0.45) * np.exp(-np.maximum(beside, 0) * np.float32(6)), size)
    return shade, body, backdrop


def _cloth(rng: np.random.Generator, size: int) -> np.ndarray:
    """The background's relative brightness, plain, woven or folded: (size, size) float32."""
    weave, folds, pitch = rng.random(), rng.random(), rng.uniform(2.2, 5) * size / 256
    tone = np.ones((size, size), np.float32)
    if folds < 0.5:
        low = crop(rng, banks().noise["broad"], 120)
        tone += cv2.resize(low, (size, size), interpolation=cv2.INTER_LINEAR) * np.float32(0.16)
    if weave < 0.45:
        ticks = np.sin(np.arange(size, dtype=np.float32) * np.float32(2 * math.pi / pitch)) * np.float32(0.10)
        tone += ticks[None] + ticks[:, None]
    return np.maximum(tone, 0.1, out=tone)

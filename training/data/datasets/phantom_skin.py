"""Synthetic skin: the bare skin that a lesion is then laid on.

    skin = render_skin(person, size=256, distance=1.0, centre_xy=(0.5, 0.5))

Colour follows the Beer-Lambert law in three bands: light that comes back from the skin is bloodless, unpigmented
dermis dimmed by melanin (which absorbs blue most) and haemoglobin (green most), after Tsumura et al.,
Image-based skin color and texture analysis/synthesis by extracting hemoglobin and melanin information, SIGGRAPH
2003. The numbers below were chosen by eye. What varies slowly over the frame is computed LOW_PX a side.
Torch-free.
"""

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np

from training.data.datasets.phantom_fields import banks, clip_to_one, crop
from training.data.datasets.phantom_person import SITE_LOOKS, Person, Site

DERMIS = (0.90, 0.72, 0.60)
"""Linear R, G, B of dermis without melanin or blood."""
MELANIN = (0.44, 0.70, 1.00)
HAEMOGLOBIN = (0.10, 0.80, 0.62)
"""Absorption (natural log) of one unit, R, G, B."""
SURFACE = 0.018
"""Light that the surface scatters back whatever lies below."""
LOW_PX = 64
"""Side of the fields that vary slowly over the frame; they are enlarged to it."""
LOW_TICKS = (np.arange(LOW_PX, dtype=np.float32) + 0.5) / LOW_PX


@dataclass
class Skin:
    """Bare skin in a photo's frame; each plane (size, size) float32 unless told."""

    colour: list[np.ndarray]
    """Linear reflectance of even, flat skin: R, G, B, each (LOW_PX, LOW_PX)."""
    surface: tuple[float, ...]
    """Of that, the share that the surface scatters."""
    spots: np.ndarray | None
    """uint8, hundredths of a unit of melanin: moles and freckles."""
    relief: np.ndarray
    """Height of the fine surface, in standard deviations."""
    relief_px: float
    """One of those in pixels."""
    staining: float
    """By how much of itself the skin is brighter where the relief is one higher: furrows hold melanin."""
    hair: np.ndarray | None
    """uint8, the rank of the hair at each pixel (phantom_fields.Banks), NO_HAIR where there is none."""
    hair_tone: np.ndarray | None
    """uint8, how light each strand is, where hair is dense."""
    shade: np.ndarray
    """(LOW_PX, LOW_PX) natural log of the shading by the body's curvature."""
    body: np.ndarray | None
    """1 where the body is, 0 where the background is; None = body everywhere."""
    backdrop: np.ndarray | None
    """Relative brightness of the background, 0 where the body is."""


def surface_share(person: Person) -> tuple[float, ...]:
    """Of the light that a person's skin sends back, the share that its surface scatters: R, G, B."""
    deep = (
        dermis * math.exp(-melanin * person.melanin - blood * person.blood)
        for dermis, melanin, blood in zip(DERMIS, MELANIN, HAEMOGLOBIN, strict=True)
    )
    return tuple(SURFACE / (SURFACE + light) for light in deep)


def enlarge(low: np.ndarray, size: int) -> np.ndarray:
    """A slowly varying field to the frame's size."""
    return cv2.resize(low, (size, size), interpolation=cv2.INTER_LINEAR)


def render_skin(person: Person, *, size: int, distance: float, centre_xy: tuple[float, float]) -> Skin:
    """The bare skin as the camera sees it.

    Args:
        distance: frame sides of distance 1 that the frame now shows.
        centre_xy: where the lesion's centre falls, in fractions of the frame's side.
    """
    rng = random.Random(person.texture_seed)
    site, pigment = SITE_LOOKS[person.location], person.melanin
    broad, mid = (_window(rng, banks().mottle[name], 37.5 * distance, centre_xy) for name in ("broad", "mid"))
    melanin = cv2.addWeighted(broad, 0.07 * pigment + 0.02, mid, 0.05 * pigment + 0.01, pigment)
    np.maximum(melanin, 0.05, out=melanin)
    blood = cv2.addWeighted(mid, 0.045 + 0.12 * site.blood, broad, -0.05, person.blood)
    colour = [_reflectance(melanin, blood, band) for band in range(3)]
    spots = _spots(person, size, distance, centre_xy) if len(person.spots) else None

    zoom = min(max(math.sqrt(person.unit_cm / 7), 0.5), 1.1) * distance
    turned = banks().relief[site.relief][int(45 < person.axis_deg % 180 < 135)]
    relief = enlarge(_crop(rng, turned, 256 * zoom, centre_xy), size)
    relief_px = 0.16 * site.relief_gain * (size / 256) / max(zoom, 0.7)
    if site.creases:
        depth = 0.7 * site.creases * size / 256 / max(distance, 0.6) / relief_px
        cv2.scaleAdd(_creases(rng, person, size, distance, centre_xy), -depth, relief, dst=relief)
    surface = surface_share(person)
    staining = 0.044 * (0.3 + pigment) * MELANIN[1] * (1 - surface[1])
    hair, hair_tone = _hair(rng, person, size, distance, centre_xy)
    shade, body, backdrop = _curvature(rng, person, site, size, distance, centre_xy)
    return Skin(colour, surface, spots, relief, relief_px, staining, hair, hair_tone, shade, body, backdrop)


def _reflectance(melanin: np.ndarray, blood: np.ndarray, band: int) -> np.ndarray:
    """Beer-Lambert: the light of one band that bare skin sends back."""
    depth = cv2.addWeighted(melanin, -MELANIN[band], blood, -HAEMOGLOBIN[band], math.log(DERMIS[band]))
    return np.add(cv2.exp(depth), SURFACE)


def _crop(
    rng: random.Random, tiled: np.ndarray, span_px: float, centre_xy: tuple[float, float]
) -> np.ndarray:
    """The view of a tiled bank that spans the frame; the lesion's centre always meets the same place in it."""
    tile = tiled.shape[0] // 2
    reach = min(max(8, round(span_px)), tile)
    left, top = (int(rng.random() * tile - centre * reach) % tile for centre in centre_xy)
    return tiled[top : top + reach, left : left + reach]


def _window(
    rng: random.Random, tiled: np.ndarray, span_px: float, centre_xy: tuple[float, float]
) -> np.ndarray:
    """Coarse noise, `span_px` of its pixels across the frame, LOW_PX a side."""
    return enlarge(_crop(rng, tiled, span_px, centre_xy), LOW_PX)


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
    rng: random.Random, person: Person, size: int, distance: float, centre_xy: tuple[float, float]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Each pixel's hair rank; and each strand's tone, where hair is dense."""
    turn = person.axis_deg + rng.gauss(0, 25)
    anchor = np.array([rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6)])
    if person.hair_density < 0.01:
        return None, None
    dense, scale = person.dense_hair, min(max(math.sqrt(person.unit_cm / 12), 0.6), 1.25)
    span, bank = (330, banks().scalp_hair) if dense else (360, banks().body_hair)
    ranks = _warp(bank, anchor, span * distance * scale, turn, size, centre_xy, smooth=dense)
    if not dense:
        return ranks, None
    tone = _warp(banks().scalp_tone, anchor, span * distance * scale, turn, size, centre_xy, smooth=False)
    return ranks, tone


def _spots(person: Person, size: int, distance: float, centre_xy: tuple[float, float]) -> np.ndarray:
    """Moles and freckles, in hundredths of a unit of melanin: (size, size) uint8."""
    dots = np.zeros((size, size), np.uint8)
    for x, y, radius, depth in person.spots.tolist():
        at = (
            round((x / distance + centre_xy[0]) * size * 16),
            round((y / distance + centre_xy[1]) * size * 16),
        )
        cv2.circle(dots, at, round(radius / distance * size * 16), round(depth * 100), -1, cv2.LINE_AA, 4)
    return cv2.blur(dots, (3, 3))


def _creases(
    rng: random.Random, person: Person, size: int, distance: float, centre_xy: tuple[float, float]
) -> np.ndarray:
    """Long creases across the part's axis, a few centimetres apart: knuckles, the neck's rings; depth in [0, 1].

    Positions are turns from crease to crease in uint16, which wraps at a whole one.
    """
    ticks = (np.arange(size) + 0.5) / size
    x, y = ((ticks - centre) * distance for centre in centre_xy)
    angle, pitch = math.radians(person.axis_deg), min(max(rng.uniform(2.2, 3.4) / person.unit_cm, 0.16), 1.2)
    bend, wave, start = rng.uniform(0.05, 0.25), rng.uniform(2, 5), rng.random()
    right = math.cos(angle) * x / pitch
    down = (math.sin(angle) * y + bend * np.sin(wave * y)) / pitch + start
    turns = [(part % 1 * 65536).astype(np.uint16) for part in (down, right)]
    reach = min(int(65536 * 0.0196 / pitch), 32767)
    profile, table = np.arange(-reach, reach + 1), np.zeros(65536, np.float32)
    table[profile] = (1 - (profile / reach) ** 2) ** 2
    return cv2.LUT(np.add.outer(*turns), table)


def _curvature(
    rng: random.Random,
    person: Person,
    site: Site,
    size: int,
    distance: float,
    centre_xy: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Shading of a cylinder seen from above, and the background where the frame reaches past its edge."""
    x, y = (LOW_TICKS - centre_xy[0]) * distance, (LOW_TICKS - centre_xy[1])[:, None] * distance
    angle, half = math.radians(person.axis_deg), site.half_width_cm / person.unit_cm
    along = math.cos(angle) * x + math.sin(angle) * y
    across = math.cos(angle) / half * y - (math.sin(angle) / half * x - person.across)
    outside = np.abs(across + rng.gauss(0, 0.06 / half) * along * along)
    shade = cv2.log(0.22 + 0.78 * cv2.sqrt(np.maximum(1 - outside * outside, 0.02))) * 0.6
    edge = 1.2 * distance / size / half
    if float(outside.max()) < 1 - edge:
        return shade, None, None
    slope = 0.5 / edge
    body = enlarge(outside, size)
    body = cv2.addWeighted(body, -slope, body, 0, (1 + edge) * slope)
    clip_to_one(body)
    backdrop = _cloth(rng, size, 1 - 0.45 * cv2.exp(np.maximum(outside - 1, 0) * -6))
    backdrop -= cv2.multiply(backdrop, body)
    return shade, body, backdrop


def _cloth(rng: random.Random, size: int, light: np.ndarray) -> np.ndarray:
    """The background's relative brightness, plain, woven or folded, in a light of (LOW_PX, LOW_PX)."""
    weave, folds, pitch = rng.random(), rng.random(), rng.uniform(2.2, 5) * size / 256
    if folds < 0.5:
        light = light * np.maximum(1 + 0.16 * enlarge(crop(rng, banks().mottle["broad"], 30), LOW_PX), 0.1)
    tone = enlarge(light, size)
    if weave < 0.45:
        threads = 0.10 * np.sin(np.arange(size, dtype=np.float32) * (2 * math.pi / pitch))
        tone *= 1 + threads[:, None] + threads
    return tone

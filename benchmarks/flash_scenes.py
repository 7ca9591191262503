"""Ambient and flash pairs with known truth, drawn over a photo that is taken for the skin's reflectance.

    pair = draw_pair(reflectance_rgb, draw_conditions(rng), rng, side=512)
    pair.ambient_rgb, pair.flash_rgb, pair.homography, pair.specular

Everything happens in linear light and in one plane, the skin: a relief gives normals; the room's light has a
colour, a gradient and a direction; the flash has a colour, falls off with distance and shines on what faces it
(Lambert; Blinn and Phong's highlight). The camera moves between the photos; each is stored with shot and read
noise in 8 bits of sRGB and as a JPEG. What is in the photo already, its own shading and shine, is reflectance.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from capture_app.flash.light import linearise, to_display

FRAME_SHARE = 0.74
"""Of the drawn plane's side that a frame sees: the rest is what the moving camera brings into view."""
DIFFUSE_SHARE = 0.55
"""Of the room's light that has no direction."""
JPEG_QUALITY = 92


@dataclass(frozen=True)
class Conditions:
    """How a pair was taken. Colours are linear RGB with green 1; angles in degrees; lengths in frame sides."""

    ambient_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ambient_gradient_stops: float = 0.0
    """Across the frame."""
    ambient_deg: float = 0.0
    """Where the room's light comes from."""
    flash_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    flash_over_ambient: float = 1.5
    """Light of the flash over the room's at the frame's middle, in green."""
    distance: float = 1.8
    """From the skin to the phone: the nearer, the steeper the flash falls off."""
    flash_offset_xy: tuple[float, float] = (0.0, 0.0)
    """Of the LED from the lens."""
    shine: float = 0.2
    """Of the highlight's peak over white paper's light under the same flash."""
    shine_exponent: float = 40.0
    ambient_shine: float = 0.0
    """The same for the room's light."""
    relief: float = 0.12
    """Standard deviation of the fine slopes."""
    curvature: float = 0.2
    """Slope at the frame's edge."""
    shift_xy: tuple[float, float] = (0.0, 0.0)
    turn_deg: float = 0.0
    scale: float = 1.0
    perspective_xy: tuple[float, float] = (0.0, 0.0)
    """Change of scale across the frame."""
    ambient_drift: float = 1.0
    """Of the room's light between the two photos."""
    flash_exposure: float = 1.0
    """Exposure of the flash photo over the plain one's, where the phone did not hold it."""
    flash_gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """By channel, of the flash photo's white balance over the plain one's, where the phone did not hold it."""
    brightest: float = 0.65
    """98th percentile of the flash photo's linear light, highlights left out."""
    read_noise: float = 0.003
    shot_noise: float = 0.0002
    """Variance a unit of linear light."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two photos and the truth about them; maps lie in the ambient photo's frame."""

    ambient_rgb: np.ndarray
    """(side, side, 3) uint8, RGB."""
    flash_rgb: np.ndarray
    """(side, side, 3) uint8, RGB."""
    homography: np.ndarray
    """(3, 3) float64: from pixels of the ambient photo to pixels of the flash photo."""
    reflectance: np.ndarray
    """(side, side, 3) float32, linear, 0 to 1."""
    specular: np.ndarray
    """(side, side) float32: the flash's highlights, in linear light of the flash photo."""


def draw_conditions(rng: np.random.Generator, *, hard: bool = False) -> Conditions:
    """A hand-held pair in a room.

    Args:
        hard: twice the tint, a steep fall of light and strong reflections, such as beside a lamp; otherwise
            neither the best nor the worst.
    """
    red, blue = rng.normal(0.15, 0.25), rng.normal(-0.15, 0.3)
    gradient, reflection = rng.uniform(0, 1.6), rng.uniform(0, 0.15)
    if hard:
        red, blue, gradient, reflection = 2 * red, 2 * blue, 1.5 + gradient, 0.2 + 3 * reflection
    return Conditions(
        ambient_rgb=(float(2**red), 1.0, float(2**blue)),
        ambient_gradient_stops=float(gradient),
        ambient_deg=float(rng.uniform(0, 360)),
        flash_rgb=(float(2 ** rng.normal(0, 0.12)), 1.0, float(2 ** rng.normal(0, 0.12))),
        flash_over_ambient=float(np.exp(rng.uniform(np.log(0.5), np.log(4)))),
        distance=float(rng.uniform(1.2, 3)),
        flash_offset_xy=(float(rng.normal(0, 0.12)), float(rng.normal(0, 0.12))),
        shine=float(np.exp(rng.uniform(np.log(0.05), np.log(0.8)))),
        shine_exponent=float(np.exp(rng.uniform(np.log(40), np.log(300)))),
        ambient_shine=float(reflection),
        relief=float(rng.uniform(0.05, 0.2)),
        curvature=float(rng.uniform(0, 0.4)),
        shift_xy=(float(rng.normal(0, 0.03)), float(rng.normal(0, 0.03))),
        turn_deg=float(rng.normal(0, 2.5)),
        scale=float(np.exp(rng.normal(0, 0.03))),
        perspective_xy=(float(rng.normal(0, 0.02)), float(rng.normal(0, 0.02))),
        ambient_drift=float(np.exp(rng.normal(0, 0.02))),
        brightest=float(rng.uniform(0.4, 0.85)),
        read_noise=float(rng.uniform(0.001, 0.005)),
        shot_noise=float(rng.uniform(0.00005, 0.0004)),
    )


def draw_pair(
    reflectance_rgb: np.ndarray,
    conditions: Conditions,
    rng: np.random.Generator,
    *,
    side: int,
    flash_reflectance_rgb: np.ndarray | None = None,
) -> Pair:
    """Light the skin twice and photograph it.

    Args:
        reflectance_rgb: (H, W, 3) uint8, RGB: a photo taken for the skin's colour under even white light.
        side: of the two photos, in pixels.
        flash_reflectance_rgb: if given, what the flash photo shows instead: a wrong pair.
    """
    plane = round(side / FRAME_SHARE)
    skin = _plane(reflectance_rgb, plane)
    c, margin = conditions, (plane - side) / 2
    slopes = _slopes(plane, side, c, rng)
    move = _homography(c, side)
    into_plane = np.array([[1, 0, round(margin)], [0, 1, round(margin)], [0, 0, 1.0]])
    room, room_shine = _room_light(plane, side, slopes, c)
    ambient = (skin * room[..., None] + room_shine[..., None]) * np.array(c.ambient_rgb, np.float32)
    seen_skin, seen_ambient = skin, ambient
    if flash_reflectance_rgb is not None:
        seen_skin, slopes = _plane(flash_reflectance_rgb, plane), _slopes(plane, side, c, rng)
        room, room_shine = _room_light(plane, side, slopes, c)
        seen_ambient = (seen_skin * room[..., None] + room_shine[..., None]) * np.array(
            c.ambient_rgb, np.float32
        )
    flash, highlight = _flash_light(plane, side, slopes, c, np.linalg.inv(move))
    level = c.flash_over_ambient * float(np.median(room))
    flash_rgb = np.array(c.flash_rgb, np.float32)
    diffuse = seen_skin * flash[..., None] * level * flash_rgb
    exposure = c.brightest / float(np.percentile((seen_ambient + diffuse).max(axis=2)[::4, ::4], 98))
    shine = highlight * level * exposure
    lit = (seen_ambient * c.ambient_drift + diffuse) * exposure + shine[..., None] * flash_rgb
    crop = np.s_[round(margin) : round(margin) + side, round(margin) : round(margin) + side]
    to_flash = move @ np.linalg.inv(into_plane)
    seen = cv2.warpPerspective(
        lit, to_flash, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return Pair(
        _photo(ambient[crop] * exposure, c, rng),
        _photo(seen * np.float32(c.flash_exposure) * np.array(c.flash_gains, np.float32), c, rng),
        move,
        skin[crop],
        shine[crop],
    )


def _plane(image_rgb: np.ndarray, side: int) -> np.ndarray:
    """The photo's middle square at a size, linear."""
    height, width = image_rgb.shape[:2]
    square = min(height, width)
    y0, x0 = (height - square) // 2, (width - square) // 2
    middle = image_rgb[y0 : y0 + square, x0 : x0 + square]
    how = cv2.INTER_AREA if square > side else cv2.INTER_CUBIC
    return linearise(np.asarray(cv2.resize(middle, (side, side), interpolation=how)))


def _slopes(plane: int, side: int, c: Conditions, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of the skin to the right and downwards: noise at three scales and a bend."""
    height = np.zeros((plane, plane), np.float32)
    for share, weight in ((0.004, 1.0), (0.012, 2.0), (0.05, 4.0)):
        sigma = share * side
        noise = cv2.GaussianBlur(rng.standard_normal((plane, plane), np.float32), (0, 0), sigma)
        height += noise * np.float32(weight * sigma / noise.std())
    right = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8)
    fine = np.float32(c.relief / np.sqrt((right.var() + down.var()) / 2))
    x = (np.arange(plane, dtype=np.float32) - plane / 2) / side * 2
    angle = rng.uniform(0, np.pi)
    along = x[None] * np.float32(np.cos(angle)) + x[:, None] * np.float32(np.sin(angle))
    bend = np.float32(-c.curvature) * along
    return right * fine + bend * np.float32(np.cos(angle)), down * fine + bend * np.float32(np.sin(angle))


def _facing(slopes: tuple[np.ndarray, np.ndarray], direction: tuple[object, object, object]) -> np.ndarray:
    """Cosine between the surface's normal and a direction (x, y, z), which may be planes."""
    right, down = slopes
    x, y, z = (np.asarray(part, np.float32) for part in direction)
    cosine = (z - right * x - down * y) / np.sqrt((1 + right**2 + down**2) * (x**2 + y**2 + z**2))
    return np.asarray(np.maximum(cosine, 0))


def _room_light(
    plane: int, side: int, slopes: tuple[np.ndarray, np.ndarray], c: Conditions
) -> tuple[np.ndarray, np.ndarray]:
    """The room's light on the skin, about 1, and its reflection."""
    angle = np.deg2rad(c.ambient_deg)
    direction = (np.cos(angle) * 0.7, np.sin(angle) * 0.7, 0.714)
    x = (np.arange(plane, dtype=np.float32) - plane / 2) / side
    along = x[None] * np.float32(np.cos(angle)) + x[:, None] * np.float32(np.sin(angle))
    level = np.exp2(np.float32(c.ambient_gradient_stops) * along)
    light = level * (DIFFUSE_SHARE + (1 - DIFFUSE_SHARE) * _facing(slopes, direction) / direction[2])
    halfway = (direction[0], direction[1], direction[2] + 1)
    return light, level * np.float32(c.ambient_shine) * _facing(slopes, halfway) ** 30


def _flash_light(
    plane: int, side: int, slopes: tuple[np.ndarray, np.ndarray], c: Conditions, to_plane: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The flash's light on the skin, 1 at the middle, and its highlight on the same scale."""
    middle = to_plane @ np.array([side / 2, side / 2, 1])
    lens = middle[:2] / middle[2] + (plane - side) / 2
    grid = np.arange(plane, dtype=np.float32)
    ways = []
    for offset in ((0.0, 0.0), c.flash_offset_xy):
        x = ((lens[0] - grid) / side + offset[0])[None].astype(np.float32)
        y = ((lens[1] - grid) / side + offset[1])[:, None].astype(np.float32)
        length = np.sqrt(x**2 + y**2 + c.distance**2)
        ways.append((x / length, y / length, c.distance / length, length))
    (ex, ey, ez, _), (fx, fy, fz, far) = ways
    falloff = (c.distance / far) ** 2
    light = falloff * _facing(slopes, (fx, fy, fz))
    highlight = (
        falloff
        * np.float32(c.shine)
        * _facing(slopes, (ex + fx, ey + fy, ez + fz)) ** np.float32(c.shine_exponent)
    )
    return light.astype(np.float32), highlight.astype(np.float32)


def _homography(c: Conditions, side: int) -> np.ndarray:
    """From pixels of the ambient photo to pixels of the flash photo."""
    centre = np.array([[1, 0, -side / 2], [0, 1, -side / 2], [0, 0, 1.0]])
    angle = np.deg2rad(c.turn_deg)
    cos, sin = c.scale * np.cos(angle), c.scale * np.sin(angle)
    turn = np.array(
        [
            [cos, -sin, c.shift_xy[0] * side],
            [sin, cos, c.shift_xy[1] * side],
            [c.perspective_xy[0] / side, c.perspective_xy[1] / side, 1],
        ]
    )
    return np.asarray(np.linalg.inv(centre) @ turn @ centre)


def _photo(linear_rgb: np.ndarray, c: Conditions, rng: np.random.Generator) -> np.ndarray:
    """Sensor, display curve, 8 bits, JPEG."""
    spread = np.sqrt(np.float32(c.read_noise) ** 2 + np.float32(c.shot_noise) * np.maximum(linear_rgb, 0))
    noisy = linear_rgb + spread * rng.standard_normal(linear_rgb.shape, np.float32)
    stored = to_display(noisy)
    data = cv2.imencode(".jpg", stored[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])

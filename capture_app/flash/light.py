"""Linear light, and what of the flash's light is the skin's colour and what is shine.

    diffuse, specular = separate(flash_only, room)

Light from skin is its own colour times the lamp's, plus a reflection in the lamp's colour (Shafer's dichromatic
model, 1985). Two photos of the same skin under two lamps tell them apart without a guess about neighbours: where
neither shines, the two differ by the lamps' colours only, so the photo in the room's light, its channels scaled,
says which colour the skin has there under the flash. What else the flash's light holds, in equal parts of all
channels, is its reflection: two unknowns a pixel, three channels, by least squares. Grey surfaces cannot be
parted. Torch-free.
"""

import cv2
import numpy as np

from capture_app.balance import LUMINANCE, to_light, to_stored

CLIPPED = 0.985
"""Linear light at which a channel holds nothing more."""
DARK = 0.01
"""Linear light below which a pixel's colour is noise."""
SMOOTH = 0.004
"""In longer sides, of the blur in which colour is judged: a JPEG stores colour at half its size, with noise."""
GREY = 0.001
"""Squared length of a chromaticity's difference from grey, at which it starts to tell; skin has about 0.05."""
_TO_LINEAR = to_light(np.arange(256)).astype(np.float32)
_TO_DISPLAY = np.round(to_stored(np.arange(65536) / 65535)).astype(np.uint8)


def linearise(image_rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB to (H, W, 3) float32 linear light, 0 to 1 (IEC 61966-2-1)."""
    return np.asarray(cv2.LUT(image_rgb, _TO_LINEAR))


def to_display(linear_rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) float linear light to (H, W, 3) uint8 sRGB; what lies outside 0 to 1 is clipped."""
    return np.asarray(_TO_DISPLAY[np.round(np.clip(linear_rgb, 0, 1) * 65535).astype(np.uint16)])


def luminance(linear_rgb: np.ndarray) -> np.ndarray:
    """(H, W) float32, in the unit of `linear_rgb`, (H, W, 3) float32."""
    return np.asarray(cv2.transform(linear_rgb, LUMINANCE[None].astype(np.float32)))


def separate(flash_only: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part the flash's light into the skin's own and the flash's reflection.

    Args:
        flash_only: (H, W, 3) float32, linear, 0 or above: light of the flash alone, whose colour is white.
        room: (H, W, 3) float32, linear: the same skin in the room's light.

    Returns:
        (H, W, 3) float32: the diffuse light; (H, W) float32: the reflection, equal in all three channels. Both add
        up to `flash_only`.
    """
    sigma = max(0.5, SMOOTH * max(room.shape[:2]))
    light, other = (cv2.GaussianBlur(plane, (0, 0), sigma) for plane in (flash_only, room))
    lit = (light.min(axis=2) > DARK) & (other.min(axis=2) > DARK)
    if not lit.any():
        return flash_only, np.zeros(room.shape[:2], np.float32)
    # The lamps' colours are one ratio for all of the skin: its median is that of places that do not shine.
    colour = other * np.median(light[lit] / other[lit], axis=0).astype(np.float32)
    colour /= colour.sum(axis=2, keepdims=True) + 1e-6
    part = colour - colour.mean(axis=2, keepdims=True)
    total = light.sum(axis=2)
    # Where the skin is too grey to tell, this leans to no shine.
    own = ((part * light).sum(axis=2) + GREY * total) / ((part * part).sum(axis=2) + GREY)
    excess = (total - own) / 3
    specular = np.minimum(np.maximum(excess, 0), flash_only.min(axis=2))
    return flash_only - specular[..., None], specular

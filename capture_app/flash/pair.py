"""A photo without and a photo with flash of the same spot: the skin's colour under the flash alone, and its shine.

    pair = separate_pair(plain_rgb, lit_rgb)
    pair.reflectance_rgb, pair.specular, pair.registration.agreement

Mishra et al. 2019, Sec. 5.3, propose such pairs against reflections; the way is that of DiCarlo, Xiao & Wandell,
"Illuminating illumination", Color Imaging Conference 2001: in linear light, what the flash photo has more than the
plain one is the flash's own light, and the flash's colour is known where the room's is not. The two photos are
aligned (register.py), subtracted, and parted into skin and shine (light.py).

Both photos must be exposed alike, or it must be known how they were, and they must share a white balance. A pair
that cannot be used is refused in one sentence; `benchmarks.flash_pair` measures the limits. Torch-free.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from capture_app.flash.light import CLIPPED, linearise, luminance, separate, to_display
from capture_app.flash.register import Registration, common_box, register, warp_to_first
from training.errors import PhotoError

MIN_SIDE_PX = 128
NOISE_LIGHT = 0.005
"""Linear light added to the room's before the flash is compared with it: below it there is only noise."""
DARKER = 0.02
"""Linear light by which the flash photo must fall short of the plain one to count as darker."""
BRIGHTEST_PERCENTILE, BRIGHTEST = 99.5, 0.9
"""Of the reflectance photo's channels: above this linear light its exposure is lowered."""
RIM_PX = 2
"""Around what is washed out: a JPEG and the alignment spread it."""
FILL_RADIUS_PX = 3


@dataclass(frozen=True)
class Limits:
    """What a pair must reach: between the good and the wrong ones of `benchmarks.flash_pair --limits`."""

    max_aspect_difference: float = 0.03
    """Of width over height, as a share."""
    max_washed_out: float = 0.15
    """Share of either photo."""
    min_gain: float = 0.15
    """Median of the flash's light over the room's."""
    max_darker: float = 0.10
    """Share of the view that is darker with the flash than without."""
    min_agreement: float = 0.30
    """Median correlation of the aligned tiles."""
    min_overlap: float = 0.60
    """Share of the plain photo that the flash photo shows too."""
    max_turn_deg: float = 30.0
    max_scale: float = 1.5
    """Or its inverse."""


LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class FlashPair:
    """A pair, read. All maps are (h, w): the upright part that both photos show, in the plain photo's pixels."""

    plain_rgb: np.ndarray
    """(h, w, 3) uint8, RGB: the plain photo there."""
    lit_rgb: np.ndarray
    """(h, w, 3) uint8, RGB: the flash photo, aligned."""
    reflectance_rgb: np.ndarray
    """(h, w, 3) uint8, RGB: the skin under the flash alone as a photo: without shine, as bright in the median as
    the plain photo, so that no skin is made lighter or darker."""
    specular: np.ndarray
    """(h, w) float32: the flash's reflection, linear light, 1 = the flash photo's white."""
    measured: np.ndarray
    """(h, w) bool: False where a photo was washed out and the reflectance is filled in from around."""
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 of that part in the plain photo, the ends just outside."""
    registration: Registration
    gain: float
    """Median of the flash's light over the room's."""
    darker: float
    """Share of the view that is darker with the flash than without."""


def separate_pair(
    plain_rgb: np.ndarray, lit_rgb: np.ndarray, *, exposure_ratio: float = 1.0, limits: Limits = LIMITS
) -> FlashPair:
    """Align, subtract, and part into skin and shine.

    Args:
        plain_rgb: (H, W, 3) uint8, RGB: in the room's light.
        lit_rgb: (H', W', 3) uint8, RGB: the same with flash; of the same shape of frame, white balance held.
        exposure_ratio: exposure of the flash photo over the plain one's, from time, aperture and sensitivity.

    Raises:
        PhotoError: sizes unlike, too small, washed out, too little flash, darker with flash, or not the same spot.
    """
    _check_sizes(plain_rgb, lit_rgb, limits)
    height, width = plain_rgb.shape[:2]
    if lit_rgb.shape != plain_rgb.shape:
        lit_rgb = np.asarray(cv2.resize(lit_rgb, (width, height), interpolation=cv2.INTER_AREA))
    plain, lit = linearise(plain_rgb), linearise(lit_rgb)
    _check_washed_out(plain, lit, limits)
    registration = register(plain, lit)
    box = common_box(registration.homography, (height, width))
    _check_registration(registration, box, limits)
    crop = np.s_[box[1] : box[3], box[0] : box[2]]
    aligned = np.clip(warp_to_first(lit, registration.homography, (height, width))[crop], 0, 1)
    room = plain[crop] * np.float32(exposure_ratio)
    gain, darker = measure_flash(room, aligned - room)
    _check_flash(gain, darker, limits)
    flash_only = np.maximum(aligned - room, 0)
    diffuse, specular = separate(flash_only, room)
    measured = _measured(plain[crop], aligned)
    if not measured.any():
        _check_washed_out(plain[crop], aligned, LIMITS)
    level = _level(diffuse[measured], plain[crop][measured])
    reflectance_rgb = to_display(diffuse * level)
    if not measured.all():
        hidden = (~measured).astype(np.uint8)
        reflectance_rgb = np.asarray(
            cv2.inpaint(reflectance_rgb, hidden, FILL_RADIUS_PX, flags=cv2.INPAINT_TELEA)
        )
        over = (flash_only - linearise(reflectance_rgb) / level).min(axis=2)
        specular = np.where(measured, specular, np.maximum(over, 0))
    return FlashPair(
        plain_rgb=np.ascontiguousarray(plain_rgb[crop]),
        lit_rgb=to_display(aligned),
        reflectance_rgb=reflectance_rgb,
        specular=specular,
        measured=measured,
        box=box,
        registration=registration,
        gain=gain,
        darker=darker,
    )


def measure_flash(room: np.ndarray, flash: np.ndarray) -> tuple[float, float]:
    """Median of the flash's light over the room's; share of pixels that are darker with the flash.

    Args:
        room, flash: (..., w, 3) float32, linear: the plain photo, and the flash photo less it.
    """
    room_level, flash_level = luminance(room), luminance(flash)
    return float(np.median(flash_level / (room_level + NOISE_LIGHT))), float((flash_level < -DARKER).mean())


def washed_out(linear: np.ndarray) -> float:
    """Share of a photo, (H, W, 3) linear, in which a channel holds nothing more."""
    return float((linear.max(axis=2) >= CLIPPED).mean())


def _level(diffuse: np.ndarray, plain: np.ndarray) -> np.float32:
    """Factor that makes the diffuse light as bright in the median as the plain photo; (n, 3) float32 both."""
    own, wanted = (float(np.median(luminance(light[None]))) for light in (diffuse, plain))
    brightest = float(np.percentile(diffuse.max(axis=1), BRIGHTEST_PERCENTILE))
    return np.float32(min(wanted / max(own, 1e-4), BRIGHTEST / max(brightest, 1e-4)))


def _measured(plain: np.ndarray, aligned: np.ndarray) -> np.ndarray:
    """(h, w) bool: nothing washed out in either photo, nor beside it."""
    clipped = (cv2.max(plain, aligned).max(axis=2) >= CLIPPED).astype(np.uint8)
    return np.asarray(cv2.dilate(clipped, np.ones((2 * RIM_PX + 1,) * 2, np.uint8)) == 0)


def _check_sizes(plain_rgb: np.ndarray, lit_rgb: np.ndarray, limits: Limits) -> None:
    (height, width), (lit_height, lit_width) = plain_rgb.shape[:2], lit_rgb.shape[:2]
    sizes = {"plain": f"{width}x{height}", "lit": f"{lit_width}x{lit_height}"}
    if min(height, width, lit_height, lit_width) < MIN_SIDE_PX:
        raise PhotoError(
            f"The two photos are {sizes['plain']} and {sizes['lit']} pixels; at least {MIN_SIDE_PX} on each side "
            "are needed: use the original photos, not thumbnails.",
            "pair_small",
            **sizes,
            least=MIN_SIDE_PX,
        )
    if abs(np.log(width / height) - np.log(lit_width / lit_height)) > limits.max_aspect_difference:
        raise PhotoError(
            f"The photo is {sizes['plain']} pixels and the one with flash {sizes['lit']}; both must have the same "
            "shape: take both with the same camera, the phone held the same way.",
            "pair_shape",
            **sizes,
        )


def _check_washed_out(plain: np.ndarray, lit: np.ndarray, limits: Limits) -> None:
    share = max(washed_out(plain), washed_out(lit))
    if share > limits.max_washed_out:
        values = {"share": f"{share:.0%}", "limit": f"{limits.max_washed_out:.0%}"}
        raise PhotoError(
            f"{values['share']} of one of the two photos is washed out; at most {values['limit']} may be: hold "
            "the phone a little further away, or take both in less light.",
            "pair_washed_out",
            **values,
        )


def _check_registration(registration: Registration, box: tuple[int, int, int, int], limits: Limits) -> None:
    if registration.agreement < limits.min_agreement:
        values = {
            "agreement": f"{max(0.0, registration.agreement):.2f}",
            "least": f"{limits.min_agreement:.2f}",
        }
        raise PhotoError(
            f"The two photos do not fit on each other (agreement {values['agreement']}; at least "
            f"{values['least']} is needed): take both of the same spot, one right after the other, the phone "
            "held still.",
            "pair_unlike",
            **values,
        )
    scale = max(registration.scale, 1 / registration.scale)
    if (
        registration.overlap < limits.min_overlap
        or abs(registration.turn_deg) > limits.max_turn_deg
        or scale > limits.max_scale
        or min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE_PX // 2
    ):
        values = {"share": f"{registration.overlap:.0%}", "least": f"{limits.min_overlap:.0%}"}
        raise PhotoError(
            f"The phone moved too far between the two photos: {values['share']} of the first is in the second, "
            f"and at least {values['least']} should be, as large and as upright; keep the phone where it is for "
            "both.",
            "pair_moved",
            **values,
        )


def _check_flash(gain: float, darker: float, limits: Limits) -> None:
    if darker > limits.max_darker:
        values = {"share": f"{darker:.0%}", "limit": f"{limits.max_darker:.0%}"}
        raise PhotoError(
            f"{values['share']} of the skin is darker with the flash than without; at most {values['limit']} may "
            "be: give the photo with flash second, and take both with the phone's own camera.",
            "pair_darker",
            **values,
        )
    if gain < limits.min_gain:
        values = {"share": f"{max(0.0, gain):.0%}", "least": f"{limits.min_gain:.0%}"}
        raise PhotoError(
            f"The flash adds {values['share']} to the room's light; at least {values['least']} is needed: switch "
            "the flash on, come closer, or turn down the room's light.",
            "pair_no_flash",
            **values,
        )

"""Random changes to a training photo: parameters drawn first, then applied by a pure function.

params = draw_params(rng, height, width, augmentation, size=224)
image = augment(image_chw, params, size=224)
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

from training.recipe import Augmentation

CROP_TRIES = 10


@dataclass(frozen=True)
class AugmentationParams:
    """What happens to one photo: a crop (pixels), two flips, and a gain a channel (RGB)."""

    top: int
    left: int
    height: int
    width: int
    horizontal_flip: bool
    vertical_flip: bool
    gain: tuple[float, float, float]


def draw_params(
    rng: np.random.Generator, height: int, width: int, augmentation: Augmentation, size: int
) -> AugmentationParams:
    """Draw the changes for a photo of `height` x `width` pixels that becomes a square of `size` pixels.

    The crop takes a share of the photo's area drawn uniformly from [min_area, 1], with a ratio of sides drawn
    log-uniformly (Szegedy et al. 2015); where none fits in ten tries, the largest central square. With scale
    jitter it is the square that becomes `size` pixels when the photo's shorter side becomes the length drawn.
    """
    draw = _draw_crop if augmentation.shorter_side == (0, 0) else partial(_draw_square, size=size)
    top, left, crop_h, crop_w = draw(rng, height, width, augmentation)
    flips = rng.random(2) < 0.5
    common = rng.uniform(-augmentation.brightness, augmentation.brightness)
    single = rng.uniform(-augmentation.colour, augmentation.colour, 3)
    red, green, blue = (1 + common) * (1 + single)
    return AugmentationParams(
        top,
        left,
        crop_h,
        crop_w,
        bool(augmentation.horizontal_flip and flips[0]),
        bool(augmentation.vertical_flip and flips[1]),
        (float(red), float(green), float(blue)),
    )


def augment(image: torch.Tensor, params: AugmentationParams, size: int) -> torch.Tensor:
    """(3, H, W) uint8 RGB to (3, size, size) float32 in [0, 255], cropped, resized (antialiased), flipped."""
    crop = image[:, params.top : params.top + params.height, params.left : params.left + params.width]
    resized = F.resize(crop, [size, size], antialias=True)
    if params.horizontal_flip:
        resized = resized.flip(2)
    if params.vertical_flip:
        resized = resized.flip(1)
    gain = torch.tensor(params.gain, dtype=torch.float32).view(3, 1, 1)
    return (resized.float() * gain).clamp(0, 255)


def _draw_crop(
    rng: np.random.Generator, height: int, width: int, augmentation: Augmentation
) -> tuple[int, int, int, int]:
    for _ in range(CROP_TRIES):
        area = height * width * rng.uniform(augmentation.min_area, 1)
        stretch = math.exp(rng.uniform(-1, 1) * math.log(augmentation.max_stretch))
        crop_h, crop_w = round(math.sqrt(area / stretch)), round(math.sqrt(area * stretch))
        if 0 < crop_h <= height and 0 < crop_w <= width:
            top, left = rng.integers(height - crop_h + 1), rng.integers(width - crop_w + 1)
            return int(top), int(left), crop_h, crop_w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def _draw_square(
    rng: np.random.Generator, height: int, width: int, augmentation: Augmentation, size: int
) -> tuple[int, int, int, int]:
    low, high = augmentation.shorter_side
    side = max(1, round(min(height, width) * size / int(rng.integers(low, high + 1))))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    return int(top), int(left), side, side

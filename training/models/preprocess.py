"""From uint8 photos to the network's input, in torch: evaluation and the exported graph share this function.

    network_input = preprocess(images_uint8, card.preprocessing)

Only plain tensor operations, so that it also runs inside the ONNX graph at any height and width.
"""

import torch
from torch.nn import functional

from training.models.card import CROP_STEPS, Preprocessing


def preprocess(image: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Crop the view box, resize it with antialiasing, scale to [0, 1], normalise.

    Args:
        image: (N, H, W, 3) uint8, RGB.
        preprocessing: the card's.

    Returns:
        (N, 3, S, S) float32, normalised RGB; the resized values are not rounded to whole levels.
    """
    return resize_and_normalise(crop(image, preprocessing), preprocessing)


def crop(image: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """The view box of (N, H, W, 3) photos: `Preprocessing.view_box`, in operations that trace symbolically."""
    height, width = image.shape[1:3]
    side = torch.sym_max(1, torch.sym_min(height, width) * preprocessing.crop_steps // CROP_STEPS)
    y0, x0 = (height - side) // 2, (width - side) // 2
    view = image[:, y0 : y0 + side, x0 : x0 + side]
    for size in view.shape[1:3]:
        torch._check(size > 0)  # Always so; torch.export cannot know it of a slice between two expressions.
    return view


def resize_and_normalise(view: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """(N, side, side, 3) uint8 RGB view boxes to the (N, 3, S, S) float32 network input."""
    size = (preprocessing.input_size, preprocessing.input_size)
    pixels = view.permute(0, 3, 1, 2).to(torch.float32)
    resized = functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)
    # (x / 255 - mean) / std in two passes over the pixels, where three would take 5% of an int8 network's time; on
    # flat pixels, because onnxruntime, which moves an int8 network's channels to the end, would move these too and
    # then take ten times as long.
    mean = torch.tensor([255 * mean for mean in preprocessing.mean], device=view.device).view(1, 3, 1)
    scale = torch.tensor([1 / (255 * std) for std in preprocessing.std], device=view.device).view(1, 3, 1)
    return ((resized.flatten(2) - mean) * scale).unflatten(2, size)

"""Ten-crop testing: what a network says of four corners and the centre of a photo, and of their mirror images.

    lesion, location = score_ten_crops(network, card, [image_rgb], arithmetic)

Source: Krizhevsky et al. 2012, Sec. 4.1, as Liao & Luo 2017 test: the probabilities of the ten are averaged. The
corners are those of the central square whose side is the photo's shorter one; a crop takes `crop_fraction` of it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from tqdm import tqdm

from training.engine import Arithmetic
from training.models.card import ModelCard, Preprocessing
from training.models.networks import LesionNetwork
from training.models.preprocess import resize_and_normalise


def ten_crops(image: torch.Tensor, view: Preprocessing) -> torch.Tensor:
    """A photo, (H, W, 3) uint8 RGB, to (10, 3, S, S) float32, normalised: top left, top right, bottom left, bottom
    right, centre, then the mirror image of each."""
    height, width, _ = image.shape
    shorter = min(height, width)
    x0, y0, x1, _ = view.view_box(height, width)
    side = x1 - x0
    left, top = (width - shorter) // 2, (height - shorter) // 2
    right, bottom = left + shorter - side, top + shorter - side
    corners = [(top, left), (top, right), (bottom, left), (bottom, right), (y0, x0)]
    crops = torch.stack([image[y : y + side, x : x + side] for y, x in corners])
    seen = resize_and_normalise(crops, view)
    return torch.cat([seen, seen.flip(3)])


@torch.inference_mode()
def score_ten_crops(
    network: LesionNetwork,
    card: ModelCard,
    photos: Sequence[np.ndarray],
    arithmetic: Arithmetic,
    *,
    progress: bool = True,
) -> tuple[np.ndarray, np.ndarray | None]:
    """The mean probabilities over the ten crops, in float32, without the card's temperature.

    Args:
        network: in evaluation mode, on `arithmetic.device`.
        photos: each (H, W, 3) uint8 RGB.

    Returns:
        (N, P) float32 lesion and (N, Q) float32 location probabilities, the latter None for one head.
    """
    lesion, location = [], []
    for image_rgb in tqdm(photos, "score ten crops", unit="photo", leave=False, disable=not progress):
        photo = torch.tensor(np.ascontiguousarray(image_rgb), device=arithmetic.device)
        crops = ten_crops(photo, card.preprocessing)
        logits = network(arithmetic.photos(crops))
        stated = logits.lesion.sigmoid() if card.activation == "sigmoid" else logits.lesion.softmax(1)
        lesion.append(stated.mean(0).cpu().numpy())
        if logits.location is not None:
            location.append(logits.location.softmax(1).mean(0).cpu().numpy())
    return np.stack(lesion), np.stack(location) if location else None

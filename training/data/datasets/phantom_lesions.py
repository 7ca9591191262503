"""The ten synthetic lesions.

    canvas = paint(rng, "wheal", skin_melanin=0.8)

Labels and their order: Mishra et al. 2019, Table 1. The pairs that the paper confuses (ulcer and tumour, pigmented
macula and erythema, ulcer and crust, blister and ulcer) share some of their forms here too. Masks: the skin that a
clinician would outline as the lesion; the flush around it stays outside. Torch-free.
"""

from collections.abc import Callable

import cv2
import numpy as np

from training.data.datasets.phantom_canvas import Canvas, noise
from training.data.datasets.phantom_fields import ramp
from training.data.datasets.phantom_lesions_flat import alopecia, erythema, leukoderma, p_macula
from training.data.datasets.phantom_lesions_raised import acne, blister, crust, tumour, ulcer, wheal

PAINTERS: dict[str, Callable[[np.random.Generator, Canvas], None]] = {
    "acne": acne,
    "alopecia": alopecia,
    "blister": blister,
    "crust": crust,
    "erythema": erythema,
    "leukoderma": leukoderma,
    "p_macula": p_macula,
    "tumour": tumour,
    "ulcer": ulcer,
    "wheal": wheal,
}
LABELS: tuple[str, ...] = tuple(PAINTERS)


def paint(rng: np.random.Generator, lesion: str, *, skin_melanin: float, parted: bool = False) -> Canvas:
    """Paint a lesion for skin with that much melanin (phantom_person).

    Args:
        parted: hair is parted over the lesion, to show it.
    """
    canvas = Canvas(skin_melanin)
    PAINTERS[lesion](rng, canvas)
    if parted:
        room = cv2.blur(canvas.mask, (13, 13)) * 2
        open_skin = ramp(cv2.scaleAdd(noise(rng, "fine"), 0.12, room), 0.15, 0.8) * rng.uniform(0.8, 1.0)
        canvas.planes["bald"] = np.maximum(canvas.plane("bald"), open_skin)
    return canvas

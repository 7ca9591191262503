"""Which gamma to suggest for a photo: a brighter one where the light was too low, else none.

    gamma = suggest_gamma(measure_skin(read_scene(image_rgb)))

Its numbers are what clean training photos show. Whether following it helps is measured on other photos by
`benchmarks.correction`. Bright photos are never darkened: what is cut off at white does not come back. The
question is that of Mishra et al. 2019, Sec. 5.3, who chose a gamma by eye. Torch-free.
"""

import math
from dataclasses import dataclass

import numpy as np

from capture_app.balance import to_light
from capture_app.locate import Scene
from capture_app.tone import MAX_GAMMA

CLEAN_LUMA = 112.0
"""Where clean photos begin: 5th percentile, over 486 training photos of PAD-UFES-20, of the skin's median luma."""
DARK_LUMA = 90.0
"""Skin darker than this is brightened, up to `CLEAN_LUMA`. Lighter skin is on every one of those photos."""
ORDINARY_REDNESS = 0.95
"""Stops: 75th percentile, over the same photos, of the skin's redness."""
DARK_SKIN_DARK_LUMA = 40.0
"""As `DARK_LUMA`, for skin that may be dark by nature: below all 12 clean phantom photos of the darkest tone."""
DARK_SKIN_CLEAN_LUMA = 53.0
"""As `CLEAN_LUMA`, of those photos: drawn ones, since PAD-UFES-20 has only 21 of Fitzpatrick 4 to 6."""
STEP = 0.05
BLACK = 1e-3
"""Linear light below which a colour says nothing."""


@dataclass(frozen=True)
class Skin:
    """The tone of the plain skin in view."""

    luma: float
    """Median, 0 to 255."""
    redness: float
    """Stops by which the median red is above the median green, in linear light."""


def measure_skin(scene: Scene) -> Skin:
    """The median tone of the plain skin in view."""
    skin = scene.frame.cells[scene.skin]
    red, green, _ = (max(float(light), BLACK) for light in to_light(np.median(skin, axis=0)))
    return Skin(float(np.median(scene.frame.cell_luma[scene.skin])), math.log2(red / green))


def suggest_gamma(skin: Skin) -> float:
    """Brighten a dark photo up to where clean photos begin; a dark skin is no dark photo.

    Less light leaves the ratio of red to green in linear light as it is; melanin raises it. Skin that is redder
    than on three in four clean photos may be dark by nature, so it is brightened later, and less.

    Returns:
        1.0 for none, or a gamma up to 1.7 in steps of 0.05; larger is brighter.
    """
    ordinary = skin.redness <= ORDINARY_REDNESS
    if skin.luma >= (DARK_LUMA if ordinary else DARK_SKIN_DARK_LUMA):
        return 1.0
    clean = CLEAN_LUMA if ordinary else DARK_SKIN_CLEAN_LUMA
    gamma = math.log(max(skin.luma, 1.0) / 255) / math.log(clean / 255)
    return round(round(min(gamma, MAX_GAMMA) / STEP) * STEP, 2)

"""What is done to a photo's tones before it is read, and what is suggested: gamma and white balance.

    correction = Correction(gamma=1.2)
    classifier.predict([correction.apply(reading.for_model)])

Nothing is applied that was not asked for, and the photo's own pixels are kept. Torch-free.
"""

from dataclasses import dataclass

import numpy as np

from capture_app.balance import Stops, apply_balance, suggest_balance
from capture_app.locate import read_scene
from capture_app.tone import apply_gamma
from capture_app.tone_rule import measure_skin, suggest_gamma
from capture_app.words import Words


@dataclass(frozen=True)
class Correction:
    """Of the tones of a photo; by default none."""

    gamma: float = 1.0
    tint: Stops | None = None
    """Stops by channel of the white balance, None without one."""

    def apply(self, image_rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB to the same, a new array, or the very photo where nothing is corrected."""
        if self.tint is not None:
            image_rgb = apply_balance(image_rgb, self.tint)
        return image_rgb if self.gamma == 1 else apply_gamma(image_rgb, self.gamma)

    def named(self, words: Words) -> str:
        """What is done, for a sentence; empty where nothing is."""
        done = [words("correction.gamma", gamma=f"{self.gamma:.2f}")] if self.gamma != 1 else []
        done += [words("correction.white_balance")] if self.tint is not None else []
        return words("language.list").join(done)


@dataclass(frozen=True)
class Suggestions:
    """What the rules say of one photo."""

    gamma: float
    """1.0 for none."""
    tint: Stops | None
    """None for no white balance."""


def suggest_corrections(image_rgb: np.ndarray) -> Suggestions:
    """Look at a photo, (H, W, 3) uint8 RGB."""
    gamma = suggest_gamma(measure_skin(read_scene(image_rgb)))
    return Suggestions(gamma, suggest_balance(image_rgb))

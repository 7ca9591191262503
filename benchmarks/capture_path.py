"""From a photo's bytes to an answer with its heatmap, stage by stage: the page's way, and what it is held to.

    laps = PAGE_INT8.run(data, classifier)     # milliseconds by stage, in the order of STAGES

The stages are the page's own functions in the page's own order. At full resolution the same functions get the
whole photo: it is decoded once, corrected once, and drawn, encoded and given to the network at its full size.
"""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from capture_app import view
from capture_app.quality import check_photo
from capture_app.reading import decode_capture
from capture_app.tone import apply_gamma
from export.heatmap import heat_scale, render_overlay
from export.runtime import Classifier, Prediction
from training.data.photo import decode_photo

GAMMA, OPACITY = 1.3, 0.55
"""A correction of the paper's size; the page's first setting of the slider."""
NAME = "The photo"

DECODE, CHECKS, PHOTO_OUT = "decode", "checks", "photo to the screen"
GAMMA_STAGE, NETWORK, HEATMAP, HEATMAP_OUT = "gamma", "network", "heatmap", "heatmap to the screen"
STAGES = (DECODE, CHECKS, PHOTO_OUT, GAMMA_STAGE, NETWORK, HEATMAP, HEATMAP_OUT)

Laps = dict[str, float]
"""Milliseconds by stage."""


class Stopwatch:
    """Laps that leave no gap: each runs from the end of the one before."""

    def __init__(self) -> None:
        self.laps: Laps = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = (now - self._last) * 1000
        self._last = now


@dataclass(frozen=True, eq=False)
class Answer:
    """What a way came to."""

    laps: Laps
    prediction: Prediction
    shown: np.ndarray | None
    """(H, W, 3) uint8, RGB: the photo on the screen; None where nothing is shown."""


@dataclass(frozen=True)
class Way:
    """One way from bytes to an answer."""

    name: str
    kind: Literal["page", "full", "floor"]
    precision: Literal["int8", "fp32"]

    def answer(self, data: bytes, classifier: Classifier) -> Answer:
        """Go it once."""
        return _floor(data, classifier) if self.kind == "floor" else _answer(data, classifier, self.kind)

    def run(self, data: bytes, classifier: Classifier) -> Laps:
        """Go it once, for the times alone."""
        return self.answer(data, classifier).laps


PAGE_INT8 = Way("the page, int8", "page", "int8")
PAGE_FP32 = Way("the page, fp32", "page", "fp32")
FULL_FP32 = Way("full resolution, fp32", "full", "fp32")
FLOOR_INT8 = Way("decode + network alone, int8", "floor", "int8")
WAYS = (PAGE_INT8, PAGE_FP32, FULL_FP32, FLOOR_INT8)


def _answer(data: bytes, classifier: Classifier, kind: Literal["page", "full"]) -> Answer:
    watch, card = Stopwatch(), classifier.card
    if kind == "page":
        photo, shown = decode_capture(data, NAME, card)
        for_model = photo.image_rgb
    else:
        for_model = shown = decode_photo(data, name=NAME).image_rgb
    watch.lap(DECODE)
    quality = check_photo(shown)
    watch.lap(CHECKS)
    view.picture(shown, NAME, NAME, quality.lesion)
    watch.lap(PHOTO_OUT)
    corrected = apply_gamma(for_model, GAMMA)
    corrected_shown = apply_gamma(shown, GAMMA) if kind == "page" else corrected
    watch.lap(GAMMA_STAGE)
    (prediction,) = classifier.predict([corrected])
    watch.lap(NETWORK)
    cam = prediction.cam_of(prediction.lesions[0].name)
    view_box = card.preprocessing.view_box(*shown.shape[:2])
    overlay = render_overlay(corrected_shown, cam, view_box, heat_scale(prediction.lesion_cam), OPACITY)
    watch.lap(HEATMAP)
    view.picture(overlay, NAME)
    watch.lap(HEATMAP_OUT)
    return Answer(watch.laps, prediction, shown)


def _floor(data: bytes, classifier: Classifier) -> Answer:
    watch = Stopwatch()
    photo = decode_photo(data, name=NAME, min_side=classifier.card.preprocessing.decode_min_side)
    watch.lap(DECODE)
    (prediction,) = classifier.predict([photo.image_rgb])
    watch.lap(NETWORK)
    return Answer(watch.laps, prediction, None)

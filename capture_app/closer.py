"""The page's section "Look closer": a square of the photo read again, beside the answer, which stays the answer.

    look_closer(reading, classifier, prediction, Correction(), words)

Mishra et al. 2019, Fig. 14, live: the same photo, a nearer view, other probabilities. Torch-free.
"""

import numpy as np
import streamlit as st

from capture_app import view
from capture_app.correction import Correction
from capture_app.crop import crop_input
from capture_app.crop.square import Square, cut, square_about, suggest_square, whole
from capture_app.quality import Quality
from capture_app.reading import Reading
from capture_app.words import Words
from export.runtime import Classifier, Prediction
from training.errors import PhotoError
from training.models.card import Preprocessing

SHOWN_LABELS = 3


def look_closer(
    reading: Reading, classifier: Classifier, prediction: Prediction, correction: Correction, words: Words
) -> None:
    """The suggested square on the photo, to be moved, and the ranked labels before and after.

    Args:
        reading: nothing is shown until it is sharpened: the square is cut from its larger picture.
        prediction: the answer.
        correction: that of the answer.
    """
    if reading.sharper_from is None:
        _look_closer(reading, classifier, prediction, correction, words)


@st.fragment
def _look_closer(
    reading: Reading, classifier: Classifier, prediction: Prediction, correction: Correction, words: Words
) -> None:
    st.html(view.step(4, words("closer.step")))
    image_rgb = correction.apply(reading.shown)
    square, is_suggested = first_square(reading.quality, image_rgb.shape)
    start = "closer.small" if is_suggested else "closer.usual"
    st.html(view.quiet(words.in_a_row(words("closer.meaning"), words(start))))
    try:
        chosen = crop_input(
            view.data_url(image_rgb),
            image_rgb.shape,
            square,
            words.tree["square"],
            key=square_key(words.language),
        )
    except PhotoError as error:
        st.html(view.notice("error", words.of_error(error), words("closer.refused")))
        return
    if chosen.pixels(image_rgb.shape) == whole(image_rgb.shape).pixels(image_rgb.shape):
        st.html(view.quiet(words("closer.not_yet")))
        return
    nearer_rgb = np.ascontiguousarray(cut(image_rgb, chosen))
    nearer = classifier.predict([nearer_rgb])[0]
    preprocessing = classifier.card.preprocessing
    looks = [
        (image_rgb, prediction, words("closer.before_alt"), words("closer.before")),
        (nearer_rgb, nearer, words("closer.after_alt"), words("closer.after")),
    ]
    st.html(
        view.side_by_side(
            [
                f'<div class="dc-look">{view.picture(seen(look_rgb, preprocessing), alt, caption)}'
                f"{view.probability_bars(answer.lesions[:SHOWN_LABELS], words)}</div>"
                for look_rgb, answer, alt, caption in looks
            ]
        )
    )
    st.html(view.quiet(pixels_used(chosen, reading.size_hw, preprocessing, correction, words)))


def square_key(language: str) -> str:
    """Under which the session holds the square of the photo at hand."""
    return f"crop-{st.session_state.get('turn', 0)}-{language}"


def first_square(quality: Quality, size_hw: tuple[int, ...]) -> tuple[Square, bool]:
    """Where the square lies before anybody moves it, and whether it is suggested as a nearer look.

    Args:
        size_hw: of the photo in whose pixels the lesion's box is.
    """
    if quality.lesion is None:
        return whole(size_hw), False
    suggested = suggest_square(quality.lesion, size_hw)
    return suggested or square_about(quality.lesion, size_hw), suggested is not None


def seen(image_rgb: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """The part of what the network is given that it sees, a view."""
    x0, y0, x1, y1 = preprocessing.view_box(*image_rgb.shape[:2])
    return image_rgb[y0:y1, x0:x1]


def pixels_used(
    square: Square,
    size_hw: tuple[int, int],
    preprocessing: Preprocessing,
    correction: Correction,
    words: Words,
) -> str:
    """Which of the photo's own pixels the two looks are of."""
    height, width = size_hw
    side = square.pixels(size_hw)[2]
    x0, _, x1, _ = preprocessing.view_box(side, side)
    done = correction.named(words)
    return words.in_a_row(
        words("closer.pixels", side=x1 - x0, width=width, height=height),
        words("closer.corrected", correction=done) if done else "",
    )

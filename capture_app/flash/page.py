"""The page's section "With the flash": a second photo in a known light, beside the answer, which stays the answer.

    with_flash(reading, classifier, words)

The second photo comes from the camera, which took both, or is added here. Torch-free.
"""

import numpy as np
import streamlit as st

from capture_app import view
from capture_app.flash.exposure import exposure_of
from capture_app.flash.light import to_display
from capture_app.flash.pair import FlashPair, separate_pair
from capture_app.reading import MAX_PHOTO_BYTES, Reading, read_shown
from capture_app.words import Words
from export.runtime import Classifier
from training.errors import PhotoError

SECOND, FOUND = "lit", "flash"
"""Of the session: the camera's photo with flash, until it is looked at; the pair, or why there is none."""
SHOWN_LABELS = 3
SHINE_GAIN = 2
"""By which the shine is brightened for the eye."""


def with_flash(reading: Reading, classifier: Classifier, words: Words) -> None:
    """Ask for a photo of the same spot with flash, and show what the two give.

    Args:
        reading: the plain photo; nothing is shown until it is sharpened.
        classifier: answers on both.
    """
    if reading.sharper_from is None:
        _with_flash(reading, classifier, words)


@st.fragment
def _with_flash(reading: Reading, classifier: Classifier, words: Words) -> None:
    st.html(view.step(5, words("flash.step")))
    if (lit := st.session_state.pop(SECOND, None)) is not None:
        st.session_state[FOUND] = read_second(reading, lit, words("flash.name"))
    found = st.session_state.get(FOUND)
    if isinstance(found, FlashPair):
        show_pair(found, classifier, words)
        st.button(words("flash.again"), on_click=_forget, width="stretch", key="flash_again")
        return
    st.html(view.quiet(words("flash.meaning")))
    if found is not None:
        st.html(view.notice("error", words.of_error(found), words("flash.refused")))
    with st.expander(words("flash.add"), expanded=found is not None):
        st.html(view.quiet(words("flash.how", control=words("flash.both"))))
        st.html(view.upload_button(words))
        key = f"flash-{st.session_state.get('turn', 0)}-{st.session_state.get('flash_turn', 0)}-{words.language}"
        st.file_uploader(
            words("flash.upload_label", limit=MAX_PHOTO_BYTES // 2**20),
            type="image",
            key=key,
            on_change=_take,
            args=(reading, key),
        )


def read_second(reading: Reading, data: bytes, name: str) -> FlashPair | PhotoError:
    """The pair of a photo that was read before and the bytes of one with flash; or why it cannot be used.

    Args:
        name: how messages call the second photo.
    """
    try:
        lit_rgb = read_shown(data, name)
        exposure = exposure_of(data)
        ratio = exposure / reading.exposure if exposure and reading.exposure else 1.0
        return separate_pair(reading.shown, lit_rgb, exposure_ratio=ratio)
    except PhotoError as error:
        return error


def show_pair(pair: FlashPair, classifier: Classifier, words: Words) -> None:
    """The plain photo and the skin under the flash alone, each with its labels; the flash photo and the shine."""
    plain, alone = classifier.predict([pair.plain_rgb, pair.reflectance_rgb])
    looks = [("plain", pair.plain_rgb, plain), ("alone", pair.reflectance_rgb, alone)]
    figures = [
        f'<div class="dc-look">{view.picture(image_rgb, words(f"flash.{name}_alt"), words(f"flash.{name}"))}'
        f"{view.probability_bars(answer.lesions[:SHOWN_LABELS], words)}</div>"
        for name, image_rgb, answer in looks
    ]
    figures += [
        view.picture(pair.lit_rgb, words("flash.lit_alt"), words("flash.lit")),
        view.picture(shine_picture(pair), words("flash.shine_alt"), words("flash.shine")),
    ]
    st.html(view.notice("plain", words("flash.experiment")))
    st.html(view.side_by_side(figures))
    st.html(view.quiet(facts(pair, words)))


def shine_picture(pair: FlashPair) -> np.ndarray:
    """(h, w, 3) uint8, grey: brighter is more."""
    return to_display(np.repeat(SHINE_GAIN * pair.specular[..., None], 3, axis=2))


def facts(pair: FlashPair, words: Words) -> str:
    """What was measured of a pair, in one line for a person."""
    filled = 1 - float(pair.measured.mean())
    return words.in_a_row(
        words(
            "flash.facts",
            gain=f"{pair.gain:.0%}",
            overlap=f"{pair.registration.overlap:.0%}",
            factor=SHINE_GAIN,
        ),
        words("flash.filled", share=view.percent(filled, words)) if filled else "",
    )


def _take(reading: Reading, key: str) -> None:
    file = st.session_state[key]
    if file is not None:
        st.session_state[FOUND] = read_second(reading, file.getvalue(), file.name)
        st.session_state["flash_turn"] = st.session_state.get("flash_turn", 0) + 1


def _forget() -> None:
    st.session_state.pop(FOUND, None)

"""The capture page: photo, checks, answer, for one thumb.

    python -m capture_app models/demo/model.onnx

A Streamlit script; `capture_app.server` wraps it. Photos live in the session's memory only. Torch-free.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import streamlit as st

from capture_app import view
from capture_app.balance import measure_tint
from capture_app.camera import CapturedPair, camera_input
from capture_app.closer import look_closer
from capture_app.compare import (
    Keep,
    arrive_at_answer,
    is_comparing,
    offer_comparison,
    sharpen_second,
    show_comparison,
)
from capture_app.correction import Correction, suggest_corrections
from capture_app.flash.page import FOUND, SECOND, with_flash
from capture_app.offers import offer_corrections
from capture_app.reading import MAX_PHOTO_BYTES, Reading, read_capture_bytes, sharpened
from capture_app.server import served_model
from capture_app.tone import MAX_GAMMA, MIN_GAMMA
from capture_app.words import Words, choose_language, languages, words_in
from export.heatmap import heat_scale, render_overlay
from export.runtime import Classifier, Prediction
from training.errors import ModelFileError, PhotoError
from training.models.card import ModelCard

HERE = Path(__file__).parent
CAMERA, UPLOAD = "camera", "upload"
TOP_LABELS = 5  # Shown at once; the rest one tap away.


def main() -> None:
    st.set_page_config("dermcapture", (HERE / "icon.svg").read_text(encoding="utf-8"), layout="centered")
    reading: Reading | None = st.session_state.get("reading")
    words = words_in(choose_language(st.query_params.get("lang"), st.context.locale))
    st.html(HERE / "style.css")
    offer_languages(words)
    head = view.header(words, short=reading is not None) + view.connection_watch(words)
    st.html(head, unsafe_allow_javascript=True)
    try:
        classifier = served_model()
    except ModelFileError as error:
        st.html(view.notice("error", str(error), words("model.unusable")))
        return
    if classifier.card.synthetic:
        st.html(view.notice("warn", words("model.learned_from_drawings"), words("model.demonstration")))
    if reading is None:
        st.html(view.step(1, words("photo.step")))
        ask_for_photo(classifier.card, words, keep_first, keep_first_pair)
    elif is_comparing():
        show_comparison(reading, classifier, words, ask_for_photo, show_checks)
    else:
        st.html(view.step(2, words("checks.step")))
        show_checks(reading, words)
        if reading.quality.severity != "block" or st.session_state.get("anyway"):
            st.button(words("photo.another"), on_click=forget, width="stretch", key="another")
            show_answer(reading, classifier, words)
        else:
            offer_another(reading, words)
    st.html(view.footer(words))
    with st.expander(words("details.title")):
        st.html(view.details(classifier.card, classifier.model_id, words))
    if reading is not None and reading.sharper_from is not None:  # The answer is on the screen by now.
        st.session_state["reading"] = sharpened(reading)
        st.rerun()
    sharpen_second()


def offer_languages(words: Words) -> None:
    """Each language under its own name; the address keeps the choice, and the session keeps the photo."""
    st.segmented_control(
        words("language.choose"),
        languages(),
        format_func=lambda tag: words_in(tag)("language.name"),
        default=words.language,
        required=True,
        label_visibility="collapsed",
        key="language",
        on_change=keep_language,
    )


def keep_language() -> None:
    st.query_params["lang"] = st.session_state["language"]


def ask_for_photo(
    card: ModelCard, words: Words, keep: Keep, keep_pair: Callable[[Reading, bytes], None] | None = None
) -> None:
    """A photo by the camera or by upload, given to `keep`, which goes on to what comes next.

    Args:
        keep_pair: where it is given the camera can also take a second one with flash, whose bytes it gets.
    """
    with st.container():  # There without an error too: a new uploader takes the last one's place at once.
        if error := st.session_state.get("error"):
            st.html(view.notice("error", words.of_error(error), words("photo.refused")))
    way = st.segmented_control(
        words("photo.way"),
        [CAMERA, UPLOAD],
        format_func=lambda way: words(f"photo.{way}"),
        default=st.session_state.get("last_way", CAMERA),
        required=True,
        label_visibility="collapsed",
        width="stretch",
        key="way",
    )
    st.session_state["last_way"] = way
    turn = st.session_state.setdefault("turn", 0)
    try:
        if way == CAMERA:
            camera_area = st.container()
            pair = keep_pair is not None and st.toggle(words("flash.both"), key="pair")
            with camera_area:
                key = f"camera-{turn}-{words.language}{'-pair' * pair}"
                shot = camera_input(key=key, pair=pair, language=words.language)
            if shot is not None:
                photo = shot.ambient if isinstance(shot, CapturedPair) else shot
                live = photo.findings if photo.by_hand else ()
                reading = read_capture_bytes(photo.jpeg, words("photo.name"), card, live)
                if isinstance(shot, CapturedPair) and keep_pair is not None:
                    keep_pair(reading, shot.flash.jpeg)
                keep(reading)
        else:
            st.html(view.upload_button(words))
            file = st.file_uploader(
                words("photo.upload_label", limit=MAX_PHOTO_BYTES // 2**20),
                type="image",
                key=f"upload-{turn}",
            )
            if file is not None:
                keep(read_capture_bytes(file.getvalue(), file.name, card))
    except PhotoError as error:
        st.session_state["error"] = error
        st.session_state["turn"] += 1
        st.rerun()


def keep_first(reading: Reading) -> None:
    """Hold a photo in the session and go on to its checks."""
    forget()
    st.session_state["reading"] = reading
    st.rerun()


def keep_first_pair(reading: Reading, lit: bytes) -> None:
    """`keep_first`, with the photo with flash for the section that comes after the answer."""
    forget()
    st.session_state["reading"] = reading
    st.session_state[SECOND] = lit
    st.rerun()


def forget() -> None:
    """Drop the photo and everything that was chosen for it."""
    chosen = ("anyway", "gamma", "balance", "suggestions", "label", "opacity", "comparison")
    for key in ("reading", "error", *chosen, SECOND, FOUND):
        st.session_state.pop(key, None)
    st.session_state["turn"] = st.session_state.get("turn", 0) + 1


def show_checks(reading: Reading, words: Words) -> None:
    """The photo, what was found on it, and the three findings."""
    height, width = reading.size_hw
    marks = words("checks.marks") if reading.quality.lesion is not None else ""
    caption = words.in_a_row(words("checks.size", width=width, height=height), marks)
    st.html(view.picture(reading.shown, words("checks.yours"), caption, reading.quality.lesion))
    if live := view.live_faults(reading.live, words):
        st.html(view.notice("plain", live))
    st.html(view.finding_rows(reading.quality.findings, words))
    for note in reading.notes:
        st.html(view.notice("plain", words(f"note.{note.kind}", name=reading.name)))


def offer_another(reading: Reading, words: Words) -> None:
    """Ask for a better photo first; the answer stays one tap away."""
    blocks = [finding for finding in reading.quality.findings if finding.severity == "block"]
    advice = words.in_a_row(*(words.advice(finding.code, finding.towards) for finding in blocks))
    st.html(view.notice("warn", advice, words("checks.better")))
    st.button(words("photo.another"), on_click=forget, width="stretch", key="another", type="primary")
    st.button(
        words("checks.anyway"), on_click=want_anyway, width="stretch", key="show_anyway", type="tertiary"
    )


def want_anyway() -> None:
    st.session_state["anyway"] = True


def show_answer(reading: Reading, classifier: Classifier, words: Words) -> None:
    """Step 3: ranked labels, where the model looked, and the body site."""
    st.html(view.step(3, words("answer.step")))
    arrive_at_answer()
    answer_area = st.container()
    correction = choose_correction(reading, words)
    with answer_area:
        prediction = classifier.predict([correction.apply(reading.for_model)])[0]
        st.html(view.probability_bars(prediction.lesions[:TOP_LABELS], words))
        show_heatmap(correction.apply(reading.shown), prediction, classifier.card, words)
        if prediction.locations:
            st.html(view.body_site(prediction.locations, words))
        done = correction.named(words)
        used = words("answer.pixels_corrected", correction=done) if done else words("answer.pixels_plain")
        own = words("answer.independent") if classifier.card.activation == "sigmoid" else ""
        st.html(view.quiet(words.in_a_row(used, own)))
        if rest := prediction.lesions[TOP_LABELS:]:
            with st.expander(words("answer.less_likely", count=len(rest))):
                st.html(view.probability_bars(rest, words))
    look_closer(reading, classifier, prediction, correction, words)
    with_flash(reading, classifier, words)
    offer_comparison(reading, words)
    st.button(words("photo.another"), on_click=forget, width="stretch", key="another_below")


def show_heatmap(image_rgb: np.ndarray, prediction: Prediction, card: ModelCard, words: Words) -> None:
    """The heatmap of the label that the person taps, over the photo."""
    names = {score.name: score.display for score in prediction.lesions}
    chosen = st.pills(
        words("heatmap.labels"),
        list(names),
        format_func=names.__getitem__,
        default=prediction.lesions[0].name,
        required=True,
        key="label",
    )
    picture_area = st.container()
    opacity = st.slider(words("heatmap.opacity"), 0, 100, 55, 5, format="%d%%", key="opacity")
    view_box = card.preprocessing.view_box(*image_rgb.shape[:2])
    cam = prediction.cam_of(chosen)
    overlay = render_overlay(image_rgb, cam, view_box, heat_scale(prediction.lesion_cam), opacity / 100)
    with picture_area:
        st.html(view.picture(overlay, words("heatmap.picture", label=names[chosen])))
        if cam.max() <= 0:
            st.html(view.notice("plain", words("heatmap.nothing", label=names[chosen])))
        st.html(view.heat_legend(names[chosen], words))


def choose_correction(reading: Reading, words: Words) -> Correction:
    """What is suggested, and the controls by hand, with before and after beside each other."""
    if reading.sharper_from is None:  # The first answer waits for no suggestion.
        if "suggestions" not in st.session_state:
            st.session_state["suggestions"] = suggest_corrections(reading.shown)
        offer_corrections(reading.shown, st.session_state["suggestions"], words)
    with st.expander(words("correction.title")):
        gamma = st.slider(words("correction.slider"), MIN_GAMMA, MAX_GAMMA, 1.0, 0.05, key="gamma")
        st.html(view.gamma_range(words))
        balanced = st.toggle(words("correction.balance"), key="balance")
        correction = Correction(float(gamma), measure_tint(reading.shown) if balanced else None)
        done = correction.named(words)
        after = words("correction.changed", correction=done) if done else words("correction.unchanged")
        before = words("correction.before")
        st.html(
            view.side_by_side(
                [
                    view.picture(reading.shown, before, before),
                    view.picture(correction.apply(reading.shown), words("correction.after"), after),
                ]
            )
        )
        st.html(view.quiet(words("correction.meaning")))
    return correction


if __name__ == "__main__":
    main()

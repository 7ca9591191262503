"""The capture page: photo, checks, answer, for one thumb.

    python -m capture_app models/demo/model.onnx

A Streamlit script; `capture_app.server` wraps it. Photos live in the session's memory only. Torch-free.
"""

from pathlib import Path

import numpy as np
import streamlit as st

from capture_app import view
from capture_app.camera import camera_input
from capture_app.reading import Reading, read_capture_bytes, sharpened
from capture_app.server import served_model
from capture_app.tone import MAX_GAMMA, MIN_GAMMA, apply_gamma
from export.heatmap import heat_scale, render_overlay
from export.runtime import Classifier, Prediction
from training.errors import ModelFileError, PhotoError
from training.models.card import ModelCard

HERE = Path(__file__).parent
CAMERA, UPLOAD = "Camera", "Upload"
TOP_LABELS = 5  # Shown at once; the rest one tap away.


def main() -> None:
    st.set_page_config("dermcapture", (HERE / "icon.svg").read_text(encoding="utf-8"), layout="centered")
    reading: Reading | None = st.session_state.get("reading")
    st.html(HERE / "style.css")
    st.html(HERE / ("header.html" if reading is None else "header_short.html"))
    try:
        classifier = served_model()
    except ModelFileError as error:
        st.html(view.notice("error", str(error), "The model cannot be used"))
        return
    if classifier.card.synthetic:
        st.html(
            view.notice(
                "warn",
                "It learned from drawings, never from skin. What it says about a real photo means nothing.",
                "Demonstration model",
            )
        )
    if reading is None:
        ask_for_photo(classifier.card)
    else:
        show_checks(reading)
        if reading.quality.severity != "block" or st.session_state.get("anyway"):
            st.button("Take another photo", on_click=forget, width="stretch", key="another")
            show_answer(reading, classifier)
        else:
            offer_another(reading)
    st.html(HERE / "footer.html")
    with st.expander("About the model"):
        st.html(view.details(classifier.card, classifier.model_id))
    if reading is not None and reading.sharper_from is not None:  # The answer is on the screen by now.
        st.session_state["reading"] = sharpened(reading)
        st.rerun()


def ask_for_photo(card: ModelCard) -> None:
    """Step 1: a photo by the camera or by upload."""
    st.html(view.step(1, "Photo"))
    if error := st.session_state.get("error"):
        st.html(view.notice("error", error, "That photo could not be used"))
    way = st.segmented_control(
        "How to give a photo",
        [CAMERA, UPLOAD],
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
            photo = camera_input(key=f"camera-{turn}")
            if photo is not None:
                keep(photo.jpeg, "The photo", card)
        else:
            file = st.file_uploader(
                "A photo from this device, at most 20 MB. On a phone this also opens its camera.",
                type="image",
                key=f"upload-{turn}",
            )
            if file is not None:
                keep(file.getvalue(), file.name, card)
    except PhotoError as error:
        st.session_state["error"] = str(error)
        st.session_state["turn"] += 1
        st.rerun()


def keep(data: bytes, name: str, card: ModelCard) -> None:
    """Hold a photo in the session and go on to its checks.

    Raises:
        PhotoError: it cannot be used.
    """
    reading = read_capture_bytes(data, name, card)
    forget()
    st.session_state["reading"] = reading
    st.rerun()


def forget() -> None:
    """Drop the photo and everything that was chosen for it."""
    for key in ("reading", "error", "anyway", "gamma", "label", "opacity"):
        st.session_state.pop(key, None)
    st.session_state["turn"] = st.session_state.get("turn", 0) + 1


def show_checks(reading: Reading) -> None:
    """Step 2: the photo, what was found on it, and the three findings."""
    st.html(view.step(2, "Checks"))
    height, width = reading.size_hw
    caption = f"{width} × {height} pixels. The corners mark what stands out from the skin."
    st.html(view.picture(reading.shown, "Your photo", caption, reading.quality.lesion))
    st.html(view.finding_rows(reading.quality.findings))
    for note in reading.notes:
        st.html(view.notice("plain", note))


def offer_another(reading: Reading) -> None:
    """Ask for a better photo first; the answer stays one tap away."""
    advice = " ".join(finding.advice for finding in reading.quality.findings if finding.severity == "block")
    st.html(view.notice("warn", advice, "A better photo would help"))
    st.button("Take another photo", on_click=forget, width="stretch", key="another", type="primary")
    st.button("Show the answer anyway", on_click=want_anyway, key="show_anyway", type="tertiary")


def want_anyway() -> None:
    st.session_state["anyway"] = True


def show_answer(reading: Reading, classifier: Classifier) -> None:
    """Step 3: ranked labels, where the model looked, and the body site."""
    st.html(view.step(3, "Answer"))
    answer_area = st.container()
    gamma = choose_gamma(reading)
    with answer_area:
        prediction = classifier.predict([apply_gamma(reading.for_model, gamma)])[0]
        st.html(view.probability_bars(prediction.lesions[:TOP_LABELS]))
        show_heatmap(apply_gamma(reading.shown, gamma), prediction, classifier.card)
        if prediction.locations:
            st.html(view.body_site(prediction.locations))
        used = "the photo as it was taken" if gamma == 1 else f"the corrected photo (gamma {gamma:.2f})"
        own = " Each percentage is its label’s own: they need not add up to 100."
        st.html(view.quiet(f"Pixels used: {used}.{own if classifier.card.activation == 'sigmoid' else ''}"))
        if rest := prediction.lesions[TOP_LABELS:]:
            with st.expander(f"{len(rest)} less likely labels"):
                st.html(view.probability_bars(rest))
    st.button("Take another photo", on_click=forget, width="stretch", key="another_below")


def show_heatmap(image_rgb: np.ndarray, prediction: Prediction, card: ModelCard) -> None:
    """The heatmap of the label that the person taps, over the photo."""
    names = {score.name: score.display for score in prediction.lesions}
    chosen = st.pills(
        "Where it looked, by label",
        list(names),
        format_func=names.__getitem__,
        default=prediction.lesions[0].name,
        required=True,
        key="label",
    )
    picture_area = st.container()
    opacity = st.slider("Strength of the colours", 0, 100, 55, 5, format="%d%%", key="opacity")
    view_box = card.preprocessing.view_box(*image_rgb.shape[:2])
    cam = prediction.cam_of(chosen)
    overlay = render_overlay(image_rgb, cam, view_box, heat_scale(prediction.lesion_cam), opacity / 100)
    with picture_area:
        st.html(view.picture(overlay, f"Your photo with the heatmap for {names[chosen]}"))
        if cam.max() <= 0:
            st.html(view.notice("plain", f"Nothing in this photo speaks for {names[chosen].lower()}."))
        st.html(view.heat_legend(names[chosen]))


def choose_gamma(reading: Reading) -> float:
    """The gamma control, with before and after beside each other."""
    with st.expander("Too dark or too pale? Correct the photo"):
        gamma = st.slider(
            "Mid-tones (gamma): right is brighter", MIN_GAMMA, MAX_GAMMA, 1.0, 0.05, key="gamma"
        )
        after = "unchanged" if gamma == 1 else f"gamma {gamma:.2f}, used for the answer"
        st.html(
            view.side_by_side(
                [
                    view.picture(reading.shown, "Before", "Before"),
                    view.picture(apply_gamma(reading.shown, gamma), "After", f"After: {after}"),
                ]
            )
        )
        st.html(
            view.quiet("1.0 leaves the photo as it is. Black and white stay; only the tones between move.")
        )
    return float(gamma)


if __name__ == "__main__":
    main()

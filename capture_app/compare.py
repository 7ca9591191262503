"""The page's section "Two photos side by side": another photo of the same spot, beside the first and its answer.

    offer_comparison(reading, words)  # Below the answer.
    show_comparison(reading, classifier, words, ask_for_photo, show_checks)  # In its place.

Both photos are held in the session's memory only. Neither is lost by an error, by going back, or by asking for
another in its place before that is there. Torch-free.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import streamlit as st

from capture_app import compare_view, view
from capture_app.closer import seen
from capture_app.compare_session import (
    accept,
    ask_for,
    give_up,
    go_back,
    held_comparison,
    hold,
    open_comparison,
    receive,
    remove,
)
from capture_app.comparison import (
    MEASURED_LESIONS,
    MOVED_POINTS,
    OTHER_LABEL,
    PLACES,
    ComparedLabel,
    Comparison,
    Place,
    compared,
    same_picture,
    shared_scale,
)
from capture_app.reading import Reading, sharpened
from capture_app.words import Words
from export.heatmap import render_overlay
from export.runtime import Classifier, Prediction
from training.models.card import ModelCard

Keep = Callable[[Reading], None]
AskForPhoto = Callable[[ModelCard, Words, Keep], None]
ShowChecks = Callable[[Reading, Words], None]

TOP_LABELS = 5  # Shown at once; the rest one tap away.


def offer_comparison(reading: Reading, words: Words) -> None:
    """The way to a comparison, or back to the one that was left; not before the page rests under the finger."""
    if reading.sharper_from is not None:
        return
    held = held_comparison()
    title = words("compare.start") if held.second is None else words("compare.again")
    st.button(
        title,
        on_click=open_comparison,
        args=(words.language,),
        width="stretch",
        key="compare",
        type="tertiary",
    )


def arrive_at_answer() -> None:
    """After a comparison: bring the person back to the answer's heading."""
    if st.session_state.pop("back_from_comparison", False):
        st.html(compare_view.arrival("dc-step-3", to_top=False), unsafe_allow_javascript=True)


def is_comparing() -> bool:
    """Does the comparison stand in the answer's place?"""
    return "comparison" in st.session_state and held_comparison().is_shown


def show_comparison(
    reading: Reading,
    classifier: Classifier,
    words: Words,
    ask_for_photo: AskForPhoto,
    show_checks: ShowChecks,
) -> None:
    """Ask for a photo, judge it, or show both.

    Args:
        reading: the first photo.
        ask_for_photo: the page's step 1: the camera or an upload, and what was wrong with the last one.
        show_checks: the page's step 2.
    """
    held = held_comparison()
    if held.candidate is not None:
        _show_candidate(held.candidate, words, show_checks)
    elif held.asked is not None or held.second is None:
        _ask(reading, held, classifier.card, words, ask_for_photo)
    else:
        _show_both(reading, held.second, classifier, words)


def sharpen_second() -> None:
    """Once the screen is drawn: decode the other photo larger, as the page does with the first, and draw again."""
    held = held_comparison()
    if not is_comparing() or all(
        photo is None or photo.sharper_from is None for photo in (held.second, held.candidate)
    ):
        return
    second = sharpened(held.second) if held.second is not None else None
    candidate = sharpened(held.candidate) if held.candidate is not None else None
    hold(replace(held, second=second, candidate=candidate))
    st.rerun()


def _ask(
    reading: Reading, held: Comparison, card: ModelCard, words: Words, ask_for_photo: AskForPhoto
) -> None:
    """The camera or an upload, beside what is kept."""
    place: Place = held.asked or 2
    is_new = held.second is None
    title = words("compare.ask") if is_new else words("compare.ask_again", place=place)
    st.html(compare_view.heading(title, f"ask-{place}"), unsafe_allow_javascript=True)
    stays = held.second if place == 1 and held.second is not None else reading
    kept = words("compare.kept", place=2 if place == 1 else 1)
    st.html(compare_view.kept_photo(stays, kept, words("compare.alike")))
    ask_for_photo(card, words, receive)
    _back_button(words, is_new=is_new)


def _back_button(words: Words, *, is_new: bool) -> None:
    title = words("compare.back") if is_new else words("compare.back_to_two")
    st.button(
        title, on_click=give_up, args=(words.language,), width="stretch", key="compare_back", type="tertiary"
    )


def _show_candidate(given: Reading, words: Words, show_checks: ShowChecks) -> None:
    """A better photo would help; comparing this one stays one tap away."""
    held = held_comparison()
    place: Place = held.asked or 2
    title = words("compare.given", place=place)
    st.html(compare_view.heading(title, f"given-{place}"), unsafe_allow_javascript=True)
    show_checks(given, words)
    blocks = [finding for finding in given.quality.findings if finding.severity == "block"]
    advice = words.in_a_row(*(words.advice(finding.code, finding.towards) for finding in blocks))
    st.html(view.notice("warn", advice, words("checks.better")))
    again = words("photo.another")
    st.button(again, on_click=ask_for, args=(place,), width="stretch", key="compare_another", type="primary")
    st.button(
        words("compare.anyway"), on_click=accept, width="stretch", key="compare_anyway", type="tertiary"
    )
    _back_button(words, is_new=held.second is None)


def _show_both(first: Reading, second: Reading, classifier: Classifier, words: Words) -> None:
    _leave_button(words, "compare_leave_above", "tertiary")
    st.html(compare_view.heading(words("compare.step"), "both"), unsafe_allow_javascript=True)
    photos, preprocessing = (first, second), classifier.card.preprocessing
    with st.container(key="compare_photos"):
        for place, column, photo in zip(PLACES, st.columns(2), photos, strict=True):
            with column:
                _show_photo(place, seen(photo.shown, preprocessing), photo, words)
    if same_picture(first, second):
        st.html(view.notice("warn", words("compare.same")))
    care = words("compare.care", lesions=MEASURED_LESIONS, points=MOVED_POINTS, others=OTHER_LABEL)
    st.html(view.notice("plain", care, words("compare.care_title")))
    predictions = [classifier.predict([photo.for_model])[0] for photo in photos]
    rows = compared(predictions[0].lesions, predictions[1].lesions)
    at_once = len(rows) if len(rows) <= TOP_LABELS + 1 else TOP_LABELS
    st.html(compare_view.label_table(rows[:at_once], words))
    if rest := rows[at_once:]:
        with st.expander(words("answer.less_likely", count=len(rest))):
            st.html(compare_view.label_table(rest, words))
    own = words("answer.independent") if classifier.card.activation == "sigmoid" else ""
    st.html(view.quiet(words.in_a_row(words("compare.meaning"), _pixels_used(words), own)))
    _show_heatmaps([seen(photo.shown, preprocessing) for photo in photos], predictions, rows, words)
    _leave_button(words, "compare_leave", "secondary")


def _leave_button(words: Words, key: str, kind: Literal["secondary", "tertiary"]) -> None:
    width: Literal["content", "stretch"] = "content" if kind == "tertiary" else "stretch"
    title = words("compare.back")
    st.button(title, on_click=go_back, args=(words.language,), width=width, key=key, type=kind)


def _pixels_used(words: Words) -> str:
    """Both photos are read by one rule: as taken, also where a correction was asked for in the answer."""
    kept = held_comparison().kept
    is_corrected = kept.get("gamma", 1.0) != 1 or bool(kept.get("balance", False))
    return words("compare.set_aside") if is_corrected else words("compare.as_taken")


def _show_photo(place: Place, seen_rgb: np.ndarray, photo: Reading, words: Words) -> None:
    caption = words("compare.photo", place=place)
    st.html(
        f'<div class="dc-look">{view.picture(seen_rgb, words("compare.alt", place=place), caption)}</div>'
    )
    st.html(compare_view.faults(photo, words))
    for note in photo.notes:
        st.html(view.quiet(words(f"note.{note.kind}", name=photo.name)))
    with st.container(key=f"compare_change_{place}"):
        title = words("compare.replace", place=place)
        st.button(title, on_click=ask_for, args=(place,), width="stretch", key=f"compare_replace_{place}")
        st.button(
            words("compare.remove", place=place),
            on_click=remove,
            args=(place, words.language),
            width="stretch",
            key=f"compare_remove_{place}",
            type="tertiary",
        )


@st.fragment
def _show_heatmaps(
    photos_rgb: list[np.ndarray], predictions: list[Prediction], rows: tuple[ComparedLabel, ...], words: Words
) -> None:
    """The heatmap of the tapped label on both, on one scale for both."""
    names = {row.name: row.display for row in rows}
    chosen = st.pills(
        words("heatmap.labels"),
        list(names),
        format_func=names.__getitem__,
        default=rows[0].name,
        required=True,
        key="compare_label",
    )
    pictures = st.container()
    opacity = st.slider(words("heatmap.opacity"), 0, 100, 55, 5, format="%d%%", key="compare_opacity")
    scale = shared_scale(predictions)
    figures, silent = [], []
    for place, photo_rgb, prediction in zip(PLACES, photos_rgb, predictions, strict=True):
        cam, (height, width) = prediction.cam_of(chosen), photo_rgb.shape[:2]
        overlay = render_overlay(photo_rgb, cam, (0, 0, width, height), scale, opacity / 100)
        alt = words("compare.heatmap", place=place, label=names[chosen])
        figure = view.picture(overlay, alt, words("compare.photo", place=place))
        figures.append(f'<div class="dc-look">{figure}</div>')
        if cam.max() <= 0:
            silent.append(words("compare.nothing", place=place, label=names[chosen]))
    with pictures:
        st.html(view.side_by_side(figures))
        if silent:
            st.html(view.notice("plain", words.in_a_row(*silent)))
        st.html(view.heat_legend(names[chosen], words, most="compare.most", meaning="compare.evidence"))

"""The page's offers: a correction that is suggested, shown before it is used, and the way back.

    offer_corrections(reading.shown, suggestions, words)

A tap sets the control by hand (`gamma` or `balance` in the session), so that there is one place that says what is
applied. Torch-free.
"""

import numpy as np
import streamlit as st

from capture_app import view
from capture_app.correction import Correction, Suggestions
from capture_app.words import Words


def offer_corrections(image_rgb: np.ndarray, suggestions: Suggestions, words: Words) -> None:
    """One offer for each correction that is suggested.

    Args:
        image_rgb: (H, W, 3) uint8, RGB: the photo as taken.
        suggestions: for that photo.
    """
    gamma = suggestions.gamma
    if gamma != 1:
        amount = f"{gamma:.2f}"
        if st.session_state.get("gamma", 1.0) == gamma:
            st.html(view.notice("plain", words("offer.dark_used", gamma=amount)))
            _button(words("offer.back"), "gamma_back", "gamma", 1.0)
        else:
            after = words("offer.brightened_alt"), words("offer.brightened", gamma=amount)
            _offer(words("offer.dark"), words("offer.dark_title"), image_rgb, Correction(gamma), after, words)
            _button(words("offer.use_gamma", gamma=amount), "gamma_use", "gamma", gamma)
    if suggestions.tint is not None:
        if st.session_state.get("balance", False):
            st.html(view.notice("plain", words("offer.tinted_used")))
            _button(words("offer.back_from_balance"), "balance_back", "balance", False)
        else:
            balance = Correction(tint=suggestions.tint)
            after = words("offer.balanced_alt"), words("offer.balanced")
            _offer(words("offer.tinted"), words("offer.tinted_title"), image_rgb, balance, after, words)
            _button(words("offer.use_balance"), "balance_use", "balance", True)


def _offer(
    text: str, title: str, before_rgb: np.ndarray, offered: Correction, after: tuple[str, str], words: Words
) -> None:
    st.html(view.notice("plain", text, title))
    before = view.picture(before_rgb, words("offer.as_taken_alt"), words("offer.as_taken"))
    st.html(view.side_by_side([before, view.picture(offered.apply(before_rgb), *after)]))


def _button(label: str, key: str, control: str, value: float | bool) -> None:
    st.button(label, on_click=_set, args=(control, value), width="stretch", key=key)


def _set(control: str, value: float | bool) -> None:
    st.session_state[control] = value

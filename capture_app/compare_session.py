"""What a tap does to the session's two photos: the callbacks of the comparison's buttons.

    st.button("Replace", on_click=ask_for, args=(2,))

`comparison.py` says what a comparison is, `compare.py` shows it. Torch-free.
"""

from dataclasses import replace

import streamlit as st

from capture_app.closer import square_key
from capture_app.comparison import Comparison, Place, placed
from capture_app.flash.page import FOUND, SECOND
from capture_app.reading import Reading

CHOSEN = ("gamma", "balance", "label", "opacity", "suggestions")
"""What the session holds for the first photo's answer, beside the square of its closer look."""
SQUARE = "square"


def held_comparison() -> Comparison:
    found: Comparison = st.session_state.get("comparison") or Comparison()
    return found


def hold(comparison: Comparison) -> None:
    st.session_state["comparison"] = comparison


def open_comparison(language: str) -> None:
    """Widgets that a run does not show are forgotten, so what was chosen for the answer is kept apart."""
    keys = {key: key for key in CHOSEN} | {SQUARE: square_key(language)}
    kept = {name: st.session_state[key] for name, key in keys.items() if key in st.session_state}
    held = replace(held_comparison(), is_shown=True, kept=kept)
    hold(held if held.second is not None else held.asking_for(2))
    _new_turn()


def leave(held: Comparison, language: str) -> None:
    """Back to the first photo's answer, as it was left; the second photo is held for coming back."""
    for name, value in held.kept.items():
        st.session_state[square_key(language) if name == SQUARE else name] = value
    st.session_state.pop("error", None)
    st.session_state["back_from_comparison"] = True
    hold(replace(held, asked=None, candidate=None, is_shown=False))


def go_back(language: str) -> None:
    leave(held_comparison(), language)


def give_up(language: str) -> None:
    """Ask for nothing more: back to where the question was put."""
    st.session_state.pop("error", None)
    held = held_comparison().given_up()
    if held.is_shown:
        hold(held)
    else:
        leave(held, language)


def ask_for(place: Place) -> None:
    st.session_state.pop("error", None)
    hold(held_comparison().asking_for(place))
    _new_turn()


def receive(given: Reading) -> None:
    """The photo that was asked for; one with a fault that stops is judged first, as the first photo was."""
    st.session_state.pop("error", None)
    _new_turn()
    if given.quality.severity == "block":
        hold(replace(held_comparison(), candidate=given))
    else:
        _place(given)
    st.rerun()


def accept() -> None:
    if (candidate := held_comparison().candidate) is not None:
        _place(candidate)


def _place(given: Reading) -> None:
    before = st.session_state["reading"]
    first, held = placed(before, held_comparison(), given)
    if first is not before:
        _begin_with(first)
    hold(held)


def remove(place: Place, language: str) -> None:
    """The photo that is left is the only one, and its answer is shown."""
    held = held_comparison()
    if place == 1 and held.second is not None:
        _begin_with(held.second)
        leave(Comparison(), language)
    else:
        leave(replace(held, second=None), language)


def _begin_with(first: Reading) -> None:
    """Another photo is the first one: what was chosen for the one before does not hold for it."""
    for key in (*CHOSEN, SECOND, FOUND):
        st.session_state.pop(key, None)
    st.session_state["reading"] = first
    st.session_state["anyway"] = True  # Its answer has been on the screen, or is about to be.
    _new_turn()


def _new_turn() -> None:
    """Another camera, another upload, another square."""
    st.session_state["turn"] = st.session_state.get("turn", 0) + 1

"""A square on the photo, moved and sized with a finger, a mouse or the keyboard, as a Streamlit component.

    chosen = crop_input(view.data_url(image_rgb), image_rgb.shape, suggested, words.tree["square"], key="crop")

crop.js is the whole component: one ES module, mounted by Streamlit without an iframe; nothing is built. Which
square to suggest, and where it lies in a photo, is `square.py`. Torch-free.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture_app.crop.square import Square, clamped, smallest_side
from training.errors import PhotoError

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).parent


def crop_input(
    picture_url: str, size_hw: tuple[int, ...], suggested: Square, words: Mapping[str, str], *, key: str
) -> Square:
    """Show the square on the photo, at first where it is suggested.

    Args:
        picture_url: the photo, as a data URL.
        size_hw: of the photo as it will be cut, pixels.
        words: everything that the component says; the page's catalogue has them under `square`.
        key: names this square among the page's widgets; another photo needs another.

    Returns:
        The square as the person left it.

    Raises:
        PhotoError: what the browser sent is no square.
    """
    import streamlit as st

    sent = st.session_state.get(key, {}).get("square")
    square = suggested if sent is None else read_square(sent, size_hw)
    height, width = size_hw[:2]
    data = {
        "image": picture_url,
        "width": width,
        "height": height,
        "square": asdict(square),
        "suggested": asdict(suggested),
        "smallest": smallest_side(size_hw),
        "words": words,
    }
    sent = _component()(key=key, data=data, on_square_change=_nothing).get("square")
    return square if sent is None else read_square(sent, size_hw)


def read_square(sent: Any, size_hw: tuple[int, ...]) -> Square:
    """What the browser sends, checked and put inside the photo: `x`, `y` and `side`.

    Raises:
        PhotoError: a part is missing or is no number.
    """
    try:
        if not isinstance(sent, Mapping):
            raise TypeError("not a mapping")
        x, y, side = (_number(sent[name]) for name in ("x", "y", "side"))
        return clamped(x, y, side, size_hw)
    except (KeyError, TypeError, ValueError) as error:
        raise PhotoError(
            f"The square arrived incomplete ({error}); move it again.", "square_incomplete", reason=error
        ) from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{str(value)[:40]!r} is no number")
    return float(value)


def _nothing() -> None:
    """Streamlit keeps only the state that has a callback."""


@cache
def _component() -> "ComponentRenderer":
    import streamlit as st

    return st.components.v2.component(
        "dermcapture_crop",
        html=(HERE / "crop.html").read_text(encoding="utf-8"),
        css=(HERE / "crop.css").read_text(encoding="utf-8"),
        js=(HERE / "crop.js").read_text(encoding="utf-8"),
    )

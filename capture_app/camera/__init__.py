"""The camera, in the phone's browser: a viewfinder with a reticle, and the full frame as a photo.

    photo = camera_input(key="camera")

`camera.js` is a plain ES module, mounted by Streamlit without an iframe; nothing is built. Torch-free.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import PhotoError

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).parent


@dataclass(frozen=True)
class CapturedPhoto:
    """A frame as the camera gave it."""

    jpeg: bytes
    width: int
    """Pixels."""
    height: int
    """Pixels."""


def camera_input(key: str) -> CapturedPhoto | None:
    """Show the camera in a Streamlit page.

    Args:
        key: names this camera among the page's widgets.

    Returns:
        The photo, once, in the run that the shutter causes; None in every other.

    Raises:
        PhotoError: what the browser sent is not a photo.
    """
    sent = _component()(key=key, on_photo_change=lambda: None).get("photo")
    return None if sent is None else read_capture(sent)


def read_capture(sent: Any) -> CapturedPhoto:
    """What `camera.js` sends, checked: `jpeg` in base64, `width` and `height`.

    Raises:
        PhotoError: a part is missing or of another kind.
    """
    try:
        if not isinstance(sent, Mapping):
            raise TypeError("not a mapping")
        jpeg = base64.b64decode(sent["jpeg"], validate=True)
        return CapturedPhoto(jpeg, int(sent["width"]), int(sent["height"]))
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise PhotoError(
            f"The camera's photo arrived incomplete ({error}); take it again, or use the upload."
        ) from error


@cache
def _component() -> "ComponentRenderer":
    import streamlit as st

    return st.components.v2.component(
        "dermcapture_camera",
        html=(HERE / "camera.html").read_text(encoding="utf-8"),
        css=(HERE / "camera.css").read_text(encoding="utf-8"),
        js=(HERE / "camera.js").read_text(encoding="utf-8"),
    )

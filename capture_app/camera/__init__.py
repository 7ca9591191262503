"""The camera, in the phone's browser: it looks with the person, says what would help, and fires when it is good.

    photo = camera_input(key="camera")

`camera.js` is a plain ES module, mounted by Streamlit without an iframe; its neighbours come by `files.py`;
nothing is built but the kernel, whose binaries are committed (`build_kernel.py`). Torch-free.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture_app.quality import Severity
from capture_app.words import FALLBACK, Words, words_in
from training.errors import PhotoError

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).parent
LIMITS = HERE.parent / "limits.json"
SEVERITIES = ("ok", "advise", "block")
CODE = re.compile(r"[a-z_]{1,40}")
MAX_FINDINGS = 64


@dataclass(frozen=True)
class LiveFinding:
    """What a check said of the picture in the viewfinder."""

    code: str
    """A key of limits.json, or the check's name when all is well."""
    severity: Severity
    measure: float
    """In the unit of limits.json."""


@dataclass(frozen=True)
class CapturedPhoto:
    """A photo as the camera gave it."""

    jpeg: bytes
    width: int
    """Pixels, upright."""
    height: int
    """Pixels, upright."""
    findings: tuple[LiveFinding, ...] = ()
    """Of the moment at which the shutter fired; empty where the browser could not check."""
    by_hand: bool = True
    """A person pressed the shutter; False where it fired by itself."""


@dataclass(frozen=True)
class CapturedPair:
    """Two photos of the same view, one after the other."""

    ambient: CapturedPhoto
    """In the light that is there."""
    flash: CapturedPhoto
    """With the phone's torch added."""


def camera_input(
    key: str, *, pair: bool = False, language: str = FALLBACK
) -> CapturedPhoto | CapturedPair | None:
    """Show the camera in a Streamlit page.

    Args:
        key: names this camera among the page's widgets; another one for another language.
        pair: offer to take each photo with and without flash.
        language: one of `capture_app.words.languages()`.

    Returns:
        The photo or the pair, once, in the run that the shutter causes; None in every other.

    Raises:
        PhotoError: what the browser sent is not a photo.
    """
    data = {
        "words": camera_words(words_in(language)),
        "table": json.loads(LIMITS.read_text(encoding="utf-8")),
        "pair": pair,
    }
    result = _component()(key=key, data=data, on_photo_change=_nothing, on_pair_change=_nothing)
    if (sent := result.get("photo")) is not None:
        return read_capture(sent)
    if pair and (sent := result.get("pair")) is not None:
        return read_pair(sent)
    return None


def camera_words(words: Words) -> dict[str, Any]:
    """What the camera says, as its modules take it: its own words, and the checks' advice."""
    return {**words.tree["camera"], "advice": words.tree["advice"]}


def read_capture(sent: Any) -> CapturedPhoto:
    """What the viewfinder sends, checked: `jpeg` in base64, `width`, `height`, `findings` and `by_hand`.

    Raises:
        PhotoError: a part is missing or of another kind.
    """
    try:
        if not isinstance(sent, Mapping):
            raise TypeError("not a mapping")
        jpeg = base64.b64decode(sent["jpeg"], validate=True)
        width, height = int(sent["width"]), int(sent["height"])
        if min(width, height) < 1:
            raise ValueError(f"{width} x {height} pixels")
        return CapturedPhoto(
            jpeg, width, height, _read_findings(sent["findings"]), _read_flag(sent["by_hand"])
        )
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise PhotoError(
            f"The camera's photo arrived incomplete ({error}); take it again, or use the upload.",
            "incomplete",
            reason=error,
        ) from error


def read_pair(sent: Any) -> CapturedPair:
    """What the viewfinder sends of a pair, checked: `ambient` and `flash`, each as `read_capture` has it.

    Raises:
        PhotoError: a part is missing or of another kind.
    """
    if not isinstance(sent, Mapping) or not {"ambient", "flash"} <= sent.keys():
        raise PhotoError(
            "The camera's two photos arrived incomplete; take them again, or use the upload.",
            "pair_incomplete",
        )
    return CapturedPair(read_capture(sent["ambient"]), read_capture(sent["flash"]))


def _read_findings(sent: Any) -> tuple[LiveFinding, ...]:
    if not isinstance(sent, Sequence) or isinstance(sent, str) or len(sent) > MAX_FINDINGS:
        raise TypeError(f"findings are not a list of at most {MAX_FINDINGS}")
    return tuple(_read_finding(one) for one in sent)


def _read_finding(sent: Any) -> LiveFinding:
    if not isinstance(sent, Mapping):
        raise TypeError("a finding is not a mapping")
    code, severity, measure = sent["code"], sent["severity"], float(sent["measure"])
    if not isinstance(code, str) or not CODE.fullmatch(code):
        raise ValueError(f"finding {str(code)[:40]!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity {str(severity)[:40]!r}")
    if not math.isfinite(measure):
        raise ValueError(f"measure {measure}")
    return LiveFinding(code, severity, measure)


def _read_flag(sent: Any) -> bool:
    if not isinstance(sent, bool):
        raise TypeError("by_hand is neither true nor false")
    return sent


def _nothing() -> None:
    """Streamlit delivers only the triggers that have a callback."""


@cache
def _component() -> "ComponentRenderer":
    import streamlit as st

    return st.components.v2.component(
        "dermcapture_camera",
        html=(HERE / "camera.html").read_text(encoding="utf-8"),
        css=(HERE / "camera.css").read_text(encoding="utf-8"),
        js=(HERE / "camera.js").read_text(encoding="utf-8"),
    )

"""What the viewfinder sends, read in Python: nothing is believed before it is checked."""

import base64

import pytest

from capture_app.camera import (
    CapturedPhoto,
    LiveFinding,
    read_capture,
    read_pair,
)
from training.errors import PhotoError

FINDING = {"code": "too_dark", "severity": "block", "measure": 41}
SENT = {
    "jpeg": base64.b64encode(b"bytes").decode(),
    "width": 4,
    "height": 3,
    "findings": [FINDING],
    "by_hand": True,
}


def test_a_capture_comes_with_its_findings():
    finding = LiveFinding("too_dark", "block", 41.0)
    assert read_capture(SENT) == CapturedPhoto(b"bytes", 4, 3, (finding,), by_hand=True)
    assert read_capture({**SENT, "findings": []}).findings == ()


@pytest.mark.parametrize("part", sorted(SENT))
def test_a_capture_that_lacks_a_part_is_refused(part):
    with pytest.raises(PhotoError, match="incomplete"):
        read_capture({name: value for name, value in SENT.items() if name != part})


@pytest.mark.parametrize(
    "wrong",
    [
        {"jpeg": "no base64!"},
        {"jpeg": 7},
        {"jpeg": None},
        {"width": "wide"},
        {"width": 0},
        {"height": -3},
        {"height": float("inf")},
        {"by_hand": 1},
        {"by_hand": "true"},
        {"findings": None},
        {"findings": "too_dark"},
        {"findings": {"code": "too_dark"}},
        {"findings": [None]},
        {"findings": [FINDING] * 65},
        {"findings": [{"code": "too_dark", "severity": "block"}]},
        {"findings": [{**FINDING, "code": "<script>"}]},
        {"findings": [{**FINDING, "code": 7}]},
        {"findings": [{**FINDING, "code": "a" * 41}]},
        {"findings": [{**FINDING, "severity": "fatal"}]},
        {"findings": [{**FINDING, "severity": ["ok"]}]},
        {"findings": [{**FINDING, "measure": "much"}]},
        {"findings": [{**FINDING, "measure": None}]},
        {"findings": [{**FINDING, "measure": float("nan")}]},
    ],
)
def test_a_capture_with_a_part_of_another_kind_is_refused(wrong):
    with pytest.raises(PhotoError, match="take it again, or use the upload"):
        read_capture({**SENT, **wrong})


@pytest.mark.parametrize("sent", [None, 3, [], "photo"])
def test_what_is_no_mapping_is_refused(sent):
    with pytest.raises(PhotoError):
        read_capture(sent)
    with pytest.raises(PhotoError):
        read_pair(sent)


def test_a_pair_is_two_captures_or_refused():
    pair = read_pair({"ambient": SENT, "flash": {**SENT, "by_hand": False}})
    assert (pair.ambient.by_hand, pair.flash.by_hand) == (True, False)
    with pytest.raises(PhotoError):
        read_pair({"ambient": SENT})
    with pytest.raises(PhotoError):
        read_pair({"ambient": SENT, "flash": {}})

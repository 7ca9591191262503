"""What the page shows and keeps, without a browser: readings, pieces of HTML, the script, the server's start."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture_app import view
from capture_app.__main__ import bind
from capture_app.balance import apply_balance
from capture_app.camera import LiveFinding
from capture_app.reading import (
    MAX_PHOTO_BYTES,
    SHOWN_MAX_SIDE,
    SHOWN_MIN_SIDE,
    read_capture_bytes,
    sharpened,
)
from capture_app.server import MODEL_VARIABLE, create_app, served_model
from capture_app.words import words_in
from export.runtime import Classifier, Score
from tests.capture_app.harness import ROOT, encode_jpeg, lesion_jpeg
from tests.tiny_model import tiny_card
from training.data.datasets.phantom_capture import Capture
from training.data.photo import decode_photo
from training.errors import ModelFileError, PhotoError, UserError

PAGE = ROOT / "capture_app" / "page.py"
EN = words_in("en")


def test_the_model_sees_the_photo_as_the_command_line_does():
    data, card = lesion_jpeg(size=900), tiny_card()
    reading = read_capture_bytes(data, "lesion.jpg", card)
    expected = decode_photo(data, min_side=card.preprocessing.decode_min_side).image_rgb
    assert np.array_equal(reading.for_model, expected)
    assert reading.size_hw == (900, 900)
    assert max(reading.shown.shape[:2]) <= SHOWN_MAX_SIDE


def test_a_large_photo_is_decoded_once_before_the_answer_and_shown_sharp_behind_it():
    data, card = lesion_jpeg(size=2048), tiny_card()
    reading = read_capture_bytes(data, "lesion.jpg", card)
    assert reading.shown.shape == (256, 256, 3)
    assert reading.sharper_from == data
    sharp = sharpened(reading)
    assert np.array_equal(sharp.shown, decode_photo(data, min_side=SHOWN_MIN_SIDE).image_rgb)
    assert np.array_equal(sharp.for_model, reading.for_model)
    assert sharp.quality.findings == reading.quality.findings
    before, after = reading.quality.lesion, sharp.quality.lesion
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(np.array(after.box) / 512, np.array(before.box) / 256)
    assert sharp.sharper_from is None
    assert sharpened(sharp) is sharp


@pytest.mark.parametrize("size", [200, 300, 520])
def test_a_photo_that_is_shown_whole_holds_no_bytes_back(size):
    reading = read_capture_bytes(lesion_jpeg(size=size), "lesion.jpg", tiny_card())
    assert reading.shown.shape[:2] == ((size, size) if size < 512 else (260, 260))
    assert (reading.sharper_from is None) == (size < 512)


def test_a_long_photo_is_shown_small_and_checked():
    stripe = np.full((64, 1500, 3), 150, np.uint8)
    reading = read_capture_bytes(encode_jpeg(stripe), "s.jpg", tiny_card())
    assert max(reading.shown.shape) <= SHOWN_MAX_SIDE
    assert reading.sharper_from is None


def test_too_many_bytes_are_refused_before_anything_is_decoded():
    with pytest.raises(PhotoError, match=r"huge\.jpg has 21 MB; at most 20 MB"):
        read_capture_bytes(bytes(MAX_PHOTO_BYTES + 2**20), "huge.jpg", tiny_card())


def test_every_text_from_outside_is_escaped():
    evil = "<script>alert(1)</script>"
    pieces = [
        view.notice("plain", evil, evil),
        view.step(1, evil),
        view.quiet(evil),
        view.probability_bars([Score("x", evil, 0.5)], EN),
        view.body_site([Score("x", evil, 0.5), Score("y", evil, 0.25)], EN),
        view.heat_legend(evil, EN),
        view.picture(np.zeros((8, 8, 3), np.uint8), evil, evil),
    ]
    assert not any("<script" in piece for piece in pieces)


@pytest.mark.parametrize(
    ("probability", "words"), [(0, "0%"), (0.004, "under 1%"), (0.5, "50%"), (0.996, "over 99%"), (1, "100%")]
)
def test_percentages_never_round_to_a_certainty(probability, words):
    assert view.percent(probability, EN) == words


def test_the_details_give_metrics_with_their_intervals():
    card = tiny_card()
    card.metrics.update({"accuracy": 0.714, "accuracy_interval": [0.66, 0.75], "photos": 300, "recall": {}})
    assert view.metric_rows(card, EN) == [("Accuracy", "71% (95% interval 66 to 75%)")]


def test_the_page_starts_with_its_words_and_without_an_answer(tiny_model, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.session_state["last_way"] = "upload"
    page.run()
    assert not page.exception
    shown = " ".join(html.proto.body for html in page.get("html"))
    assert "not a diagnosis" in shown
    assert "learned from drawings" in shown
    assert '<ol class="dc-bars">' not in shown


def test_an_error_moves_nothing_on_the_page(tiny_model, monkeypatch):
    """A new uploader in another place stood beside the last one for a while, which took the next file."""
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.session_state["last_way"] = "upload"
    page.run()
    places = {place: child.type for place, child in page.main.children.items()}
    assert "file_uploader" in places.values()
    page.session_state["error"] = PhotoError("notes.jpg is not a photo.")
    page.run()
    assert "notes.jpg is not a photo." in html_of(page)
    shown = {place: child.type for place, child in page.main.children.items()}
    assert shown.keys() == places.keys()
    assert [place for place in places if shown[place] == "file_uploader"] == [
        place for place in places if places[place] == "file_uploader"
    ]


def test_a_page_without_a_model_says_how_to_name_one(monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.delenv(MODEL_VARIABLE, raising=False)
    page = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not page.exception
    assert any("python -m capture_app MODEL" in html.proto.body for html in page.get("html"))


def test_the_page_answers_for_a_photo_in_its_session(tiny_model, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model))
    classifier = Classifier(tiny_model)
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    reading = read_capture_bytes(lesion_jpeg(size=1200), "lesion.jpg", classifier.card)
    page.session_state["reading"] = reading
    page.session_state["anyway"] = True
    page.run()
    assert not page.exception
    assert page.session_state["reading"].sharper_from is None
    assert page.session_state["reading"].shown.shape[0] > reading.shown.shape[0]
    best = classifier.predict([reading.for_model])[0].lesions[0]
    bars = next(html.proto.body for html in page.get("html") if '<ol class="dc-bars">' in html.proto.body)
    assert f"<span>{best.display}</span><b>{view.percent(best.probability, EN)}</b>" in bars
    assert any("need not add up to 100" in html.proto.body for html in page.get("html"))


def html_of(page: Any) -> str:
    return " ".join(html.proto.body for html in page.get("html"))


def test_the_page_speaks_the_address_s_language_and_a_switch_keeps_the_photo(tiny_model, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.query_params["lang"] = "ja"
    reading = read_capture_bytes(lesion_jpeg(size=300), "lesion.jpg", tiny_card())
    page.session_state["reading"] = reading
    page.session_state["anyway"] = True
    page.run()
    assert not page.exception
    assert "診断ではありません" in html_of(page)
    assert 'documentElement.lang = "ja"' in html_of(page)
    (switch,) = (group for group in page.get("button_group") if group.key == "language")
    switch.set_value("en").run()
    assert not page.exception
    assert page.query_params["lang"] == "en"
    assert page.session_state["reading"] is reading
    assert "not a diagnosis" in html_of(page)
    assert "診断" not in html_of(page)


LIVE = (
    LiveFinding("blurred", "advise", 0.1),
    LiveFinding("illumination", "ok", 0.2),
    LiveFinding("too_dark", "block", 9.0),
    LiveFinding("a_code_of_tomorrow", "block", 1.0),
)


def test_what_the_camera_still_advised_is_said_with_the_photo_the_worst_first():
    assert view.live_faults(LIVE, EN) == (
        "You took this photo although the camera still had advice: too dark, blurred."
    )
    assert view.live_faults(LIVE, words_in("ja")).count("、") == 1
    assert view.live_faults(LIVE[1:2], EN) == view.live_faults((), EN) == ""


def test_the_live_findings_stay_with_the_photo_when_it_becomes_sharper(tiny_model, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.session_state["reading"] = read_capture_bytes(lesion_jpeg(size=1200), "x.jpg", tiny_card(), LIVE)
    page.session_state["anyway"] = True
    page.run()
    assert page.session_state["reading"].sharper_from is None
    assert page.session_state["reading"].live == LIVE
    assert "although the camera still had advice: too dark, blurred." in html_of(page)


def test_a_dark_photo_is_offered_a_gamma_that_is_used_only_when_asked_for(tiny_model, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    dark = lesion_jpeg(size=400, capture=Capture(ev=-3.0))
    page.session_state["reading"] = read_capture_bytes(dark, "dark.jpg", Classifier(tiny_model).card)
    page.session_state["anyway"] = True
    page.run()
    shown = html_of(page)
    assert "Pixels used: the photo as it was taken" in shown
    button = page.button(key="gamma_use")
    gamma = page.session_state["suggestions"].gamma
    assert f"gamma {gamma:.2f}" in button.label
    button.click().run()
    shown = html_of(page)
    assert f"Pixels used: the corrected photo (gamma {gamma:.2f})" in shown
    page.button(key="gamma_back").click().run()
    shown = html_of(page)
    assert "Pixels used: the photo as it was taken" in shown


def test_a_tinted_photo_is_offered_a_white_balance_that_is_used_only_when_asked_for(tiny_model, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    photo = decode_photo(lesion_jpeg(size=400)).image_rgb
    cool = encode_jpeg(apply_balance(photo, (-1.2, 0.0, 0.6)))
    page.session_state["reading"] = read_capture_bytes(cool, "cool.jpg", Classifier(tiny_model).card)
    page.session_state["anyway"] = True
    page.run()
    shown = html_of(page)
    assert "Pixels used: the photo as it was taken" in shown
    page.button(key="balance_use").click().run()
    shown = html_of(page)
    assert "Pixels used: the corrected photo (white balance)" in shown
    page.button(key="balance_back").click().run()
    shown = html_of(page)
    assert "Pixels used: the photo as it was taken" in shown


def test_a_clean_photo_is_offered_none(tiny_model, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.session_state["reading"] = read_capture_bytes(
        lesion_jpeg(size=400), "l.jpg", Classifier(tiny_model).card
    )
    page.session_state["anyway"] = True
    page.run()
    assert not {"gamma_use", "balance_use"} & {button.key for button in page.button}


def test_a_closer_look_is_another_answer_beside_the_answer(tiny_model, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(tiny_model))
    classifier = Classifier(tiny_model)
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    reading = read_capture_bytes(lesion_jpeg(size=400), "l.jpg", classifier.card)
    page.session_state["reading"] = reading
    page.session_state["anyway"] = True
    page.session_state["turn"] = 0
    page.session_state["crop-0-en"] = {"square": {"x": 0.25, "y": 0.5, "side": 0.5}}
    page.run()
    assert not page.exception
    y0, x0 = (side // 4 for side in reading.shown.shape[:2])
    nearer = classifier.predict([reading.shown[y0 : 3 * y0, : 2 * x0]])[0].lesions[0]
    pair = next(html.proto.body for html in page.get("html") if "After: the square" in html.proto.body)
    before, after = pair.split("After: the square")
    whole = classifier.predict([reading.for_model])[0].lesions[0]
    assert f"<span>{whole.display}</span><b>{view.percent(whole.probability, EN)}</b>" in before
    assert f"<span>{nearer.display}</span><b>{view.percent(nearer.probability, EN)}</b>" in after
    shown = html_of(page)
    x0, _, x1, _ = classifier.card.preprocessing.view_box(200, 200)
    assert f"{x1 - x0} × {x1 - x0} of the photo’s 400 × 400" in shown
    assert "neither look is truer" in shown


def test_a_server_never_starts_without_a_model_that_works(tmp_path, monkeypatch):
    monkeypatch.delenv(MODEL_VARIABLE, raising=False)
    with pytest.raises(ModelFileError, match="no model is named"):
        served_model()
    monkeypatch.setenv(MODEL_VARIABLE, "")
    with pytest.raises(ModelFileError, match="is not there"):
        create_app(tmp_path / "missing.onnx")


def test_an_upload_of_full_size_stays_in_memory_and_health_names_the_model(tiny_model, monkeypatch):
    import asyncio

    from starlette.datastructures import UploadFile
    from starlette.requests import Request

    monkeypatch.setenv(MODEL_VARIABLE, "")
    app = create_app(tiny_model)
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\n' + bytes(
        MAX_PHOTO_BYTES
    )

    async def receive() -> dict:
        return {"type": "http.request", "body": body + b"\r\n--x--\r\n", "more_body": False}

    async def upload_is_in_memory() -> bool:
        headers = [(b"content-type", b"multipart/form-data; boundary=x")]
        form = await Request({"type": "http", "method": "PUT", "headers": headers}, receive).form()
        file = form["f"]
        assert isinstance(file, UploadFile)
        assert file.size == MAX_PHOTO_BYTES
        in_memory = file._in_memory
        await form.close()
        return in_memory

    assert asyncio.run(upload_is_in_memory())
    (health,) = (route for route in app._user_routes if route.path == "/v1/health")
    answer = asyncio.run(health.endpoint(None))
    assert json.loads(answer.body)["model_id"] == served_model().model_id


def test_a_port_in_use_is_one_sentence_with_the_way_out():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} .* is in use; .*--port"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("no such host", 0), ("203.0.113.7", 0)])
def test_an_address_that_cannot_be_had_is_one_sentence(host, port):
    with pytest.raises(UserError, match=r"valid are|try 127\.0\.0\.1"):
        bind(host, port)


def test_the_command_line_names_what_is_wrong_with_the_model(tmp_path):
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"not a model")
    done = subprocess.run(
        [sys.executable, "-m", "capture_app", str(broken), "--port", "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "model.onnx" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_packages_files_are_all_named_for_the_wheel():
    import tomllib

    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for package, folder in (
        ("capture_app", ROOT / "capture_app"),
        ("capture_app.camera", ROOT / "capture_app/camera"),
        ("capture_app.crop", ROOT / "capture_app/crop"),
        ("capture_app.connect", ROOT / "capture_app/connect"),
        ("capture_app.words", ROOT / "capture_app/words"),
    ):
        shipped = {path for pattern in named[package] for path in folder.glob(pattern)}
        own = {path for path in [*folder.glob("*.*"), *folder.glob(".streamlit/*")] if path.is_file()}
        assert {path for path in own if path.suffix != ".py"} <= shipped


def test_the_server_and_the_page_agree_on_sizes():
    import tomllib

    from capture_app.server import MAX_MESSAGE_BYTES

    config = tomllib.loads(Path(PAGE.parent / ".streamlit" / "config.toml").read_text())
    assert config["server"]["maxMessageSize"] * 2**20 == MAX_MESSAGE_BYTES
    assert config["server"]["maxUploadSize"] * 2**20 >= MAX_PHOTO_BYTES
    assert config["browser"]["gatherUsageStats"] is False

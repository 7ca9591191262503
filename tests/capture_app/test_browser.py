"""The whole way, on a phone-sized Chromium with a fake camera: open, capture, see an answer and a heatmap."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.capture_app.harness import PHONE, browser, lesion_jpeg, required_browser, serve, write_fake_camera
from training.data.datasets.phantom_capture import Capture

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WAIT_MS = 60_000


@pytest.fixture(scope="module")
def executable() -> str:
    return required_browser()


@pytest.fixture(scope="module")
def address(tiny_model_two_heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tiny_model_two_heads, tmp_path_factory.mktemp("server") / "log") as address:
        yield address


@pytest.fixture(scope="module")
def chromium(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    camera = write_fake_camera(tmp_path_factory.mktemp("camera") / "lesion.mjpeg", lesion_jpeg())
    with browser(executable, camera) as chromium:
        yield chromium


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The opened page; afterwards, that it spoke to nobody else and complained of nothing."""
    context = chromium.new_context(**PHONE)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    complaints, strangers = [], []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: strangers.append(request.url) if not is_local(request.url) else None)
    page.on("websocket", lambda socket: strangers.append(socket.url) if not is_local(socket.url) else None)
    page.goto(address)
    page.get_by_role("button", name="Open the camera").wait_for()
    yield page
    context.close()
    assert complaints == []
    assert strangers == []


def is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname == "localhost"


def upload(page: Any, name: str, data: bytes) -> None:
    """Give a file to the upload; after another file, once Streamlit has taken that file's input away."""
    page.get_by_text("Upload", exact=True).first.click()
    page.get_by_test_id("stFileUploaderFile").wait_for(state="detached")
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": data})


def capture(page: Any) -> None:
    page.get_by_role("button", name="Open the camera").click()
    page.get_by_role("button", name="Take the photo").click()


def heatmap(page: Any) -> str:
    return page.locator("img[alt*='heatmap']").get_attribute("src")


def test_a_capture_gives_checks_an_answer_and_a_heatmap_of_the_tapped_label(page):
    capture(page)
    page.locator(".dc-findings li").nth(2).wait_for()
    assert page.locator(".dc-findings li em").all_inner_texts()
    page.locator(".dc-bars li").first.wait_for()
    assert page.locator(".dc-bars li").count() == 3
    page.locator(".dc-site").wait_for()
    page.locator(".dc-legend").wait_for()
    first = heatmap(page)
    other = page.locator(".st-key-label button").nth(1)
    label = other.inner_text()
    other.click()
    page.locator(f"img[alt='Your photo with the heatmap for {label}']").wait_for()
    assert heatmap(page) != first
    assert page.get_by_text("768 × 768 pixels").is_visible()


def test_the_camera_is_let_go_once_the_photo_is_taken(page):
    page.get_by_role("button", name="Open the camera").click()
    page.get_by_role("button", name="Take the photo").wait_for()
    video = page.locator("video").element_handle()
    track = page.evaluate_handle("video => video.srcObject.getVideoTracks()[0]", video)
    assert page.evaluate("track => track.readyState", track) == "live"
    page.get_by_role("button", name="Take the photo").click()
    page.locator(".dc-findings").wait_for()
    assert page.evaluate("track => track.readyState", track) == "ended"


def test_leaving_the_camera_for_the_upload_lets_it_go(page):
    page.get_by_role("button", name="Open the camera").click()
    page.get_by_role("button", name="Take the photo").wait_for()
    video = page.locator("video").element_handle()
    track = page.evaluate_handle("video => video.srcObject.getVideoTracks()[0]", video)
    page.get_by_text("Upload", exact=True).first.click()
    page.locator("input[type=file]").wait_for(state="attached")
    page.wait_for_function("track => track.readyState === 'ended'", arg=track)


def test_gamma_is_shown_before_and_after_and_says_what_was_used(page):
    capture(page)
    page.get_by_text("Pixels used: the photo as it was taken").wait_for()
    page.get_by_text("Too dark or too pale?").click()
    before, after = (page.locator(".dc-pair img").nth(i) for i in (0, 1))
    before.wait_for()
    assert before.get_attribute("src") == after.get_attribute("src")
    page.get_by_role("slider", name="Mid-tones").press("ArrowRight")
    page.get_by_text("Pixels used: the corrected photo (gamma 1.05)").wait_for()
    assert before.get_attribute("src") != after.get_attribute("src")


def test_an_upload_gives_an_answer_and_another_photo_starts_again(page):
    upload(page, "lesion.jpg", lesion_jpeg(lesion="tumour", size=640))
    page.locator(".dc-bars li").first.wait_for()
    assert page.get_by_text("640 × 640 pixels").is_visible()
    page.get_by_role("button", name="Take another photo").last.click()
    page.locator("input[type=file]").wait_for(state="attached")


def test_what_is_no_photo_gets_one_sentence_and_another_try(page):
    upload(page, "notes.jpg", b"this is text, not a photo")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "notes.jpg is not a photo" in alert.inner_text()
    upload(page, "lesion.jpg", lesion_jpeg(size=320))
    page.locator(".dc-findings").wait_for()
    assert page.get_by_role("alert").count() == 0


def test_a_poor_photo_is_asked_for_again_and_the_answer_stays_reachable(page):
    upload(page, "blurred.jpg", lesion_jpeg(capture=Capture(blur_sigma=0.03)))
    page.get_by_text("A better photo would help").wait_for()
    assert page.locator(".dc-bars").count() == 0
    page.get_by_role("button", name="Show the answer anyway").click()
    page.locator(".dc-bars li").first.wait_for()


def test_the_page_says_what_it_is_and_nothing_scrolls_sideways(page):
    assert page.get_by_text("not a diagnosis").is_visible()
    assert page.get_by_text("What it says about a real photo means nothing").is_visible()
    capture(page)
    page.locator(".dc-legend").wait_for()
    widths = page.evaluate(
        "() => [document.scrollingElement, document.querySelector('[data-testid=stMain]')]"
        ".map(frame => [frame.scrollWidth, frame.clientWidth])"
    )
    assert all(scrolled <= seen == 390 for scrolled, seen in widths)


def test_a_camera_that_cannot_be_had_says_why_and_names_the_way_on(page):
    refuse = (
        "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', name)); }"
    )
    for error, sentence in (
        ("NotAllowedError", "not allowed to use the camera"),
        ("NotFoundError", "No camera was found"),
        ("NotReadableError", "Another app is using the camera"),
    ):
        page.evaluate(refuse, error)
        assert "Upload" in open_in_vain(page, sentence)
    page.evaluate("() => { Object.defineProperty(window, 'isSecureContext', {value: false}); }")
    assert "Upload" in open_in_vain(page, "only on a secure address")


def open_in_vain(page: Any, sentence: str) -> str:
    page.get_by_role("button", name="Open the camera").click()
    message = page.get_by_role("status").filter(has_text=sentence)
    message.wait_for()
    return message.inner_text()


def test_a_hidden_page_closes_the_camera(page):
    page.get_by_role("button", name="Open the camera").click()
    page.get_by_role("button", name="Take the photo").wait_for()
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.get_by_text("closed while this page was out of sight").wait_for()
    assert page.locator("video").evaluate("video => video.srcObject") is None

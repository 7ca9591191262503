"""The whole way, on a phone-sized Chromium with a fake camera: open, capture, see an answer and a heatmap."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.capture_app.harness import (
    browser,
    lesion_jpeg,
    required_browser,
    scene_jpeg,
    serve,
    upload,
    watched_page,
    write_fake_camera,
)
from training.data.datasets.phantom_capture import Capture

pytestmark = [pytest.mark.browser, pytest.mark.slow]


SHARPENED = """() => document.querySelector(".dc-photo img")?.getAttribute("width") >= 512
  && document.querySelector("[data-testid=stApp]").dataset.testScriptState === "notRunning" """
"""The second run is over. At its end what the last screen left below goes, and a page read to its end moves."""


@pytest.fixture(scope="module")
def executable() -> str:
    return required_browser()


@pytest.fixture(scope="module")
def address(tiny_model_two_heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tiny_model_two_heads, tmp_path_factory.mktemp("server") / "log") as address:
        yield address


@pytest.fixture(scope="module")
def chromium(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    camera = write_fake_camera(tmp_path_factory.mktemp("camera") / "lesion.y4m", scene_jpeg())
    with browser(executable, camera) as chromium:
        yield chromium


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The opened page, before a camera that shows a good scene."""
    with watched_page(chromium, address) as page:
        yield page


def capture(page: Any) -> None:
    """The scene is good, so the shutter fires by itself."""
    page.get_by_role("button", name="Open the camera").click()
    page.locator(".dc-findings").wait_for()


def heatmap(page: Any) -> str:
    return page.locator("img[alt*='heatmap']").get_attribute("src")


def test_a_capture_gives_checks_an_answer_and_a_heatmap_of_the_tapped_label(page):
    capture(page)
    page.locator(".dc-findings li").nth(2).wait_for()
    assert page.locator(".dc-findings li em").all_inner_texts()
    ranked = page.locator("ol.dc-bars").first.locator("li")  # The closer look has its own, further down.
    ranked.nth(2).wait_for()
    assert ranked.count() == 3
    page.locator(".dc-site").wait_for()
    page.locator(".dc-legend").wait_for()
    first = heatmap(page)
    other = page.locator(".st-key-label button").nth(1)
    label = other.inner_text()
    other.click()
    page.locator(f"img[alt='Your photo with the heatmap for {label}']").wait_for()
    assert heatmap(page) != first
    assert page.get_by_text("720 × 960 pixels").is_visible()


def test_leaving_the_camera_for_the_upload_lets_it_go(executable, address, tmp_path):
    dark = write_fake_camera(tmp_path / "dark.y4m", scene_jpeg(ev=-5.0))
    with browser(executable, dark) as chromium, watched_page(chromium, address) as page:
        page.get_by_role("button", name="Open the camera").click()
        page.get_by_role("button", name="Take the photo").wait_for()
        video = page.locator("video").element_handle()
        track = page.evaluate_handle("video => video.srcObject.getVideoTracks()[0]", video)
        assert page.evaluate("track => track.readyState", track) == "live"
        page.get_by_text("Upload", exact=True).first.dispatch_event("click")
        page.locator("input[type=file]").wait_for(state="attached")
        page.wait_for_function("track => track.readyState === 'ended'", arg=track)


def test_gamma_is_shown_before_and_after_and_says_what_was_used(page):
    capture(page)
    page.get_by_text("Pixels used: the photo as it was taken").wait_for()
    page.get_by_text("Too dark, too pale or tinted?").click()
    before, after = (page.locator(".dc-pair img").nth(i) for i in (0, 1))
    before.wait_for()
    assert before.get_attribute("src") == after.get_attribute("src")
    page.get_by_role("slider", name="Mid-tones").press("ArrowRight")
    page.get_by_text("Pixels used: the corrected photo (gamma 1.05)").wait_for()
    assert before.get_attribute("src") != after.get_attribute("src")


def test_dragging_a_corner_of_the_square_changes_the_closer_look_and_not_the_answer(page):
    far = lesion_jpeg(lesion="crust", size=800, capture=Capture(distance=2.4))
    upload(page, "far.jpg", far)
    page.locator(".dc-findings").wait_for()
    anyway = page.get_by_role("button", name="Show the answer anyway")
    anyway.or_(page.get_by_role("heading", name="Look closer", exact=True)).first.wait_for()
    if anyway.count():
        anyway.click()
    square = page.get_by_role("application", name="The square")
    square.wait_for()
    answer = page.locator("ol.dc-bars").first.inner_text()
    suggested = page.get_by_text("Pixels used: on the left").inner_text()
    page.get_by_role("button", name="Larger").press("Enter")
    page.get_by_text(suggested).wait_for(state="detached")
    square.scroll_into_view_if_needed()
    box = square.bounding_box()
    larger = page.get_by_text("Pixels used: on the left").inner_text()
    corner = square.locator(".corner").last.bounding_box()
    assert min(corner["width"], corner["height"]) >= 44
    page.mouse.move(corner["x"] + 22, corner["y"] + 22)
    page.mouse.down()
    page.mouse.move(corner["x"] + 22 - box["width"] / 3, corner["y"] + 22 - box["width"] / 3, steps=4)
    page.mouse.up()
    smaller = square.bounding_box()
    assert smaller["width"] < 0.8 * box["width"]
    assert (smaller["x"], smaller["y"]) == pytest.approx((box["x"], box["y"]), abs=1.5)
    page.get_by_text(larger).wait_for(state="detached")
    after = page.locator("img[alt='The square of the photo']")
    after.wait_for()
    seen = after.get_attribute("src")
    used = page.get_by_text("Pixels used: on the left").inner_text()
    square.press("ArrowRight")
    page.wait_for_function(
        "seen => document.querySelector(\"img[alt='The square of the photo']\").src !== seen", arg=seen
    )
    assert page.get_by_text("Pixels used: on the left").inner_text() == used
    square.press("-")
    page.get_by_text(used).wait_for(state="detached")
    assert page.locator("ol.dc-bars").first.inner_text() == answer
    photo = page.locator("img.photo")
    there = photo.bounding_box()
    photo.evaluate("image => image.removeAttribute('src')")
    kept = photo.bounding_box()
    assert [kept["width"], kept["height"]] == pytest.approx([there["width"], there["height"]], abs=1)


def test_an_upload_gives_an_answer_and_another_photo_starts_again(page):
    upload(page, "lesion.jpg", lesion_jpeg(lesion="tumour", size=640))
    page.locator(".dc-bars li").first.wait_for()
    assert page.get_by_text("640 × 640 pixels").is_visible()
    page.get_by_role("button", name="Take another photo").last.click()
    page.get_by_label("A photo from this device").wait_for(state="attached")
    page.locator(".dc-bars").first.wait_for(state="detached")  # What is left of the answer goes.


def test_what_is_no_photo_gets_one_sentence_and_another_try(page):
    upload(page, "notes.jpg", b"this is text, not a photo")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "notes.jpg is not a photo" in alert.inner_text()
    upload(page, "lesion.jpg", lesion_jpeg(size=320))
    page.locator(".dc-findings").wait_for()
    page.get_by_role("alert").wait_for(state="detached")


def test_a_poor_photo_is_asked_for_again_and_the_answer_stays_reachable(page):
    upload(page, "blurred.jpg", lesion_jpeg(capture=Capture(blur_sigma=0.03)))
    page.get_by_text("A better photo would help").wait_for()
    assert page.locator(".dc-bars").count() == 0
    page.wait_for_function(SHARPENED)
    page.get_by_role("button", name="Show the answer anyway").click()
    page.locator(".dc-bars li").first.wait_for()


def test_the_page_says_what_it_is_and_nothing_scrolls_sideways(page):
    assert page.get_by_text("not a diagnosis").first.is_visible()
    assert page.get_by_text("What it says about a real photo means nothing").is_visible()
    capture(page)
    page.locator(".dc-legend").wait_for()
    widths = page.evaluate(
        "() => [document.scrollingElement, document.querySelector('[data-testid=stMain]')]"
        ".map(frame => [frame.scrollWidth, frame.clientWidth])"
    )
    assert all(scrolled <= seen == 390 for scrolled, seen in widths)


def huge_png() -> bytes:
    """20,000 x 20,000 pixels of one bit, in a few kilobytes."""
    file = BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("holiday.heic", lambda: b"\0\0\0\x18ftypheic" + bytes(2000), "holiday.heic is a HEIC or AVIF file"),
        ("poster.png", huge_png, "poster.png is 20000x20000 pixels"),
        ("large.jpg", lambda: lesion_jpeg(size=320) + bytes(22 * 2**20), "large.jpg has 22 MB"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_and_leaves_the_way_open(page, name, make, sentence):
    upload(page, name, make())
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert sentence in alert.inner_text()
    upload(page, "lesion.jpg", lesion_jpeg(size=320))
    page.locator(".dc-bars li").first.wait_for()


def test_fifty_megabytes_are_refused_before_they_are_sent(page, tmp_path):
    scan = tmp_path / "scan.jpg"
    scan.write_bytes(lesion_jpeg(size=320) + bytes(50 * 2**20))
    sent = []
    page.on(
        "request", lambda request: sent.append(request.method) if request.method in ("PUT", "POST") else None
    )
    page.get_by_text("Upload", exact=True).first.click()
    page.locator("input[type=file]").set_input_files(scan)
    page.get_by_text("File must be 25.0MB or smaller").wait_for()
    assert sent == []
    page.get_by_role("button", name="Remove scan.jpg").click()
    upload(page, "lesion.jpg", lesion_jpeg(size=320))
    page.locator(".dc-bars li").first.wait_for()


def test_a_photo_that_is_lost_on_its_way_says_so_and_can_be_taken_again(chromium, address):
    swallow = (
        "const send = WebSocket.prototype.send; window.lost = true;"
        "WebSocket.prototype.send = function (data) {"
        "  if (!window.lost || (data.length ?? data.byteLength ?? data.size) < 20000) send.call(this, data); };"
    )
    with watched_page(chromium, address, script=swallow) as page:
        page.get_by_role("button", name="Open the camera").click()
        message = page.get_by_role("status").filter(has_text="The photo has not arrived yet")
        message.wait_for()
        assert "Upload" in message.inner_text()
        page.evaluate("() => { window.lost = false; }")
        capture(page)

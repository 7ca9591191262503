"""WCAG 2.2 AA by axe, on every screen of the capture page: both languages, both schemes, phone and desktop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capture_app.words import Words, words_in
from tests.capture_app.harness import (
    DESKTOP,
    PHONE,
    WAIT_MS,
    browser,
    required_browser,
    scene_jpeg,
    serve,
    upload,
    write_fake_camera,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
STREAMLIT = [
    (
        "button-name",
        "[data-testid=stFileUploaderDropzone] button",
        "its text is English and no parameter changes it, so style.css hides it and puts the catalogue's in its "
        "place by `content`: browsers make that the button's name (the walk asks for it), axe does not count it",
    ),
]
"""Rule, selector and reason of what Streamlit draws and cannot be mended from outside."""
RUN = """
async ({ tags, known }) => {
  const found = await axe.run(document, { runOnly: { type: "tag", values: tags }, elementRef: true });
  const excused = (rule, element) => known.some(([id, selector]) => id === rule && element?.matches(selector));
  return found.violations.flatMap(({ id, nodes }) => nodes
    .filter(({ element }) => !excused(id, element))
    .map(({ html, failureSummary }) => ({ id, html, failureSummary })));
}"""


@pytest.fixture(scope="module")
def address(tiny_model_two_heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tiny_model_two_heads, tmp_path_factory.mktemp("server") / "log") as address:
        yield address


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Before a scene that is too dark: the viewfinder stays open, and the photo has its faults."""
    camera = write_fake_camera(tmp_path_factory.mktemp("camera") / "dark.y4m", scene_jpeg(ev=-5.0))
    with browser(required_browser(), camera) as chromium:
        yield chromium


def check(page: Any, screen: str) -> None:
    """That axe finds nothing on all of the page, but what is known of Streamlit.

    axe judges no contrast of what is out of sight, and the page scrolls within Streamlit's own frame: the window
    is made as high as what it shows.
    """
    page.wait_for_timeout(400)  # What opens, opens by and by.
    seen = page.viewport_size
    height = page.get_by_test_id("stMainBlockContainer").evaluate(
        "block => block.getBoundingClientRect().height"
    )
    if screen != "viewfinder":
        page.set_viewport_size({**seen, "height": max(seen["height"], int(height) + 8)})
    page.wait_for_timeout(200)
    found = page.evaluate(RUN, {"tags": TAGS, "known": [known[:2] for known in STREAMLIT]})
    page.set_viewport_size(seen)
    assert found == [], screen


@pytest.mark.parametrize(
    ("language", "scheme", "device"),
    [
        ("en", "light", PHONE),
        ("en", "dark", PHONE),
        ("ja", "light", PHONE),
        ("ja", "dark", PHONE),
        ("en", "light", DESKTOP),
    ],
)
def test_every_screen_is_free_of_what_axe_finds(chromium, address, language, scheme, device):
    from axe_playwright_python.base import AXE_SCRIPT

    words = words_in(language)
    seen = {**device, "device_scale_factor": 1}
    context = chromium.new_context(**seen, color_scheme=scheme, reduced_motion="reduce", locale=language)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    try:
        page.goto(address)
        page.get_by_role("button", name=words("camera.controls.open")).wait_for()
        page.evaluate(AXE_SCRIPT)
        walk(page, words)
    finally:
        context.close()


def walk(page: Any, words: Words) -> None:
    check(page, "start")
    page.get_by_role("radio", name=words("photo.upload")).click()
    page.get_by_role("button", name=words("photo.choose"), exact=True).wait_for()
    check(page, "upload")
    upload(page, "notes.jpg", b"no photo", words("photo.upload"))
    page.get_by_role("alert").wait_for()
    page.get_by_test_id("stFileChip").wait_for(state="detached")
    check(page, "error")
    page.get_by_role("radio", name=words("photo.camera")).click()
    page.get_by_role("button", name=words("camera.controls.open")).click()
    page.locator(".advice").filter(has_text=words.advice("too_dark")).wait_for()
    check(page, "viewfinder")
    page.get_by_role("button", name=words("camera.controls.shutter")).click()
    page.get_by_text(words("checks.better")).wait_for()
    assert words("live.too_dark") in page.locator(".dc-notice.dc-plain").inner_text()
    check(page, "checks")
    page.get_by_role("button", name=words("checks.anyway")).click()
    page.locator(".dc-legend").wait_for()
    page.get_by_text(words("answer.pixels_plain")).wait_for()
    settle(page)
    for title, inside in (("correction.title", ".dc-range"), ("details.title", ".dc-details")):
        page.get_by_text(words(title)).click()
        page.locator(inside).wait_for()
    check(page, "answer")
    page.get_by_text(words("flash.add"), exact=True).click()
    page.get_by_role("button", name=words("photo.choose"), exact=True).wait_for()
    check(page, "flash, asked for")
    give(page, b"not a photo")
    page.get_by_role("alert").filter(has_text=words("flash.refused")).wait_for()
    check(page, "flash, refused")
    give(page, scene_jpeg(ev=-3.0))
    page.get_by_role("img", name=words("flash.shine_alt")).wait_for()
    check(page, "flash, shown")
    walk_comparison(page, words)


def walk_comparison(page: Any, words: Words) -> None:
    """From an answer: the second photo, which is as dark as the first, and both side by side."""
    page.get_by_role("button", name=words("compare.start")).click()
    page.get_by_role("heading", name=words("compare.ask")).wait_for()
    page.get_by_role("button", name=words("camera.controls.open")).wait_for()
    settle(page)
    check(page, "asking for a second photo")
    page.get_by_role("button", name=words("camera.controls.open")).click()
    page.locator(".advice").filter(has_text=words.advice("too_dark")).wait_for()
    page.get_by_role("button", name=words("camera.controls.shutter")).click()
    page.get_by_role("heading", name=words("compare.given", place=2)).wait_for()
    anyway = page.get_by_role("button", name=words("compare.anyway"))
    anyway.wait_for()
    settle(page)
    check(page, "checks of the second photo")
    anyway.click()
    page.get_by_role("table").first.wait_for()
    page.get_by_role("img", name=words("compare.alt", place=2)).wait_for()
    page.get_by_text(words("compare.most")).wait_for()
    settle(page)
    check(page, "comparison")


def settle(page: Any) -> None:
    """The sharper picture comes after a screen, and draws the page anew; what was there before is gone then."""
    page.wait_for_timeout(500)
    page.locator("[data-test-script-state=notRunning]").wait_for()


def give(page: Any, data: bytes) -> None:
    """A photo with flash, to the only upload that is on the page."""
    page.get_by_test_id("stFileChip").wait_for(state="detached")
    page.locator("input[type=file]").set_input_files(
        {"name": "lit.jpg", "mimeType": "image/jpeg", "buffer": data}
    )

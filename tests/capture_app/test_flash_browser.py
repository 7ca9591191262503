"""The photo with flash in Chromium: added to an answer, or taken by a camera whose torch the page drives."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capture_app.quality import check_photo
from capture_app.words import words_in
from tests.capture_app.flash_pairs import lesion_pair
from tests.capture_app.harness import (
    browser,
    encode_jpeg,
    required_browser,
    scene_jpeg,
    serve,
    watched_page,
    write_fake_camera,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EN = words_in("en")
TORCH = """
const lit = new Image();
lit.src = "data:image/jpeg;base64," + %s;
const { getCapabilities } = MediaStreamTrack.prototype;
const draw = CanvasRenderingContext2D.prototype.drawImage;
let on = false;
Object.assign(MediaStreamTrack.prototype, {
  getCapabilities() { return { ...getCapabilities.call(this), torch: true }; },
  async applyConstraints({ advanced }) { on = Object.assign({}, ...advanced).torch; },
});
CanvasRenderingContext2D.prototype.drawImage = function (picture, ...rest) {
  const whole = picture instanceof HTMLVideoElement && this.canvas.width === picture.videoWidth;
  draw.call(this, whole && on ? lit : picture, ...rest);
};
"""
"""A torch: while it is on, the camera's frames are those of the photo with flash."""


@pytest.fixture(scope="module")
def address(tiny_model_two_heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tiny_model_two_heads, tmp_path_factory.mktemp("server") / "log") as address:
        yield address


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    plain = encode_jpeg(lesion_pair().ambient_rgb)
    camera = write_fake_camera(tmp_path_factory.mktemp("camera") / "lesion.y4m", plain)
    with browser(required_browser(), camera) as chromium:
        yield chromium


def give(page: Any, name: str, data: bytes) -> None:
    """A file to the only upload that is on the page, once Streamlit has taken an earlier one away."""
    page.get_by_test_id("stFileChip").wait_for(state="detached")
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": data})


def wait_for_pair(page: Any) -> None:
    """All four pictures, and three labels below each of the first two."""
    for name in ("plain", "alone", "lit", "shine"):
        page.get_by_role("img", name=EN(f"flash.{name}_alt"), exact=True).wait_for()
    looks = page.locator(".dc-look").filter(
        has=page.get_by_role("img", name=EN("flash.alone_alt"), exact=True)
    )
    looks.locator(".dc-bars li").nth(2).wait_for()
    page.get_by_text(EN("flash.experiment")).wait_for()


def test_a_scene_that_fires_the_shutter_by_itself():
    assert check_photo(lesion_pair().ambient_rgb).severity == "ok"


def test_a_second_photo_with_flash_is_added_refused_or_laid_beside_the_answer(chromium, address):
    pair = lesion_pair()
    with watched_page(chromium, address) as page:
        page.get_by_role("radio", name=EN("photo.upload")).click()
        give(page, "plain.jpg", encode_jpeg(pair.ambient_rgb))
        page.get_by_role("heading", name=EN("flash.step")).wait_for()
        page.locator(".dc-bars").first.locator("li").nth(2).wait_for()
        answer = page.locator(".dc-bars").first.inner_text()
        page.get_by_text(EN("flash.add"), exact=True).click()
        page.locator("input[type=file]").wait_for(state="attached")
        give(page, "another.jpg", scene_jpeg(lesion="ulcer", tone=3))
        refusal = page.get_by_role("alert").filter(has_text=EN("flash.refused"))
        refusal.filter(has_text="take both").wait_for()
        give(page, "lit.jpg", encode_jpeg(pair.flash_rgb))
        wait_for_pair(page)
        refusal.wait_for(state="detached")
        assert page.locator(".dc-bars").first.inner_text() == answer
        page.get_by_role("button", name=EN("flash.again")).click()
        page.get_by_text(EN("flash.add"), exact=True).wait_for()
        page.get_by_role("img", name=EN("flash.shine_alt")).wait_for(state="detached")


def test_the_camera_takes_both_where_the_page_drives_its_torch(chromium, address):
    lit = base64.b64encode(encode_jpeg(lesion_pair().flash_rgb)).decode()
    with watched_page(chromium, address, script=TORCH % json.dumps(lit)) as page:
        page.get_by_text(EN("flash.both")).click()
        page.locator(
            "[class*=st-key-camera-][class*=-pair]"
        ).wait_for()  # Another camera took the first one's place.
        page.get_by_role("button", name=EN("camera.controls.open")).click()
        page.locator(".dc-findings").wait_for()
        page.get_by_role("heading", name=EN("answer.step")).wait_for()
        wait_for_pair(page)
        page.get_by_role("button", name=EN("photo.another")).first.click()
        page.get_by_role("button", name=EN("camera.controls.open")).wait_for()

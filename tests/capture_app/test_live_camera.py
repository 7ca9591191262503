"""The viewfinder in Chromium, before a fake camera that shows drawn scenes: what it says, and when it fires."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest

from capture_app.camera import CapturedPhoto, read_capture, read_pair
from tests.capture_app.harness import (
    browser,
    encode_jpeg,
    required_browser,
    scene_jpeg,
    serve_camera,
    watched_page,
    write_fake_camera,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE_MS = 2500
"""How long a scene that must not be taken is watched: longer than a good one takes."""
KEEP_TRACKS = """
window.tracks = [];
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await open(wanted);
  window.tracks.push(...stream.getTracks());
  return stream;
};
"""
TORCH_AND_ZOOM = """
window.asked = [];
const { getCapabilities, getSettings } = MediaStreamTrack.prototype;
Object.assign(MediaStreamTrack.prototype, {
  getCapabilities() {
    return { ...getCapabilities.call(this), torch: true, zoom: { min: 1, max: 8, step: 0.1 } };
  },
  getSettings() { return { ...getSettings.call(this), zoom: 1 }; },
  async applyConstraints({ advanced }) { window.asked.push(Object.assign({}, ...advanced)); },
});
"""
CAN_HOLD = """
const withoutHold = MediaStreamTrack.prototype.getCapabilities;
MediaStreamTrack.prototype.getCapabilities = function () {
  const modes = ["continuous", "manual"];
  return { ...withoutHold.call(this), exposureMode: modes, whiteBalanceMode: modes };
};
"""
NO_STILLS = "delete window.ImageCapture;"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve_camera() as address:
        yield address


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium before a scene that is too dark, and so never taken by itself."""
    camera = write_fake_camera(tmp_path_factory.mktemp("camera") / "dark.y4m", scene_jpeg(ev=-5.0))
    with browser(required_browser(), camera) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    camera = write_fake_camera(tmp_path_factory.mktemp("camera") / "good.y4m", scene_jpeg())
    with browser(required_browser(), camera) as chromium:
        yield chromium


@contextmanager
def opened(chromium: Any, address: str, script: str = "", **device: Any) -> Iterator[Any]:
    """The viewfinder, open, drawn as cheaply as a machine without a GPU needs it."""
    device = {"device_scale_factor": 1, "reduced_motion": "reduce", **device}
    with watched_page(chromium, address, script=KEEP_TRACKS + script, **device) as page:
        page.get_by_role("button", name="Open the camera").click()
        page.get_by_role("button", name="Take the photo").wait_for()
        yield page


def sent(page: Any, name: str = "photo") -> Any:
    """What the component sends, once it has."""
    page.wait_for_function("() => window.sent.length > 0")
    found = page.evaluate("() => window.sent")
    assert [one[0] for one in found] == [name]
    return found[0][1]


def pixels(photo: CapturedPhoto) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(photo.jpeg, np.uint8), cv2.IMREAD_COLOR)


def wait_for_advice(page: Any, text: str) -> str:
    advice = page.locator(".advice").filter(has_text=text)
    advice.wait_for()
    return advice.inner_text()


def all_ended(page: Any) -> bool:
    return page.evaluate("() => tracks.length > 0 && tracks.every((track) => track.readyState === 'ended')")


def test_a_good_scene_is_taken_by_itself_whole_and_once(good, address):
    with opened(good, address) as page:
        photo = read_capture(sent(page))
        assert not photo.by_hand
        assert {finding.severity for finding in photo.findings} == {"ok"}
        assert (photo.width, photo.height) == (720, 960)
        scene = cv2.imdecode(np.frombuffer(scene_jpeg(), np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(pixels(photo).astype(int) - scene).mean() < 6
        page.get_by_role("status").filter(has_text="The photo is taken").wait_for()
        assert all_ended(page)
        page.wait_for_timeout(PATIENCE_MS)
        assert page.evaluate("() => window.sent.length") == 1


SCENES = {
    "dark": ({"ev": -5.0}, "It is too dark"),
    "glaring": ({"glare": 1.0, "glare_size": 0.12}, "A reflection hides the skin"),
    "blurred": ({"blur_sigma": 0.012}, "It is blurred"),
    "off centre": ({"offset_xy": (-0.22, 0.0)}, "Move the phone to the left"),
}


@pytest.mark.parametrize("name", SCENES)
def test_a_poor_scene_gets_its_advice_and_is_not_taken(name, address, tmp_path):
    conditions, sentence = SCENES[name]
    camera = write_fake_camera(tmp_path / "scene.y4m", scene_jpeg(**conditions))
    with browser(required_browser(), camera) as chromium, opened(chromium, address) as page:
        wait_for_advice(page, sentence)
        page.get_by_role("status").filter(has_text=sentence).wait_for(state="attached")
        page.wait_for_timeout(PATIENCE_MS)
        assert sentence in page.locator(".advice").inner_text()
        assert page.evaluate("() => window.sent") == []
        towards = page.locator(".reticle").get_attribute("data-towards")
        assert towards == ("left" if name == "off centre" else "")


def test_a_moving_phone_is_told_to_hold_still(address, tmp_path):
    scene = cv2.imdecode(np.frombuffer(scene_jpeg(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    shifts = [round(90 * np.sin(2 * np.pi * n / 7)) for n in range(7)]
    frames = [encode_jpeg(np.ascontiguousarray(np.roll(scene, shift, axis=1))) for shift in shifts]
    camera = write_fake_camera(tmp_path / "scene.y4m", *frames)
    with browser(required_browser(), camera) as chromium, opened(chromium, address) as page:
        wait_for_advice(page, "The phone is moving")
        page.wait_for_timeout(PATIENCE_MS)
        assert page.evaluate("() => window.sent") == []


def test_the_shutter_works_by_hand_and_the_findings_go_along(dark, address):
    with opened(dark, address) as page:
        wait_for_advice(page, "It is too dark")
        page.get_by_role("button", name="Take the photo").click()
        photo = read_capture(sent(page))
        assert photo.by_hand
        severity = {finding.code: finding.severity for finding in photo.findings}
        assert severity["too_dark"] == "block"
        assert pixels(photo).shape == (960, 720, 3)


def test_with_auto_off_only_the_hand_takes_and_the_choice_is_kept(good, address):
    with opened(good, address) as page:
        auto = page.get_by_role("switch", name="Take the photo by itself")
        auto.click()
        assert auto.get_attribute("aria-checked") == "false"
        wait_for_advice(page, "press the button")
        page.wait_for_timeout(PATIENCE_MS)
        assert page.evaluate("() => window.sent") == []
        page.get_by_role("button", name="Close the camera").click()
        page.get_by_role("button", name="Open the camera").click()
        assert auto.get_attribute("aria-checked") == "false"
        auto.click()
        assert not read_capture(sent(page)).by_hand


STILL = """
const canvas = new OffscreenCanvas(%d, %d);
canvas.getContext("2d").fillRect(0, 0, 1, 1);
const largest = { imageWidth: { max: 1440 }, imageHeight: { max: 1920 } };
ImageCapture.prototype.getPhotoCapabilities = async () => largest;
ImageCapture.prototype.takePhoto = async (wanted) => {
  window.wanted = wanted;
  return canvas.convertToBlob({ type: "image/%s" });
};
"""


@pytest.mark.parametrize(
    ("script", "size"),
    [
        (STILL % (1440, 1920, "jpeg"), (1440, 1920)),
        (STILL % (1440, 1920, "png"), (1440, 1920)),
        (STILL % (1920, 1440, "jpeg"), (720, 960)),
        (STILL % (360, 480, "jpeg"), (720, 960)),
        ("ImageCapture.prototype.takePhoto = () => Promise.reject(new Error('no'));", (720, 960)),
        ("ImageCapture.prototype.takePhoto = () => new Promise(() => {});", (720, 960)),
        (NO_STILLS, (720, 960)),
    ],
    ids=["larger", "larger PNG", "turned", "smaller", "failing", "never answering", "none"],
)
def test_the_sensor_s_own_photo_is_taken_where_it_is_better_than_the_frame(dark, address, script, size):
    with opened(dark, address, script) as page:
        page.get_by_role("button", name="Take the photo").click()
        photo = read_capture(sent(page))
        assert (photo.width, photo.height) == size
        assert pixels(photo).shape == (size[1], size[0], 3)
        assert photo.jpeg[:2] == b"\xff\xd8"
        if size == (1440, 1920):
            assert page.evaluate("() => window.wanted") == {"imageWidth": 1440, "imageHeight": 1920}


LATE = """
window.framesFrom = Infinity;
const draw = CanvasRenderingContext2D.prototype.drawImage;
for (const [owner, name] of [[HTMLMediaElement, "readyState"], [HTMLVideoElement, "videoWidth"],
                             [HTMLVideoElement, "videoHeight"]]) {
  const { get } = Object.getOwnPropertyDescriptor(owner.prototype, name);
  Object.defineProperty(owner.prototype, name, {
    get() { return performance.now() < window.framesFrom ? 0 : get.call(this); } });
}
CanvasRenderingContext2D.prototype.drawImage = function (picture, ...rest) {
  if (!(picture instanceof HTMLVideoElement && picture.readyState < 2)) draw.call(this, picture, ...rest);
};
"""
"""A camera whose video has neither a frame nor a size before `framesFrom`."""


@pytest.mark.parametrize("stills", [NO_STILLS, STILL % (360, 480, "jpeg")], ids=["frames", "smaller still"])
def test_a_shutter_pressed_before_the_first_frame_waits_for_it(good, address, stills):
    """A canvas drawn without a frame is black, and any still is larger than a video that has no size yet."""
    with opened(good, address, LATE + f"{{ {stills} }}") as page:
        page.get_by_role("button", name="Take the photo").click()
        page.evaluate("() => { window.framesFrom = performance.now() + 1200; }")
        photo = read_capture(sent(page))
        assert (photo.width, photo.height) == (720, 960)
        assert pixels(photo).std() > 5


def test_of_a_burst_the_sharpest_frame_is_taken(dark, address):
    blurred, sharp = scene_jpeg(blur_sigma=0.02), scene_jpeg()
    burst = [base64.b64encode(jpeg).decode() for jpeg in (blurred, blurred, sharp, blurred)]
    one_by_one = (
        f"const burst = {burst}.map((jpeg) => {{"
        "  const image = new Image(); image.src = `data:image/jpeg;base64,${jpeg}`; return image; });"
        "const draw = CanvasRenderingContext2D.prototype.drawImage;"
        "CanvasRenderingContext2D.prototype.drawImage = function (picture, ...rest) {"
        "  const taken = picture instanceof HTMLVideoElement && this.canvas.width === picture.videoWidth;"
        "  draw.call(this, taken ? burst.shift() ?? picture : picture, ...rest); };"
    )
    with opened(dark, address, one_by_one + NO_STILLS) as page:
        wait_for_advice(page, "It is too dark")  # By now the checks run.
        page.get_by_role("button", name="Take the photo").click()
        photo = cv2.cvtColor(pixels(read_capture(sent(page))), cv2.COLOR_BGR2GRAY)
    both = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) for jpeg in (blurred, sharp)]
    detail, low, high = (cv2.Laplacian(luma, cv2.CV_32F).std() for luma in (photo, *both))
    assert detail > (low + high) / 2


def test_zoom_and_torch_are_offered_where_the_camera_has_them(dark, address):
    with opened(dark, address, TORCH_AND_ZOOM) as page:
        torch = page.get_by_role("button", name="Light")
        torch.click()
        page.wait_for_function("() => window.asked.some((wanted) => wanted.torch === true)")
        assert torch.get_attribute("aria-pressed") == "true"
        zoom = page.get_by_role("slider", name="Zoom")
        zoom.press("End")
        page.wait_for_function("() => window.asked.some((wanted) => wanted.zoom === 5)")
        assert page.get_by_text("5.0×").is_visible()
    with opened(dark, address) as page:
        assert page.get_by_role("slider", name="Zoom").count() == 0
        assert page.get_by_role("button", name="Light").count() == 0


def test_a_pair_is_taken_with_the_torch_off_and_then_on(dark, address):
    with opened(dark, f"{address}?pair", TORCH_AND_ZOOM) as page:
        page.get_by_role("button", name="Take the photo").click()
        pair = read_pair(sent(page, "pair"))
        assert pixels(pair.ambient).shape == pixels(pair.flash).shape == (960, 720, 3)
        assert page.evaluate("() => window.asked") == [{"torch": True}, {"torch": False}]


def test_a_pair_s_exposure_and_white_balance_are_held_where_the_camera_can(dark, address):
    with opened(dark, f"{address}?pair", TORCH_AND_ZOOM + CAN_HOLD) as page:
        page.get_by_role("button", name="Take the photo").click()
        read_pair(sent(page, "pair"))
        held = {"exposureMode": "manual", "whiteBalanceMode": "manual"}
        assert page.evaluate("() => window.asked") == [
            held,
            {**held, "torch": True},
            {**held, "torch": False},
        ]


def test_without_a_torch_the_second_of_a_pair_is_asked_for(good, address):
    with opened(good, f"{address}?pair") as page:
        wait_for_advice(page, "Now with light from the front")
        assert page.evaluate("() => window.sent") == []
        page.wait_for_timeout(PATIENCE_MS)
        assert page.evaluate("() => window.sent") == []
        page.get_by_role("button", name="Take the photo").click()
        pair = read_pair(sent(page, "pair"))
        assert (pair.ambient.by_hand, pair.flash.by_hand) == (False, True)


def test_a_pair_can_be_declined_and_is_not_offered_unasked(dark, address):
    with opened(dark, f"{address}?pair") as page:
        page.get_by_role("switch", name="With and without flash").click()
        page.get_by_role("button", name="Take the photo").click()
        read_capture(sent(page))
    with opened(dark, address) as page:
        assert page.get_by_role("switch", name="With and without flash").count() == 0


def close_says(page: Any, sentence: str) -> None:
    page.get_by_role("status").filter(has_text=sentence).wait_for()
    page.get_by_role("button", name="Open the camera").wait_for()
    assert all_ended(page)
    assert not page.locator("dialog").evaluate("dialog => dialog.open")


def test_a_camera_taken_away_midway_says_so_and_can_be_opened_again(dark, address):
    with opened(dark, address) as page:
        page.evaluate("() => { tracks[0].stop(); tracks[0].dispatchEvent(new Event('ended')); }")
        close_says(page, "The camera stopped")
        page.get_by_role("button", name="Open the camera").click()
        wait_for_advice(page, "It is too dark")


def test_a_hidden_page_lets_the_camera_go(dark, address):
    with opened(dark, address) as page:
        page.evaluate(
            "() => { Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange')); }"
        )
        close_says(page, "closed while this page was out of sight")


@pytest.mark.parametrize("how", ["button", "Escape", "left"])
def test_closing_lets_the_camera_go(dark, address, how):
    with opened(dark, address) as page:
        if how == "button":
            page.get_by_role("button", name="Close the camera").click()
        elif how == "Escape":
            page.keyboard.press("Escape")
        else:
            page.evaluate("() => { document.querySelector('#host').remove(); window.leave(); }")
        page.wait_for_function("() => tracks.every((track) => track.readyState === 'ended')")
        if how != "left":
            page.get_by_text("Hold the phone a hand’s width away").wait_for()


def test_a_page_without_a_camera_names_the_way_on(address):
    with browser(required_browser(), None) as chromium, watched_page(chromium, address) as page:
        page.get_by_role("button", name="Open the camera").click()
        message = page.get_by_role("status").filter(has_text="No camera was found")
        message.wait_for()
        assert "Upload" in message.inner_text()


def test_a_refused_permission_names_the_way_on(address, tmp_path):
    camera = write_fake_camera(tmp_path / "scene.y4m", scene_jpeg())
    with (
        browser(required_browser(), camera, allowed=False) as chromium,
        watched_page(chromium, address) as page,
    ):
        page.get_by_role("button", name="Open the camera").click()
        message = page.get_by_role("status").filter(has_text="not allowed to use the camera")
        message.wait_for()
        assert "Upload" in message.inner_text()


def test_a_camera_in_use_and_an_insecure_address_name_the_way_on(dark, address):
    with watched_page(dark, address) as page:
        page.evaluate(
            "() => { navigator.mediaDevices.getUserMedia ="
            "() => Promise.reject(new DOMException('', 'NotReadableError')); }"
        )
        page.get_by_role("button", name="Open the camera").click()
        page.get_by_role("status").filter(has_text="Another app is using the camera").wait_for()
        page.evaluate("() => { Object.defineProperty(window, 'isSecureContext', {value: false}); }")
        page.get_by_role("button", name="Open the camera").click()
        page.get_by_role("status").filter(has_text="only on a secure address").wait_for()


def test_without_its_worker_the_camera_still_takes_photos(good, address):
    broken = (
        "window.Worker = class { postMessage() { setTimeout(() => this.onerror(), 5); } terminate() {} };"
    )
    with opened(good, address, broken) as page:
        wait_for_advice(page, "No guidance in this browser")
        page.get_by_role("button", name="Take the photo").click()
        photo = read_capture(sent(page))
        assert (photo.by_hand, photo.findings) == (True, ())


def test_the_page_may_lie_below_any_path(good):
    with serve_camera("/clinic/skin/") as address, opened(good, address) as page:
        wait_for_advice(page, "Good")


def test_modules_come_as_javascript_and_are_asked_for_anew(dark, address):
    with watched_page(dark, address) as page:
        answer = page.request.get(f"{address}camera/guide.js")
        assert answer.ok
        assert re.match("text/javascript", answer.headers["content-type"])
        assert answer.headers["cache-control"] == "no-cache"
        again = page.request.get(
            f"{address}camera/guide.js", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert again.status == 304
        assert page.request.get(f"{address}camera/__init__.py").status == 404


def test_every_control_has_a_name_and_room_for_a_thumb(dark, address):
    with opened(dark, f"{address}?pair", TORCH_AND_ZOOM) as page:
        controls = page.locator("dialog :is(button, input)").filter(visible=True)
        controls.nth(5).wait_for()
        for control in controls.all():
            box = control.bounding_box()
            assert min(box["width"], box["height"]) >= 48
        assert page.locator("dialog").evaluate(
            "dialog => dialog.scrollWidth <= innerWidth && dialog.scrollHeight <= innerHeight"
        )

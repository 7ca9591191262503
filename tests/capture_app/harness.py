"""What drives the capture page in a test: the real server, a fake camera, a phone-sized Chromium."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from capture_app.camera import HERE as CAMERA
from capture_app.camera import LIMITS, camera_words
from capture_app.camera.files import camera_routes
from capture_app.words import words_in
from training.data.datasets.phantom import draw_photo
from training.data.datasets.phantom_capture import Capture

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
START_SECONDS = 90
WAIT_MS = 60_000
CAMERA_FPS = 12


def find_browser() -> str | None:
    """The system's Chromium, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def required_browser() -> str:
    """The system's Chromium; a test without one is skipped, and fails under CI."""
    found = find_browser()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium was found, and under CI the browser tests must run")
        pytest.skip("no Chromium was found; install Debian's package 'chromium' or Google Chrome")
    return found


def lesion_jpeg(
    *, lesion: str = "p_macula", size: int = 768, tone: int = 2, capture: Capture | None = None
) -> bytes:
    """A drawn photo of one lesion, clean unless a capture says otherwise."""
    photo = draw_photo(7, 3, lesion=lesion, location=None, tone=tone, size=size, capture=capture or Capture())
    return encode_jpeg(photo.image_rgb)


def encode_jpeg(image_rgb: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image_rgb[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 94))[1].tobytes()


def write_fake_camera(path: Path, *jpegs: bytes) -> Path:
    """A video for Chromium's fake camera, over and over; one photo is held still.

    Args:
        path: .y4m, which keeps the colours and shows CAMERA_FPS frames a second, or .mjpeg, which shows 30 and
            stretches the tones.
    """
    if path.suffix == ".mjpeg":
        path.write_bytes(b"".join(jpegs) * -(-30 // len(jpegs)))
        return path
    frames = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in jpegs]
    height, width = frames[0].shape[:2]
    planes = [cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes() for frame in frames]
    header = f"YUV4MPEG2 W{width} H{height} F{CAMERA_FPS}:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(header + b"".join(b"FRAME\n" + plane for plane in planes) * max(1, 4 // len(planes)))
    return path


def scene_jpeg(*, lesion: str = "crust", tone: int = 2, **conditions: Any) -> bytes:
    """What an upright phone sees of a drawn lesion, 720 x 960: well placed and lit but for `conditions`."""
    capture = Capture(**{"distance": 1.2, **conditions})
    photo = draw_photo(7, 3, lesion=lesion, location=None, tone=tone, size=960, capture=capture)
    return encode_jpeg(np.ascontiguousarray(photo.image_rgb[:, 120:-120]))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serve(
    model: Path, log: Path, *options: str, port: int = 0, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run `python -m capture_app` on a port, a free one if 0; gives its address once it is healthy."""
    port = port or free_port()
    address = f"http://localhost:{port}"
    command = [sys.executable, "-m", "capture_app", str(model), "--port", str(port), *options]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        )
        try:
            _wait_until_healthy(server, address, log)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=20)


def _wait_until_healthy(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}: {log.read_text()}")
        try:
            with urllib.request.urlopen(f"{address}/v1/health", timeout=2) as answer:
                assert json.load(answer)["status"] == "ok"
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"the server was not healthy within {START_SECONDS} s: {log.read_text()}")


@contextmanager
def serve_camera(below: str = "/") -> Iterator[str]:
    """The camera alone, without Streamlit or a model, mounted as Streamlit mounts it; gives its page's address.

    Args:
        below: the path of the page, with a slash at its end.

    What the component sends is kept in the page as `sent`, a list of [name, value].
    """
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    async def give_page(request: Request) -> HTMLResponse:
        return HTMLResponse(_camera_page(pair="pair" in request.query_params))

    app = Starlette(routes=[Route(below, give_page), *camera_routes()])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}{below}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def _camera_page(*, pair: bool) -> str:
    css, html, js = (
        (CAMERA / f"camera.{kind}").read_text(encoding="utf-8") for kind in ("css", "html", "js")
    )
    table = json.loads(LIMITS.read_text(encoding="utf-8"))
    data = {"words": camera_words(words_in("en")), "table": table, "pair": pair}
    return f"""<!doctype html><html lang="en"><head><title>Camera</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body><main><div id="host"></div></main>
<script type="module">
const {{ css, html, js, data }} = {json.dumps({"css": css, "html": html, "js": js, "data": data})};
const parentElement = document.querySelector("#host").attachShadow({{ mode: "open" }});
parentElement.innerHTML = `<style>${{css}}</style>${{html}}`;
window.sent = [];
const setTriggerValue = (name, value) => window.sent.push([name, value]);
const module = await import(URL.createObjectURL(new Blob([js], {{ type: "text/javascript" }})));
window.leave = module.default({{ parentElement, data, setTriggerValue }});
</script></body></html>"""


@contextmanager
def watched_page(chromium: Any, address: str, *, script: str = "", **device: Any) -> Iterator[Any]:
    """An opened page; afterwards, that it spoke to nobody else and complained of nothing.

    Args:
        script: JavaScript that runs in the page before its own.
    """
    context = chromium.new_context(**{**PHONE, **device})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    complaints, strangers = [], []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: strangers.append(request.url) if not is_local(request.url) else None)
    page.on("websocket", lambda socket: strangers.append(socket.url) if not is_local(socket.url) else None)
    if script:
        page.add_init_script(script)
    try:
        page.goto(address)
        page.get_by_role("button", name="Open the camera").wait_for()
        yield page
    finally:
        context.close()
    assert complaints == []
    assert strangers == []


def upload(page: Any, name: str, data: bytes, words: str = "Upload") -> None:
    """Give a file to the upload; after another file, once Streamlit has taken that file's input away.

    Args:
        words: on the choice of the upload, in the page's language.
    """
    page.get_by_text(words, exact=True).first.click()
    page.get_by_test_id("stFileChip").wait_for(state="detached")
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": data})


def is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname == "localhost"


@contextmanager
def browser(executable: str, camera: Path | None, *, allowed: bool = True) -> Iterator[Any]:
    """Headless Chromium that talks to nobody by itself.

    Args:
        camera: what its only camera shows; None for no camera.
        allowed: the permission for it is given without being asked for; otherwise refused.
    """
    flags = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-default-apps",
        "--no-first-run",
    ]
    if camera is not None:
        flags += [
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={camera}",
        ]
        if allowed:
            flags.append("--use-fake-ui-for-media-stream")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")
    with _playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, headless=True, args=flags)
        try:
            yield chromium
        finally:
            chromium.close()


_running: list[Any] = []


@contextmanager
def _playwright() -> Iterator[Any]:
    """Playwright, which runs once in a thread however many browsers are open."""
    from playwright.sync_api import sync_playwright

    if _running:
        yield _running[0]
        return
    with sync_playwright() as playwright:
        _running.append(playwright)
        try:
            yield playwright
        finally:
            _running.clear()

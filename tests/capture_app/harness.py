"""What drives the capture page in a test: the real server, a fake camera, a phone-sized Chromium."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

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


def write_fake_camera(path: Path, jpeg: bytes) -> Path:
    """A video file (.mjpeg) for Chromium's fake camera: the photo, held still."""
    path.write_bytes(jpeg * 30)
    return path


@contextmanager
def serve(
    model: Path, log: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run `python -m capture_app` on a free port; gives its address on this machine once it is healthy."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
def browser(executable: str, camera: Path | None) -> Iterator[Any]:
    """Headless Chromium that talks to nobody by itself; with a camera's video, its permission is given."""
    from playwright.sync_api import sync_playwright

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
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={camera}",
        ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, headless=True, args=flags)
        try:
            yield chromium
        finally:
            chromium.close()

"""Pictures of the capture page's screens, for the README and for looking at them.

    python -m tests.capture_app.screenshots models/demo/model.onnx --out docs/images

Writes page.png, the answer on a phone; with --all every screen in each language, light, dark and on a desktop.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from PIL import Image

from capture_app.words import FALLBACK, languages, words_in
from tests.capture_app.flash_pairs import lesion_pair
from tests.capture_app.harness import (
    DESKTOP,
    PHONE,
    browser,
    encode_jpeg,
    find_browser,
    lesion_jpeg,
    scene_jpeg,
    serve,
    write_fake_camera,
)
from training.cli import run
from training.data.datasets.phantom_capture import Capture
from training.errors import UserError

WAIT_MS = 60_000
PALETTE_COLOURS = 256
"""Keeps a picture with a photo on it below 500 KB."""


@dataclass(frozen=True)
class Arguments:
    """Photograph the capture page in headless Chromium, with a drawn lesion before a fake camera."""

    model: Annotated[Path, tyro.conf.Positional]
    """The model to serve."""
    out: Path = Path("docs/images")
    """Folder of the pictures."""
    lesion: str = "crust"
    """The drawn lesion, one of the phantom's labels."""
    all: bool = False
    """Every screen, not only page.png."""


@dataclass(frozen=True)
class Look:
    """On what, in which language and colours a screen is looked at."""

    device: dict[str, Any]
    language: str = FALLBACK
    scheme: str = "light"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m tests.capture_app.screenshots", args=argv)
    executable = find_browser()
    if executable is None:
        raise UserError("no Chromium was found; install Debian's package 'chromium', or Google Chrome.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        camera = write_fake_camera(Path(folder) / "camera.y4m", scene_jpeg(lesion=arguments.lesion))
        with serve(arguments.model, Path(folder) / "log") as address, browser(executable, camera) as chromium:
            _answer(chromium, address, arguments.out / "page.png", Look(PHONE))
            if arguments.all:
                _every_screen(chromium, address, arguments.out)
    return 0


def _every_screen(chromium: Any, address: str, out: Path) -> None:
    for language in languages():
        for scheme in ("light", "dark"):
            _screens(chromium, address, out, Look(PHONE, language, scheme))
        _answer(chromium, address, out / f"page-desktop-{language}.png", Look(DESKTOP, language), whole=True)


def _screens(chromium: Any, address: str, out: Path, look: Look) -> None:
    """Every screen of a phone in one language and one scheme."""
    words, kind = words_in(look.language), f"{look.language}-{look.scheme}"
    page = _open(chromium, address, look)
    _shoot(page, out / f"page-start-{kind}.png")
    page.get_by_role("button", name=words("camera.controls.open")).click()
    page.get_by_role("switch", name=words("camera.controls.auto")).click()
    page.locator(".finder[data-mode='good']").wait_for(timeout=WAIT_MS)
    _shoot(page, out / f"page-camera-{kind}.png")
    page.context.close()
    page = _open(chromium, address, look)
    page.get_by_text(words("photo.upload"), exact=True).click()
    page.locator("input[type=file]").wait_for(state="attached")
    _shoot(page, out / f"page-upload-{kind}.png")
    page.locator("input[type=file]").set_input_files(
        {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"not a photo"}
    )
    page.get_by_role("alert").wait_for()
    _shoot(page, out / f"page-error-{kind}.png")
    page.get_by_test_id("stFileChip").wait_for(state="detached")
    dark = lesion_jpeg(capture=Capture(ev=-4.5, blur_sigma=0.012, offset_xy=(-0.4, 0.0)))
    page.locator("input[type=file]").set_input_files(
        {"name": "dark.jpg", "mimeType": "image/jpeg", "buffer": dark}
    )
    page.get_by_text(words("checks.better")).wait_for()
    _shoot(page, out / f"page-block-{kind}.png", whole=True)
    page.context.close()
    _answer(chromium, address, out / f"page-answer-{kind}.png", look, whole=True)
    _closer(chromium, address, out / f"page-closer-{kind}.png", look)
    _comparison(chromium, address, out / f"page-compare-{kind}.png", look)
    _flash(chromium, address, out / f"page-flash-{kind}.png", look)


def _closer(chromium: Any, address: str, path: Path, look: Look) -> None:
    """The square about a lesion that is small in its photo."""
    words = words_in(look.language)
    page = _open(chromium, address, look)
    page.get_by_text(words("photo.upload"), exact=True).click()
    page.locator("input[type=file]").set_input_files(
        {"name": "far.jpg", "mimeType": "image/jpeg", "buffer": scene_jpeg(lesion="tumour", distance=2.6)}
    )
    page.locator(".dc-findings").wait_for(timeout=WAIT_MS)
    anyway = page.get_by_role("button", name=words("checks.anyway"))
    anyway.or_(page.get_by_role("heading", name=words("closer.step"))).first.wait_for(timeout=WAIT_MS)
    if anyway.count():
        anyway.click()
    page.get_by_role("application", name=words("square.square")).wait_for(timeout=WAIT_MS)
    page.locator(".crop").evaluate("element => element.scrollIntoView({block: 'start'})")
    _shoot(page, path)
    page.context.close()


def _comparison(chromium: Any, address: str, path: Path, look: Look) -> None:
    """The lesion before the camera beside the same one in less light, from farther away."""
    words = words_in(look.language)
    page = _open(chromium, address, look)
    page.get_by_role("button", name=words("camera.controls.open")).click()
    page.get_by_role("application", name=words("square.square")).wait_for(timeout=WAIT_MS)
    page.get_by_role("button", name=words("compare.start")).press("Enter", timeout=WAIT_MS)
    page.get_by_role("heading", name=words("compare.ask")).wait_for(timeout=WAIT_MS)
    page.get_by_text(words("photo.upload"), exact=True).click()
    darker = scene_jpeg(ev=-0.8, distance=1.7, gradient_ev=1.0)
    page.locator("input[type=file]").set_input_files(
        {"name": "darker.jpg", "mimeType": "image/jpeg", "buffer": darker}, timeout=WAIT_MS
    )
    page.get_by_text(words("compare.most")).wait_for(timeout=WAIT_MS)
    page.get_by_role("heading", name=words("compare.step")).evaluate(
        "element => element.scrollIntoView({block: 'start'})"
    )
    _shoot(page, path)
    page.context.close()


def _flash(chromium: Any, address: str, path: Path, look: Look) -> None:
    """What a photo with flash adds to an answer."""
    words, pair = words_in(look.language), lesion_pair()
    page = _open(chromium, address, look)
    page.get_by_text(words("photo.upload"), exact=True).click()
    page.locator("input[type=file]").set_input_files(
        {"name": "plain.jpg", "mimeType": "image/jpeg", "buffer": encode_jpeg(pair.ambient_rgb)}
    )
    page.get_by_text(words("flash.add"), exact=True).click(timeout=WAIT_MS)
    page.get_by_test_id("stFileChip").wait_for(state="detached")
    page.locator("input[type=file]").set_input_files(
        {"name": "lit.jpg", "mimeType": "image/jpeg", "buffer": encode_jpeg(pair.flash_rgb)}
    )
    page.get_by_role("img", name=words("flash.shine_alt")).wait_for(timeout=WAIT_MS)
    heading = page.get_by_role("heading", name=words("flash.step"))
    heading.evaluate("element => element.scrollIntoView({block: 'start'})")
    _shoot(page, path)
    page.context.close()


def _answer(chromium: Any, address: str, path: Path, look: Look, *, whole: bool = False) -> None:
    words = words_in(look.language)
    page = _open(chromium, address, look)
    # A good scene is taken by itself.
    page.get_by_role("button", name=words("camera.controls.open")).click()
    heading = page.get_by_role("heading", name=words("answer.step"))
    page.locator(".dc-legend").wait_for(timeout=WAIT_MS)
    heading.evaluate("element => element.scrollIntoView({block: 'start'})")
    _shoot(page, path, whole=whole)
    page.context.close()


def _open(chromium: Any, address: str, look: Look) -> Any:
    context = chromium.new_context(
        **look.device, locale=look.language, color_scheme=look.scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(address)
    name = words_in(look.language)("camera.controls.open")
    page.get_by_role("button", name=name).wait_for(timeout=WAIT_MS)
    return page


def _shoot(page: Any, path: Path, *, whole: bool = False) -> None:
    """A picture; `whole` shows the page's full height, which Streamlit scrolls inside its own frame."""
    page.wait_for_timeout(700)
    if whole:
        height = page.evaluate(
            "() => document.querySelector('[data-testid=stMainBlockContainer]').getBoundingClientRect().height"
        )
        page.set_viewport_size({"width": page.viewport_size["width"], "height": int(height) + 8})
        page.wait_for_timeout(900)
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(PALETTE_COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(run(main))

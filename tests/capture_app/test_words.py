"""The catalogue: every language says the same things, everything in it is said, and nothing is said without it."""

import ast
import io
import re
import string
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from capture_app import closer, compare, compare_view, correction, offers, page, quality, view, words
from capture_app.camera import HERE as CAMERA
from capture_app.camera import read_capture, read_pair
from capture_app.crop import HERE as CROP
from capture_app.crop import read_square
from capture_app.flash import page as flash_page
from capture_app.reading import MAX_PHOTO_BYTES, read_capture_bytes
from capture_app.words import choose_language, languages, words_in
from tests.capture_app.flash_pairs import REFUSED
from tests.tiny_model import tiny_card
from training.data.photo import decode_photo
from training.errors import PhotoError

EN = words_in("en")
OTHERS = [tag for tag in languages() if tag != "en"]


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def test_there_are_english_and_japanese_english_first():
    assert languages()[0] == "en"
    assert "ja" in languages()


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_the_same_keys_and_placeholders_as_english(language):
    other = words_in(language)
    assert set(other.sentences) == set(EN.sentences)
    for key, sentence in EN.sentences.items():
        assert placeholders(other.sentences[key]) == placeholders(sentence), key


@pytest.mark.parametrize("language", languages())
def test_no_sentence_is_empty_or_looks_like_markup(language):
    for key, sentence in words_in(language).sentences.items():
        assert sentence.strip(), key
        assert not re.search(r"[<>]|&\w+;", sentence), key


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_was_left_in_english(language):
    same = {key for key, sentence in words_in(language).sentences.items() if sentence == EN.sentences[key]}
    assert same == set()


@pytest.mark.parametrize("language", languages())
def test_what_names_a_control_calls_it_as_the_control_does(language):
    said = words_in(language)
    messages = said.tree["camera"]["messages"]
    naming = {key for key, sentence in messages.items() if said("photo.upload") in sentence}
    assert naming == {"slow", "denied", "missing", "busy", "insecure", "ended", "failed", "untaken"}


def keys_written_in(module: ModuleType) -> set[str]:
    """The literals of a module that look like a key."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"[a-z]+\.[a-z_]+", text)}


def test_every_sentence_is_used_and_every_one_used_is_there():
    html = (CAMERA / "camera.html").read_text(encoding="utf-8")
    scripts = "".join(path.read_text(encoding="utf-8") for path in CAMERA.glob("*.js"))
    square = (CROP / "crop.js").read_text(encoding="utf-8")
    messages = set(re.findall(r'(?:close|show)\("(\w+)"\)', scripts)) - {"live"}
    faults, of_place = set(quality.limits()), ("cut_off", "off_centre")
    used = {
        "advice": (faults | set(view.CHECKS)) - set(of_place),
        **{f"advice.{fault}": {*get_args(quality.Direction), "none"} for fault in of_place},
        "live": faults,
        "camera.controls": set(re.findall(r'data-(?:text|label)="(\w+)"', html)),
        "camera.messages": messages | set(re.findall(r'Error: "(\w+)"', scripts)),
        "camera.guide": set(re.findall(r"words\.guide\.(\w+)", scripts)) | {"searching", "good", "fired"},
        "checks": {*view.CHECKS, *get_args(quality.Severity)},
        "photo": {page.CAMERA, page.UPLOAD},
        "error": set(ERRORS),
        "square": set(re.findall(r"words\.(\w+)", square)) | {"smaller", "larger"},
        "note": set(NOTES),
        "flash": {"plain", "plain_alt", "alone", "alone_alt"},
    }
    keys = {f"{part}.{name}" for part, names in used.items() for name in names}
    for module in (page, view, words, closer, compare, compare_view, correction, offers, flash_page):
        keys |= keys_written_in(module)
    keys -= {"style.css", "icon.svg", "connection.js"}
    assert set(EN.sentences) == keys


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def small(mode: str = "RGB", colour: str | int = 0) -> Image.Image:
    return Image.new(mode, (48, 48), colour)


def read(data: bytes) -> None:
    read_capture_bytes(data, "lesion.jpg", tiny_card())


ERRORS = {
    "unreadable": lambda: read(b"this is text, not a photo"),
    "damaged": lambda: read(encode(Image.new("RGB", (400, 400)))[:200]),
    "too_small": lambda: read(encode(Image.new("RGB", (1, 1)))),
    "too_large": lambda: read(encode(Image.new("1", (20_000, 20_000)))),
    "heic": lambda: read(b"\0\0\0\x18ftypheic" + bytes(40)),
    "pages": lambda: read(encode(small(), "GIF", save_all=True, append_images=[small(colour="red")])),
    "too_many_bytes": lambda: read(bytes(MAX_PHOTO_BYTES + 2**20)),
    "incomplete": lambda: read_capture({"jpeg": ""}),
    "pair_incomplete": lambda: read_pair({}),
    "square_incomplete": lambda: read_square({}, (48, 48)),
    **REFUSED,
}
NOTES = {
    "deep": lambda: Image.fromarray(np.full((48, 48), 40000, np.uint16)),
    "grey": lambda: small("L"),
    "cmyk": lambda: small("CMYK"),
    "transparent": lambda: small("RGBA"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_what_is_wrong_with_a_photo_is_said_in_every_language_with_the_same_figures(kind):
    with pytest.raises(PhotoError) as caught:
        ERRORS[kind]()
    error = caught.value
    assert error.kind == kind
    assert EN.of_error(error) == str(error)
    for language in OTHERS:
        said = words_in(language).of_error(error)
        assert said != str(error)
        assert all(str(value) in said for value in error.values.values())


@pytest.mark.parametrize("kind", NOTES)
def test_notes_are_said_in_every_language(kind):
    data = encode(NOTES[kind](), "TIFF" if kind == "cmyk" else "PNG")
    note = next(note for note in decode_photo(data, name="lesion.png").notes if note.kind == kind)
    assert EN(f"note.{kind}", name="lesion.png") == note
    assert all("lesion.png" in words_in(language)(f"note.{kind}", name="lesion.png") for language in OTHERS)


def test_an_error_that_no_language_knows_is_said_as_it_is():
    assert words_in("ja").of_error(PhotoError("The lens is dirty; wipe it.")) == "The lens is dirty; wipe it."


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (("ja", "en-GB"), "ja"),
        ((None, "ja-JP"), "ja"),
        (("JA_jp",), "ja"),
        (("xx", "ja"), "ja"),
        (("../../en", None), "en"),
        ((None, "jav"), "en"),
        ((None, None), "en"),
        ((), "en"),
    ],
)
def test_the_first_wanted_language_that_there_is_is_chosen(wanted, chosen):
    assert choose_language(*wanted) == chosen


def test_sentences_in_a_row_are_set_as_the_language_sets_them():
    assert EN.in_a_row("One.", "", "Two.", "Three.") == "One. Two. Three."
    assert words_in("ja").in_a_row("一つ。", "二つ。") == "一つ。二つ。"
    assert EN.in_a_row("", "Alone.") == "Alone."
    assert EN.in_a_row() == ""


def test_values_with_braces_are_said_as_they_are():
    assert "{name}{0}.jpg" in EN("note.grey", name="{name}{0}.jpg")

"""Two photos side by side: what is held, what is said of a difference, and the whole way in a browser."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture_app import compare_view
from capture_app.comparison import (
    MEASURED_LESIONS,
    MOVED_POINTS,
    OTHER_LABEL,
    Comparison,
    compared,
    placed,
    same_picture,
    shared_scale,
    written_percent,
)
from capture_app.reading import Reading, read_capture_bytes
from capture_app.server import MODEL_VARIABLE
from capture_app.view import percent
from capture_app.words import languages, words_in
from export.runtime import Classifier, Score
from tests.capture_app.harness import (
    PHONE,
    ROOT,
    browser,
    lesion_jpeg,
    required_browser,
    scene_jpeg,
    serve,
    watched_page,
    write_fake_camera,
)
from tests.tiny_model import tiny_card
from training.data.datasets.phantom_capture import Capture

PAGE = ROOT / "capture_app" / "page.py"
EN = words_in("en")
TABLE = '<table class="dc-compared">'


def scores(*probabilities: float) -> tuple[Score, ...]:
    return tuple(Score(name, name.upper(), p) for name, p in zip("abc", probabilities, strict=False))


def reading_of(size: int = 300, **options: Any) -> Reading:
    return read_capture_bytes(lesion_jpeg(size=size, **options), f"{size}.jpg", tiny_card())


@pytest.fixture(scope="module")
def photos() -> tuple[Reading, Reading, Reading]:
    """Three different ones."""
    return reading_of(300), reading_of(320, lesion="tumour"), reading_of(340, lesion="crust")


def test_labels_are_ranked_by_both_photos_and_paired_by_name():
    rows = compared(
        scores(0.7, 0.2, 0.1), (Score("b", "B", 0.9), Score("a", "A", 0.05), Score("c", "C", 0.05))
    )
    assert [row.name for row in rows] == ["b", "a", "c"]
    assert rows[0].probabilities == (0.2, 0.9)
    assert [row.points for row in rows] == [70, -65, -5]


@pytest.mark.parametrize(
    ("first", "second", "points"),
    [
        (0.624, 0.506, -11),
        (0.004, 0.0096, 0),
        (0.995, 0.999, 0),
        (0.995, 0.5, -50),
        (0.5, 0.5, 0),
        (0.125, 0.135, 2),
    ],
)
def test_differences_are_those_of_the_percentages_as_they_are_written(first, second, points):
    (row,) = compared(scores(first), scores(second))
    assert row.points == points


@pytest.mark.parametrize("probability", [0.01, 0.015, 0.125, 0.5, 0.745, 0.985, 0.99])
def test_a_percentage_counts_as_it_is_written(probability):
    assert f"{written_percent(probability)}%" == percent(probability, EN)


def test_a_difference_has_a_sign_in_type():
    assert [compare_view.signed(points) for points in (3, 0, -12)] == ["+3", "0", "\N{MINUS SIGN}12"]


def test_a_photo_stays_until_the_one_in_its_place_is_there(photos):
    first, second, third = photos
    held = replace(Comparison(), second=second, kept={"gamma": 1.2})
    for place in (1, 2):
        asking = held.asking_for(place)
        assert asking.second is second
        assert asking.given_up().second is second
        assert asking.given_up().is_shown
    now_first, after = placed(first, held.asking_for(2), third)
    assert (now_first, after.second, after.kept) == (first, third, {"gamma": 1.2})
    now_first, after = placed(first, held.asking_for(1), third)
    assert (now_first, after.second, after.kept) == (third, second, {})
    assert after.asked is None


def test_asking_for_nothing_more_without_a_second_photo_leaves():
    assert not Comparison().asking_for(2).given_up().is_shown


def test_the_same_picture_is_seen_to_be_the_same(photos):
    assert same_picture(photos[0], reading_of(300))
    assert not same_picture(photos[0], photos[1])


def test_one_scale_is_the_strongest_evidence_of_both(tiny_model, photos):
    classifier = Classifier(tiny_model)
    predictions = [classifier.predict([photo.for_model])[0] for photo in photos[:2]]
    strongest = [float(prediction.lesion_cam.max()) for prediction in predictions]
    assert shared_scale(predictions) == shared_scale(predictions[::-1]) == max(strongest)
    silent = [replace(prediction, lesion_cam=-np.abs(prediction.lesion_cam)) for prediction in predictions]
    assert shared_scale(silent) == 0


def test_what_the_page_says_of_two_photos_of_one_lesion_is_what_was_measured():
    results = json.loads((ROOT / "benchmarks/results/two_photos.json").read_text())
    held_out = results["pad_ufes_20"]["held_out"]
    assert held_out["lesions"] == MEASURED_LESIONS
    assert round(held_out["median_points"]) == MOVED_POINTS
    assert round(held_out["other_label"] * held_out["lesions"]) == OTHER_LABEL


@pytest.mark.parametrize("language", languages())
def test_every_text_from_outside_is_escaped_and_every_row_has_its_heading(language):
    evil = "<script>alert(1)</script>"
    words = words_in(language)
    rows = compared((Score("x", evil, 0.7),), (Score("x", evil, 0.25),))
    table = compare_view.label_table(rows, words)
    assert "<script" not in table
    assert table.count('scope="row"') == 1
    assert table.count('scope="col"') == 4
    assert "\N{MINUS SIGN}45" in table
    assert "<script" not in compare_view.kept_photo(reading_of(200), evil, evil)
    assert evil not in compare_view.heading(evil, "both")


def test_faults_are_named_once_the_worst_first():
    dark = reading_of(300, capture=Capture(ev=-5.0))
    assert dark.quality.severity == "block"
    html = compare_view.faults(dark, EN)
    assert html.count("too dark") == 1
    assert html.index("dc-block") < html.index("too dark")
    assert EN("compare.good") not in html


# The page, without a browser.


def html_of(page: Any) -> str:
    return " ".join(html.proto.body for html in page.get("html"))


def open_page(model: Path, monkeypatch: pytest.MonkeyPatch, first: Reading) -> Any:
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(MODEL_VARIABLE, str(model))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.session_state["reading"] = first
    page.session_state["anyway"] = True
    page.session_state["last_way"] = "upload"
    return page.run()


def tap(page: Any, key: str) -> None:
    page.button(key=key).click().run()
    assert not page.exception


def give(page: Any, second: Reading) -> None:
    """As if it had been uploaded: AppTest has no files of this page's kind."""
    held = page.session_state["comparison"]
    first, held = placed(page.session_state["reading"], held, second)
    page.session_state["reading"], page.session_state["comparison"] = first, held
    page.run()
    assert not page.exception


def test_both_answers_stand_in_one_table_with_a_word_of_care(tiny_model, monkeypatch, photos):
    first, second, _ = photos
    page = open_page(tiny_model, monkeypatch, first)
    assert TABLE not in html_of(page)
    tap(page, "compare")
    assert EN("compare.kept", place=1) in html_of(page)
    give(page, second)
    shown = html_of(page)
    classifier = Classifier(tiny_model)
    answers = [classifier.predict([photo.for_model])[0] for photo in (first, second)]
    for row in compared(answers[0].lesions, answers[1].lesions):
        cells = shown.split(f'<th scope="row">{row.display}</th>')[1].split("</tr>")[0]
        assert re.findall("<b>(.*?)</b>", cells) == [percent(p, EN) for p in row.probabilities]
        assert f"<td>{compare_view.signed(row.points)}</td>" in cells
    assert "does not show that a spot has grown or changed" in shown
    assert f"{MOVED_POINTS} points" in shown
    assert EN("compare.same") not in shown
    assert "both photos as they were taken." in shown


def test_leaving_returns_to_the_first_answer_as_it_was_and_keeps_both_photos(tiny_model, monkeypatch, photos):
    first, second, _ = photos
    page = open_page(tiny_model, monkeypatch, first)
    page.slider(key="gamma").set_value(1.2).run()
    page.slider(key="opacity").set_value(20).run()
    answer = next(html.proto.body for html in page.get("html") if "dc-bars" in html.proto.body)
    tap(page, "compare")
    give(page, second)
    assert EN("compare.set_aside") in html_of(page)
    page.slider(key="compare_opacity").set_value(80).run()
    tap(page, "compare_leave")
    assert page.session_state["reading"] is first
    assert page.slider(key="gamma").value == 1.2
    assert page.slider(key="opacity").value == 20
    assert answer in html_of(page)
    assert page.button(key="compare").label == EN("compare.again")
    tap(page, "compare")
    assert page.session_state["comparison"].second is second
    assert TABLE in html_of(page)


def test_either_photo_can_be_removed_and_the_other_one_s_answer_is_shown(tiny_model, monkeypatch, photos):
    first, second, _ = photos
    for place, left in ((2, first), (1, second)):
        page = open_page(tiny_model, monkeypatch, first)
        page.slider(key="gamma").set_value(1.2).run()
        tap(page, "compare")
        give(page, second)
        tap(page, f"compare_remove_{place}")
        assert page.session_state["reading"] is left
        assert TABLE not in html_of(page)
        assert page.slider(key="gamma").value == (1.2 if place == 2 else 1.0)
        assert page.button(key="compare").label == EN("compare.start")


def test_either_photo_can_be_replaced_and_a_change_of_mind_loses_neither(tiny_model, monkeypatch, photos):
    first, second, third = photos
    page = open_page(tiny_model, monkeypatch, first)
    tap(page, "compare")
    give(page, second)
    tap(page, "compare_replace_1")
    assert EN("compare.kept", place=2) in html_of(page)
    tap(page, "compare_back")
    assert TABLE in html_of(page)
    assert page.session_state["reading"] is first
    tap(page, "compare_replace_1")
    give(page, third)
    assert page.session_state["reading"] is third
    assert page.session_state["comparison"].second is second
    tap(page, "compare_replace_2")
    give(page, first)
    assert page.session_state["comparison"].second is first


def test_a_second_photo_with_a_fault_that_stops_waits_for_a_word(tiny_model, monkeypatch, photos):
    dark = reading_of(1200, capture=Capture(ev=-5.0))
    page = open_page(tiny_model, monkeypatch, photos[0])
    tap(page, "compare")
    page.session_state["comparison"] = replace(page.session_state["comparison"], candidate=dark)
    page.run()
    assert not page.exception
    shown = html_of(page)
    assert EN("checks.better") in shown
    assert TABLE not in shown
    assert page.session_state["comparison"].candidate.sharper_from is None  # The picture was made sharper.
    tap(page, "compare_another")
    assert page.session_state["comparison"].candidate is None
    page.session_state["comparison"] = replace(page.session_state["comparison"], candidate=dark)
    page.run()
    tap(page, "compare_anyway")
    assert TABLE in html_of(page)
    assert "too dark" in html_of(page)


def test_giving_one_picture_twice_is_said(tiny_model, monkeypatch, photos):
    page = open_page(tiny_model, monkeypatch, photos[0])
    tap(page, "compare")
    give(page, photos[0])
    assert EN("compare.same") in html_of(page)


def test_another_first_photo_forgets_the_comparison(tiny_model, monkeypatch, photos):
    first, second, _ = photos
    page = open_page(tiny_model, monkeypatch, first)
    tap(page, "compare")
    give(page, second)
    tap(page, "compare_leave")
    tap(page, "another")
    assert "comparison" not in page.session_state
    assert "reading" not in page.session_state


# The page in a browser.


@pytest.fixture(scope="module")
def address(tiny_model_two_heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tiny_model_two_heads, tmp_path_factory.mktemp("server") / "log") as address:
        yield address


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    camera = write_fake_camera(tmp_path_factory.mktemp("camera") / "lesion.y4m", scene_jpeg())
    with browser(required_browser(), camera) as chromium:
        yield chromium


def upload(page: Any, name: str, data: bytes) -> None:
    page.get_by_role("radio", name="Upload").click()
    page.get_by_test_id("stFileChip").wait_for(state="detached")
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": data})


def settle(page: Any) -> None:
    """The sharper picture and the square come after the answer, and move what is below them."""
    page.get_by_role("application", name="The square").wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()


@pytest.mark.browser
@pytest.mark.slow
def test_a_second_photo_is_asked_for_compared_replaced_and_left_again(chromium, address):
    with watched_page(chromium, address) as page:
        upload(page, "first.jpg", lesion_jpeg(lesion="crust", size=800, capture=Capture(distance=1.2)))
        settle(page)
        used = page.get_by_text("Pixels used: on the left")
        suggested = used.inner_text()
        page.get_by_role("application", name="The square").press("-")
        page.get_by_text(suggested).wait_for(state="detached")
        moved = used.inner_text()
        page.locator(".st-key-label button").nth(1).click()
        label = page.locator(".st-key-label button").nth(1).inner_text()
        page.locator(f"img[alt='Your photo with the heatmap for {label}']").wait_for()
        answer = page.locator("ol.dc-bars").first.inner_text()

        page.get_by_role("button", name="Compare with another photo").press("Enter")
        heading = page.get_by_role("heading", name="Another photo of the same spot")
        heading.wait_for()
        page.wait_for_function("() => document.activeElement.tagName === 'H2'")
        assert page.get_by_test_id("stMain").evaluate("main => main.scrollTop") == 0
        page.get_by_text("Photo 1 is kept.").wait_for()
        upload(page, "notes.jpg", b"this is text, not a photo")
        page.get_by_role("alert").filter(has_text="notes.jpg is not a photo").wait_for()
        page.get_by_text("Photo 1 is kept.").wait_for()

        page.get_by_role("radio", name="Camera").click()
        page.get_by_role("button", name="Open the camera").click()  # The scene is good: it fires by itself.
        page.get_by_role("heading", name="Two photos side by side").wait_for()
        table = page.get_by_role("table", name="Labels of both photos")
        table.get_by_role("row").nth(3).wait_for()
        assert table.get_by_role("columnheader").all_inner_texts()[:3] == ["Label", "Photo 1", "Photo 2"]
        for place in (1, 2):
            page.get_by_role("img", name=f"Photo {place}, the part that the model saw").wait_for()
        tapped = page.locator(".st-key-compare_label button").nth(1)
        name = tapped.inner_text()
        tapped.click()
        maps = [
            page.get_by_role("img", name=f"Photo {place} with the heatmap for {name}") for place in (1, 2)
        ]
        for one in maps:
            one.wait_for()
        boxes = [one.bounding_box() for one in maps]
        assert boxes[0]["y"] == boxes[1]["y"]
        assert boxes[0]["width"] == pytest.approx(boxes[1]["width"], abs=1)
        assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
        main = page.get_by_test_id("stMain")
        assert main.evaluate("main => main.scrollWidth") <= PHONE["viewport"]["width"]

        before = page.get_by_role("img", name="Photo 2, the part").get_attribute("src")
        page.get_by_role("button", name="Replace photo 2").click()
        page.get_by_role("heading", name="A new photo 2").wait_for()
        page.get_by_role("button", name="Back to the two photos").click()
        table.wait_for()
        assert page.get_by_role("img", name="Photo 2, the part").get_attribute("src") == before

        page.get_by_role("button", name="Back to the answer").last.click()
        settle(page)
        page.get_by_text(moved).wait_for()
        page.locator(f"img[alt='Your photo with the heatmap for {label}']").wait_for()
        assert page.locator("ol.dc-bars").first.inner_text() == answer
        page.get_by_role("button", name="Back to the comparison").click()
        table.wait_for()
        page.get_by_role("button", name="Remove photo 1").click()
        page.get_by_role("button", name="Compare with another photo").wait_for()
        page.get_by_text("720 × 960 pixels").wait_for()


@pytest.mark.browser
@pytest.mark.slow
def test_what_is_tapped_in_a_comparison_is_large_enough_for_a_thumb(chromium, address):
    with watched_page(chromium, address) as page:
        upload(page, "first.jpg", lesion_jpeg(size=400))
        settle(page)
        page.get_by_role("button", name="Compare with another photo").press("Enter")
        page.get_by_text("Photo 1 is kept.").wait_for()
        upload(page, "second.jpg", lesion_jpeg(lesion="crust", size=420))
        page.locator(".dc-legend").wait_for()
        page.locator("[data-test-script-state=notRunning]").wait_for()
        names = [
            "Back to the answer",
            *(f"{verb} photo {place}" for verb in ("Replace", "Remove") for place in (1, 2)),
        ]
        for name in names:
            box = page.get_by_role("button", name=name).first.bounding_box()
            assert min(box["width"], box["height"]) >= 44, name
        labels = page.locator(".st-key-compare_label button")
        labels.nth(2).wait_for()
        assert all(box["height"] >= 44 for box in (label.bounding_box() for label in labels.all()))

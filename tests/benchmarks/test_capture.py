"""benchmarks.capture: its ways are the page's, its figures add up, and it says what it was run on."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import capture
from benchmarks.capture import TimedWay
from benchmarks.capture_memory import measure_memory
from benchmarks.capture_path import (
    DECODE,
    FLOOR_INT8,
    FULL_FP32,
    GAMMA,
    NETWORK,
    PAGE_FP32,
    PAGE_INT8,
    STAGES,
    WAYS,
)
from benchmarks.capture_photo import drawn_jpeg
from benchmarks.latency_rounds import MIN_ROUNDS, WARM_UP_CALLS, median_of_rounds, run_rounds
from benchmarks.random_run import write_targets
from capture_app.reading import read_capture_bytes
from capture_app.tone import apply_gamma
from export.runtime import Classifier
from training.cli import run
from training.data.photo import decode_photo


@pytest.fixture(scope="module")
def data() -> bytes:
    return drawn_jpeg((640, 800))


@pytest.fixture(scope="module")
def files(tiny_run_two_heads: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_targets(tiny_run_two_heads, tmp_path_factory.mktemp("targets"))[:2]


def test_the_pages_way_is_what_the_page_does(data: bytes, files: list[Path]) -> None:
    classifier = Classifier(files[0], threads=1)
    answer = PAGE_FP32.answer(data, classifier)
    reading = read_capture_bytes(data, "lesion.jpg", classifier.card)
    (expected,) = classifier.predict([apply_gamma(reading.for_model, GAMMA)])
    np.testing.assert_array_equal(answer.shown, reading.shown)
    assert answer.prediction.lesions == expected.lesions
    np.testing.assert_array_equal(answer.prediction.lesion_cam, expected.lesion_cam)
    assert tuple(answer.laps) == STAGES


def test_full_resolution_takes_the_same_steps_on_every_pixel(data: bytes, files: list[Path]) -> None:
    classifier = Classifier(files[0], threads=1)
    answer = FULL_FP32.answer(data, classifier)
    assert answer.shown is not None
    assert answer.shown.shape == (640, 800, 3)
    (expected,) = classifier.predict([apply_gamma(decode_photo(data).image_rgb, GAMMA)])
    assert answer.prediction.lesions == expected.lesions
    assert tuple(answer.laps) == STAGES


def test_the_floor_is_one_decoding_and_one_pass(data: bytes, files: list[Path]) -> None:
    classifier = Classifier(files[0], threads=1)
    answer = FLOOR_INT8.answer(data, classifier)
    (expected,) = classifier.predict([decode_photo(data, min_side=80).image_rgb])
    assert answer.prediction.lesions == expected.lesions
    assert tuple(answer.laps) == (DECODE, NETWORK)


def test_a_turns_first_call_is_not_counted_and_stages_add_up() -> None:
    calls: list[int] = []

    def call() -> dict[str, float]:
        calls.append(1)
        return {DECODE: 40.0, NETWORK: float(len(calls))}

    timed = TimedWay("way", call)
    run_rounds([timed], budget_s=0.001)
    counted = sum(len(turn) for turn in timed.rounds_ms)
    assert len(calls) == WARM_UP_CALLS + len(timed.rounds_ms) + counted
    assert len(timed.rounds_ms) >= MIN_ROUNDS
    for i, turn in enumerate(timed.rounds_ms):
        stages = zip(timed.stages_ms[DECODE][i], timed.stages_ms[NETWORK][i], strict=True)
        assert turn == [decode + network for decode, network in stages]


def test_a_median_over_rounds_lies_in_its_interval() -> None:
    median, (low, high) = median_of_rounds([[1.0, 1.0, 50.0], [2.0], [3.0], [4.0], [100.0]])
    assert median == 3
    assert low <= median <= high
    assert median_of_rounds([[7.0]] * 5) == (7, (7, 7))


def test_the_drawn_photo_is_a_large_file_and_always_the_same(data: bytes) -> None:
    assert drawn_jpeg((640, 800)) == data
    assert decode_photo(data).original_size_hw == (640, 800)
    # A phone's 12 megapixels take two megabytes and more: a sixth of a byte a pixel.
    assert len(data) > 640 * 800 / 6


def test_a_process_of_its_own_tells_what_an_answer_adds(data: bytes, files: list[Path]) -> None:
    large = drawn_jpeg((1600, 2000))  # A small photo finds room in what the process has already.
    near, full = (measure_memory(way, files[0], large) for way in (PAGE_FP32, FULL_FP32))
    if near is None or full is None:
        pytest.skip("this kernel does not tell")
    assert near.added_mb < full.added_mb < full.process_mb
    with pytest.raises(RuntimeError, match="absent"):
        measure_memory(PAGE_FP32, Path("absent.onnx"), data)


def test_the_command_prints_and_writes_the_same_figures(
    data: bytes, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out, plot = (
        tmp_path / "lesion.jpg",
        tmp_path / "results" / "capture.json",
        tmp_path / "capture.png",
    )
    photo.write_bytes(data)
    options = [
        "--photo",
        str(photo),
        "--seconds",
        "0.01",
        "--no-memory",
        "--out",
        str(out),
        "--plot",
        str(plot),
    ]
    assert run(lambda: capture.main(["--model", *map(str, files), *options])) == 0
    printed, written = capsys.readouterr().out, json.loads(out.read_text())
    assert [way["name"] for way in written["ways"]] == [way.name for way in WAYS]
    for way in written["ways"]:
        low, high = way["whole"]["interval_ms"]
        assert 0 < way["whole"]["fastest_ms"] <= low <= way["whole"]["median_ms"] <= high
        assert way["memory"] is None
    rows = {line.split("|")[1].strip(): line for line in printed.splitlines() if line.startswith("| ")}
    assert set(STAGES) <= rows.keys()
    assert f"**{written['ways'][0]['whole']['median_ms']:.1f}**" in rows["**whole**"]
    assert [row["asked"] for row in written["demands"]] == ["at least 4.5", "at most 1.3"]
    assert all(row["verdict"] in ("met", "missed") for row in written["demands"])
    assert (written["photo_size_hw"], written["photo_bytes"]) == ([640, 800], len(data))
    assert not written["random_weights"]
    assert not written["photo_drawn"]
    assert "random" not in printed
    assert str(tmp_path) not in printed + out.read_text()
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_compared_is_one_sentence(
    files: list[Path], tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    int8 = next(path for path in files if "int8" in path.name)
    for arguments, sentence in (
        (["--model", str(tiny_model)], "no int8 file"),
        (["--seconds", "0"], "--seconds is 0"),
        (["--photo", "absent.jpg"], "absent.jpg"),
    ):
        assert run(lambda given=arguments: capture.main(given)) == 2
        assert sentence in capsys.readouterr().err
    assert capture._by_precision([int8, tiny_model]).keys() == {"int8", "fp32"}


def test_ways_differ_in_what_they_are_asked_to_differ_in() -> None:
    assert dataclasses.replace(PAGE_INT8, name=PAGE_FP32.name, precision="fp32") == PAGE_FP32
    assert {way.kind for way in WAYS} == {"page", "full", "floor"}

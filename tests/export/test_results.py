"""Files of results: what stands in them, and going on after an interruption at any byte."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import export.classify as command
from export.results import csv_columns
from export.runtime import MAX_BATCH, Classifier, Prediction
from training.cli import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USER_ERROR, run
from training.data.photo import Photo, read_photo

N_PHOTOS = MAX_BATCH + 4
FORMATS = pytest.mark.parametrize("suffix", [".csv", ".jsonl"])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than a batch, of two sizes and odd names, the sixth broken."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(N_PHOTOS):
        path = folder / (f"{number:02}.png" if number % 7 else f'{number:02}, "é"\nline.png')
        path.write_bytes(
            cv2.imencode(".png", rng.integers(0, 256, (70 + number % 2, 90, 3), np.uint8))[1].tobytes()
        )
    (folder / "05.png").write_bytes(b"no photo")
    return folder


def classify(*arguments: object) -> int:
    return run(lambda: command.main([str(argument) for argument in arguments]))


def expected(model: Path, photos: Path) -> dict[str, tuple[Photo, Prediction]]:
    """What Classifier itself says of the photos, shown in the same batches."""
    classifier = Classifier(model)
    paths = sorted(photos.iterdir())
    found = {}
    for start in range(0, len(paths), MAX_BATCH):
        batch = {
            str(path): read_photo(path, min_side=80)
            for path in paths[start : start + MAX_BATCH]
            if path.name != "05.png"
        }
        predictions = classifier.predict([photo.image_rgb for photo in batch.values()])
        found.update({path: (batch[path], p) for path, p in zip(batch, predictions, strict=True)})
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return (
            list(csv.DictReader(stream)) if path.suffix == ".csv" else [json.loads(line) for line in stream]
        )


@pytest.mark.parametrize("heads", ["tiny_model", "tiny_model_two_heads"])
def test_csv_rows_are_the_classifiers_predictions(
    heads: str,
    photos: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = request.getfixturevalue(heads)
    out = tmp_path / "new" / "results.csv"
    assert classify(model, photos, "--out", out) == EXIT_FAILED
    printed, told = capsys.readouterr()
    assert printed == ""
    assert "left out 1:" in told
    assert f"{N_PHOTOS - 1} photos, {N_PHOTOS - 1} of them new" in told
    rows, predictions = rows_of(out), expected(model, photos)
    assert [row["path"] for row in rows] == list(predictions)
    classifier = Classifier(model)
    assert tuple(rows[0]) == csv_columns(classifier.card)
    for row, (_, prediction) in zip(rows, predictions.values(), strict=True):
        assert row["lesion"] == prediction.lesions[0].name
        assert float(row["probability"]) == prediction.lesions[0].probability
        assert {name: float(row[f"p_{name}"]) for name in prediction.lesion_names} == {
            score.name: score.probability for score in prediction.lesions
        }
        if prediction.locations:
            assert row["location"] == prediction.locations[0].name
            assert float(row["location_probability"]) == prediction.locations[0].probability
        assert {key: float(value) for key, value in row.items() if key.startswith("site_")} == {
            f"site_{score.name}": score.probability for score in prediction.locations
        }
        assert (row["model_id"], row["synthetic"], row["notes"]) == (classifier.model_id, "true", "")


def test_json_lines_are_what_json_prints(
    tiny_model_two_heads: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classify(tiny_model_two_heads, photos, "--json")
    printed = capsys.readouterr().out
    classify(tiny_model_two_heads, photos, "--out", tmp_path / "results.jsonl")
    assert (tmp_path / "results.jsonl").read_text() == printed
    assert [json.loads(line)["path"] for line in printed.splitlines()] == list(
        expected(tiny_model_two_heads, photos)
    )


@FORMATS
def test_it_goes_on_after_an_interruption_at_any_byte(
    suffix: str, tiny_model_two_heads: Path, photos: Path, tmp_path: Path
) -> None:
    whole, resumed = tmp_path / f"whole{suffix}", tmp_path / f"resumed{suffix}"
    classify(tiny_model_two_heads, photos, "--out", whole)
    content = whole.read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    cuts = {
        0,
        1,
        20,
        ends[0] - 1,
        ends[0],
        ends[0] + 5,
        ends[3] - 1,
        ends[3],
        ends[3] + 40,
        ends[-3],
        len(content) - 1,
    }
    for cut in sorted(cuts):
        resumed.write_bytes(content[:cut])
        classify(tiny_model_two_heads, photos, "--out", resumed)
        assert resumed.read_bytes() == content, cut


@FORMATS
def test_ctrl_c_keeps_what_was_finished(
    suffix: str, tiny_model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / f"whole{suffix}", tmp_path / f"results{suffix}"
    classify(tiny_model, photos, "--out", whole, "--heatmaps", tmp_path / "heatmaps")
    written = command.write_heatmap
    count = 0

    def interrupted(path: Path, photo: Photo, prediction: Prediction) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        written(path, photo, prediction)

    monkeypatch.setattr(command, "write_heatmap", interrupted)
    arguments = (tiny_model, photos, "--out", out, "--heatmaps", tmp_path / "heatmaps")
    assert classify(*arguments) == EXIT_INTERRUPTED
    assert len(rows_of(out)) == 3
    assert classify(*arguments) == EXIT_FAILED
    assert out.read_bytes() == whole.read_bytes()
    assert all(Path(row["heatmap"]).is_file() for row in rows_of(out))


@FORMATS
def test_a_finished_file_is_left_as_it_is(
    suffix: str, tiny_model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"results{suffix}"
    photo = sorted(photos.iterdir())[1]
    assert classify(tiny_model, photo, "--out", out) == EXIT_OK
    content = out.read_bytes()
    capsys.readouterr()
    assert classify(tiny_model, photo, "--out", out) == EXIT_OK
    assert out.read_bytes() == content
    assert "1 of 1 photos stand in" in capsys.readouterr().err


def test_photos_left_out_are_tried_again(tiny_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "results.csv"
    folder.mkdir()
    good = cv2.imencode(".png", np.zeros((60, 60, 3), np.uint8))[1].tobytes()
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).write_bytes(good if name != "b.png" else good[:50])
    assert classify(tiny_model, folder, "--out", out) == EXIT_FAILED
    (folder / "b.png").write_bytes(good)
    assert classify(tiny_model, folder, "--out", out) == EXIT_OK
    assert [Path(row["path"]).name for row in rows_of(out)] == ["a.png", "c.png", "b.png"]


@FORMATS
def test_another_models_file_is_refused_and_left_alone(
    suffix: str,
    tiny_model: Path,
    tiny_model_two_heads: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / f"results{suffix}"
    photo = sorted(photos.iterdir())[1]
    classify(tiny_model_two_heads, photo, "--out", out)
    out.write_bytes(out.read_bytes() + b"half a ro")
    content = out.read_bytes()
    assert classify(tiny_model, photos, "--out", out) == EXIT_USER_ERROR
    error = capsys.readouterr().err.splitlines()[-1]
    assert "holds results of another model" in error
    assert error.endswith("give another --out, or delete it.")
    assert out.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("r.csv", lambda _: "path,lesions,group\na.jpg,acne,1\n", "not a file of results"),
        ("r.csv", lambda _: "a list of mine", "not a file of results"),
        ("r.csv", lambda _: "path,lesion,probability\n", "has other columns than are written now"),
        ("r.csv", lambda rows: rows + "a.jpg,acne,0.5\n", "damaged in row 3"),
        ("r.csv", lambda rows: rows + '"a.jpg"b,acne,0.5\n', "damaged in row 3"),
        ("r.jsonl", lambda _: '{"name": 1}\n', "not a file of results"),
        ("r.jsonl", lambda _: "[1, 2]\n", "not a file of results"),
        ("r.jsonl", lambda _: '{"pat', ""),
        ("r.jsonl", lambda _: "a list of mine", "not a file of results"),
        ("r.jsonl", lambda rows: rows + "\0\0\0\n", "damaged in row 2"),
    ],
)
def test_files_that_are_not_ours(
    name: str,
    change: Callable[[str], str],
    sentence: str,
    tiny_model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, photo = tmp_path / name, sorted(photos.iterdir())[1]
    classify(tiny_model, photo, "--out", out)
    content = change(out.read_text())
    out.write_text(content)
    capsys.readouterr()
    code = classify(tiny_model, photo, "--out", out)
    if sentence:
        assert code == EXIT_USER_ERROR
        assert sentence in capsys.readouterr().err
        assert out.read_text() == content
    else:
        assert code == EXIT_OK
        assert len(rows_of(out)) == 1


@FORMATS
def test_rows_with_and_without_heatmaps_are_not_mixed(
    suffix: str, tiny_model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, photo = tmp_path / f"results{suffix}", sorted(photos.iterdir())[1]
    classify(tiny_model, photo, "--out", out)
    assert classify(tiny_model, photo, "--out", out, "--heatmaps", tmp_path) == EXIT_USER_ERROR
    assert "(heatmap): it was written with or without --heatmaps" in capsys.readouterr().err


@FORMATS
def test_names_that_are_no_utf8_go_through(
    suffix: str, tiny_model: Path, photos: Path, tmp_path: Path
) -> None:
    source = sorted(photos.iterdir())[1]
    photo = tmp_path / "caf\udce9.png"
    try:
        photo.write_bytes(source.read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    out = tmp_path / f"results{suffix}"
    for _ in range(2):
        assert classify(tiny_model, photo, "--out", out) == EXIT_OK
    assert out.read_bytes().count(b"\n") == (2 if suffix == ".csv" else 1)

import json
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest

import export.classify as command
from export.classify import READ_AHEAD, classify_photos, heatmap_paths
from export.photos import find_photos
from export.runtime import MAX_BATCH, Classifier
from training.cli import run
from training.data.photo import Photo, read_photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two photos, a hidden one, a heatmap, a text and, below it, a photo of the same name."""
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "b.PNG", ".hidden.jpg", "a.heatmap.jpg", "clinic/a.jpg", ".cache/c.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (90, 130, 3), np.uint8))
    (folder / "notes.txt").write_text("no photo")
    return folder


def classify(*arguments: object) -> int:
    return run(lambda: command.main([str(argument) for argument in arguments]))


def test_folders_are_searched_for_photos(photos: Path, tmp_path: Path) -> None:
    found, left_out = find_photos([photos, photos / "a.jpg", photos / "notes.txt"])
    assert found == [photos / "a.jpg", photos / "b.PNG", photos / "clinic/a.jpg", photos / "notes.txt"]
    assert left_out == []
    (tmp_path / "empty").mkdir()
    found, left_out = find_photos([tmp_path / "empty", tmp_path / "absent.jpg"])
    assert found == [tmp_path / "absent.jpg"]
    assert "empty holds no photo; files ending in .jpg" in left_out[0]


def test_photos_come_out_in_order_across_batches(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    classifier = Classifier(tiny_model)
    paths = [photos / "a.jpg", tmp_path / "absent.jpg", photos / "b.PNG"] * (MAX_BATCH // 2)
    outcomes = list(classify_photos(classifier, paths))
    assert [outcome.path for outcome in outcomes] == paths
    alone = classifier.predict([read_photo(photos / "b.PNG", min_side=80).image_rgb])[0]
    last = outcomes[-1]
    assert isinstance(last, command.Classified)
    assert [score.name for score in last.prediction.lesions] == [score.name for score in alone.lesions]


def test_a_slow_photo_does_not_lose_its_place(
    tiny_model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_the_first_last(path: Path, min_side: int) -> Photo:
        if path == photos / "a.jpg":
            time.sleep(0.3)
        return read_photo(path, min_side=min_side)

    monkeypatch.setattr(command, "read_photo", read_the_first_last)
    paths = [photos / name for name in ("a.jpg", "b.PNG", "clinic/a.jpg")]
    assert [outcome.path for outcome in classify_photos(Classifier(tiny_model), paths)] == paths


def test_few_photos_are_in_memory_at_once(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive, most = 0, 0
    lock = threading.Lock()

    def forget() -> None:
        nonlocal alive
        with lock:
            alive -= 1

    def stand_in(path: Path, min_side: int) -> Photo:
        nonlocal alive, most
        photo = Photo(np.zeros((40, 40, 3), np.uint8), (40, 40))
        with lock:
            alive += 1
            most = max(most, alive)
        weakref.finalize(photo, forget)
        return photo

    monkeypatch.setattr(command, "read_photo", stand_in)
    paths = [Path(f"{number}.jpg") for number in range(10 * MAX_BATCH)]
    outcomes = classify_photos(Classifier(tiny_model), paths)
    assert sum(isinstance(outcome, command.Classified) for outcome in outcomes) == len(paths)
    assert MAX_BATCH < most <= READ_AHEAD + MAX_BATCH + 1


def test_photos_that_are_done_are_not_asked_for(
    tiny_model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a batch those done make it whole; of a batch that is done, nothing is read."""
    paths = [photos / "a.jpg", *(photos / f"{number}.jpg" for number in range(MAX_BATCH)), photos / "b.PNG"]
    for path in paths[1:-1]:
        path.write_bytes((photos / "clinic/a.jpg").read_bytes())
    classifier = Classifier(tiny_model)
    every = [
        outcome for outcome in classify_photos(classifier, paths) if isinstance(outcome, command.Classified)
    ]
    was_read = []

    def noted(path: Path, min_side: int) -> Photo:
        was_read.append(path)
        return read_photo(path, min_side=min_side)

    monkeypatch.setattr(command, "read_photo", noted)
    (last_two, last) = (list(classify_photos(classifier, paths, done=paths[:-count])) for count in (2, 1))
    assert sorted(was_read) == sorted([*paths[-2:], *paths[-2:]])
    for again, first in zip([*last_two, *last], [*every[-2:], every[-1]], strict=True):
        assert isinstance(again, command.Classified)
        assert again.path == first.path
        assert again.prediction.lesions == first.prediction.lesions
    was_read.clear()
    within = list(classify_photos(classifier, paths, done=paths[:3]))
    assert [outcome.path for outcome in within] == paths[3:]
    assert sorted(was_read) == sorted(paths)


def test_text_names_the_best_labels_and_the_limits(
    tiny_model_two_heads: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(tiny_model_two_heads, photos / "a.jpg", "--top", 2) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == str(photos / "a.jpg")
    assert [line.split()[0] for line in lines[1:]] == ["lesion", "lesion", "body", "body"]
    assert all(line.endswith("%") for line in lines[1:])
    assert err.count("Research software, not a diagnosis.") == 1
    assert "learned from drawings" in err


def test_json_is_a_line_a_photo(
    tiny_model_two_heads: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(tiny_model_two_heads, photos, "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["path"] for record in records] == [
        str(photos / name) for name in ("a.jpg", "b.PNG", "clinic/a.jpg")
    ]
    for record in records:
        assert len(record["lesions"]) == 3
        assert len(record["locations"]) == 4
        assert set(record["lesions"][0]) == {"name", "display", "probability"}
        assert record["model_id"] == Classifier(tiny_model_two_heads).model_id
        assert record["synthetic"] is True
        assert record["notes"] == []


def test_equal_commands_print_equal_bytes(
    tiny_model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for _ in range(2):
        classify(tiny_model, photos, "--json")
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_labels_below_a_probability_are_left_out(
    tiny_model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classify(tiny_model, photos / "a.jpg", "--json")
    every = json.loads(capsys.readouterr().out)["lesions"]
    limit = every[1]["probability"]
    classify(tiny_model, photos / "a.jpg", "--json", "--min-probability", limit)
    assert json.loads(capsys.readouterr().out)["lesions"] == every[:2]


def test_a_bad_photo_does_not_stop_the_others(
    tiny_model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes((photos / "a.jpg").read_bytes()[:500])
    (photos / "no-photo.png").write_text("hello")
    (tmp_path / "empty").mkdir()
    assert classify(tiny_model, photos, tmp_path / "absent.jpg", tmp_path / "empty", "--json") == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    report = err[err.index("left out 4:") :].strip().splitlines()[1:]
    assert len(report) == 4
    for name in ("broken.jpg", "no-photo.png", "absent.jpg", "empty"):
        assert sum(name in line for line in report) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "no photo is named"),
        (["x.jpg", "--top", "0"], "--top is 0"),
        (["x.jpg", "--min-probability", "2"], "must lie in [0, 1]"),
        (["x.jpg", "--out", "results.xlsx"], "its name must end in .csv or .jsonl"),
        (["x.jpg", "--out", "results.csv", "--top", "1"], "leave them out, or leave out --out"),
        (["x.jpg", "--out", "results.csv", "--json"], "leave them out, or leave out --out"),
    ],
)
def test_arguments_that_are_not_valid(
    tiny_model: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        classify(tiny_model, *arguments)
    assert stopped.value.code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_model_that_is_not_there(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert classify(photos / "model.onnx", photos) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_heatmaps_are_photos_of_the_photos_size(
    tiny_model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(tiny_model, photos, "--json", "--heatmaps", tmp_path / "out") == 0
    named = [json.loads(line)["heatmap"] for line in capsys.readouterr().out.splitlines()]
    assert [Path(name).name for name in named] == ["a.heatmap.jpg", "b.heatmap.jpg", "a-2.heatmap.jpg"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        Path(name).name for name in named
    )
    for name in named:
        assert read_photo(name).image_rgb.shape == (90, 130, 3)


def test_heatmaps_beside_the_photos_touch_none_of_them(tiny_model: Path, photos: Path) -> None:
    given = [photos / "a.jpg", photos / "a.heatmap.jpg", photos / "b.PNG"]
    before = [path.read_bytes() for path in given]
    assert classify(tiny_model, *given, "--heatmaps", photos) == 0
    assert [path.read_bytes() for path in given] == before
    assert (photos / "a-2.heatmap.jpg").exists()
    assert (photos / "a.heatmap.heatmap.jpg").exists()


def test_heatmaps_of_photos_of_one_name_do_not_collide(tmp_path: Path) -> None:
    photos = [Path(name) for name in ("a/x.jpg", "b/x.jpg", "x.png", "x-2.jpg")]
    paths = heatmap_paths(photos, tmp_path)
    assert list(paths) == photos
    assert len({path.resolve() for path in paths.values()}) == len(photos)


def test_heatmaps_of_photos_that_are_done_keep_their_names(tmp_path: Path) -> None:
    photos = [Path(name) for name in ("a/x.jpg", "b/x.jpg", "c/x.jpg")]
    first = heatmap_paths(photos[1:], tmp_path)
    paths = heatmap_paths(photos, tmp_path, {photos[1]: first[photos[1]]})
    assert list(paths) == [photos[0], photos[2]]
    assert first[photos[1]] not in paths.values()


WITHOUT_TORCH = """
import sys

class Absent:
    names = {"torch", "torchvision", "pandas", "matplotlib", "onnx", "sklearn"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Absent())
import export.heatmap, export.targets, export.contract
from export.classify import main
from training.cli import run
sys.exit(run(main))
"""


def test_it_runs_where_torch_cannot_be_imported(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            WITHOUT_TORCH,
            tiny_model,
            photos,
            "--json",
            "--heatmaps",
            tmp_path / "out",
        ],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 3
    assert len(list((tmp_path / "out").iterdir())) == 3

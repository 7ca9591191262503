"""A file gets its name only after it has been compared with its checkpoint."""

import dataclasses
import errno
import json
import os
import resource
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import export.__main__ as command
import export.verify as verification
from export.parity import Answers, Parity, compare, difference, missed_limits
from export.photos_of_run import LabelledPhotos, RunPhotos
from export.targets import TARGETS, Limits, Target, find_target
from export.trunk import read_card
from export.verify import verify
from tests.tiny_model import make_run, tiny_card
from training.cli import run
from training.errors import ModelFileError
from training.evaluation.metrics import balanced_accuracy
from training.models.card import Preprocessing
from training.models.checkpoint import Checkpoint, load_checkpoint


def small_photos() -> LabelledPhotos:
    return LabelledPhotos([np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)])


def answers(top: int, n_labels: int = 3) -> Answers:
    """Of a model that is sure of one label and looks at one corner."""
    cam = np.zeros((n_labels, 2, 2))
    cam[top, 0, 0] = 1
    return Answers(np.eye(n_labels)[top], np.empty(0), cam, np.ones(4))


def drawn(preprocessing: Preprocessing) -> LabelledPhotos:
    return small_photos()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    """The command with the graph of `tiny_run` at hand and one photo to compare by."""
    monkeypatch.setattr(command, "write_graph", lambda checkpoint, path: shutil.copyfile(tiny_model, path))
    monkeypatch.setattr(command, "drawn_photos", drawn)


@pytest.fixture
def other_run(tmp_path: Path) -> Path:
    """A run with the card of `tiny_run` and other weights."""
    return make_run(tmp_path / "other", tiny_card(), seed=1)


@pytest.mark.slow
def test_the_command_writes_the_same_file_for_the_same_run(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for folder in ("deep/out", "again"):
        assert run(lambda folder=folder: command.main([str(tiny_run), "--out", str(tmp_path / folder)])) == 0
        out, err = capsys.readouterr()
        files.append(Path(out.strip()))
        assert files[-1] == tmp_path / folder / "model.onnx"
        assert [file.name for file in files[-1].parent.iterdir()] == ["model.onnx"]
        assert "parity passed (cpu-fp32" in err
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.usefixtures("quick")
def test_a_file_that_misses_does_not_get_the_name(
    other_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.onnx").write_bytes(b"the last good one")
    assert run(lambda: command.main([str(other_run), "--out", str(out)])) == 1
    assert (out / "model.onnx").read_bytes() == b"the last good one"
    names = sorted(file.name for file in out.iterdir())
    assert names == ["model.failed.json", "model.failed.onnx", "model.onnx"]
    err = capsys.readouterr().err
    assert "parity MISSED" in err
    assert "was not written; look at" in err
    figures = json.loads((out / "model.failed.json").read_text())
    assert not figures["passed"]
    assert any("probability" in miss for miss in figures["missed"])


@pytest.mark.usefixtures("quick")
def test_a_stricter_target_is_missed_by_rounding_alone(tiny_run: Path, tmp_path: Path) -> None:
    strict = dataclasses.replace(TARGETS[0], limits=Limits(0.0, 0.0, 0.0))
    with pytest.raises(command.ParityMissed, match=r"over 0e\+00"):
        command.Exporter.open(tiny_run).export(tmp_path, strict)
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.usefixtures("quick")
def test_a_pass_clears_away_the_last_failure(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.failed.onnx").write_bytes(b"old")
    (tmp_path / "model.failed.json").write_bytes(b"old")
    path, parity = command.Exporter.open(tiny_run).export(tmp_path)
    assert parity.passed
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_export_that_breaks_leaves_nothing(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(checkpoint: Checkpoint, path: Path) -> None:
        path.write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "write_graph", interrupted)
    assert run(lambda: command.main([str(tiny_run), "--out", str(tmp_path)])) == 130
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments_get_a_sentence(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lambda: command.main([str(tiny_run), "--out", str(tmp_path), "--target", "npu"])) == 2
    assert "no export target 'npu'; valid are cpu-fp32, cpu-int8" in capsys.readouterr().err
    assert run(lambda: command.main([str(tmp_path / "nowhere"), "--out", str(tmp_path)])) == 2
    assert "nowhere is not there" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_int8_without_photos_names_the_way_out(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lambda: command.main([str(tiny_run), "--out", str(tmp_path), "--target", "cpu-int8"])) == 2
    assert "calibrated on the run's own training photos" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def exporter(tiny_run: Path, tiny_model: Path) -> command.Exporter:
    """With photos to calibrate on and to compare on."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (80, 90, 3), np.uint8) for _ in range(4)]
    photos = RunPhotos(LabelledPhotos(images[:2], source="2 photos"), LabelledPhotos(images[2:]))
    return command.Exporter(load_checkpoint(tiny_run), onnx.load(tiny_model), photos)


def lenient(name: str) -> Target:
    """The target `name`, of which random weights are asked no more than its size and finite numbers."""
    target = find_target(name)
    return dataclasses.replace(target, limits=Limits(probability=1.0, size=target.limits.size))


@pytest.mark.parametrize("name", ["cpu-int8", "cuda-fp16"])
def test_reduced_files_carry_what_was_done_to_them(
    exporter: command.Exporter, name: str, tmp_path: Path
) -> None:
    path, parity = exporter.export(tmp_path, lenient(name))
    assert path.name == find_target(name).file_name
    assert parity.passed
    notes = read_card(onnx.load(path)).export
    assert notes["target"] == name
    assert notes["kept_in_fp32"] == (["conv1"] if name == "cpu-int8" else [])
    assert notes.get("calibrated_on") == ("2 photos" if name == "cpu-int8" else None)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["cpu-fp32", "cpu-int8", "cuda-fp16"])
def test_a_disk_that_takes_no_more_leaves_the_last_good_file(
    exporter: command.Exporter,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = lenient(name)
    path = tmp_path / target.file_name
    path.write_bytes(b"the last good file")
    monkeypatch.setattr(command, "find_target", lambda _: target)
    monkeypatch.setattr(command.Exporter, "open", lambda *_: exporter)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        code = run(lambda: command.main(["runs/tiny", "--out", str(tmp_path), "--target", name]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert os.strerror(errno.EFBIG) in error
    assert path.read_bytes() == b"the last good file"
    assert list(tmp_path.iterdir()) == [path]


def test_half_precision_that_misses_is_tried_again_with_the_stem_in_fp32(
    exporter: command.Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = [("agreement 98.00% under 99.0%",), ()]

    def judged(path: Path, checkpoint: Checkpoint, photos: LabelledPhotos, target: Target) -> Parity:
        return dataclasses.replace(verify(path, checkpoint, photos, target), missed=missed.pop(0))

    monkeypatch.setattr(command, "verify", judged)
    path, _ = exporter.export(tmp_path, lenient("cuda-fp16"))
    assert read_card(onnx.load(path)).export["kept_in_fp32"] == ["conv1"]
    missed = [("too bad",), ("still too bad",)]
    before = path.read_bytes()
    with pytest.raises(command.ParityMissed, match="still too bad"):
        exporter.export(tmp_path, lenient("cuda-fp16"))
    assert path.read_bytes() == before
    assert path.with_suffix(".failed.onnx").exists()


def test_other_weights_and_other_cards_are_told_apart(
    tiny_model: Path, tiny_model_two_heads: Path, tiny_run: Path, other_run: Path
) -> None:
    assert not verify(tiny_model, load_checkpoint(other_run), small_photos()).passed
    with pytest.raises(ModelFileError, match="carries another card"):
        verify(tiny_model_two_heads, load_checkpoint(tiny_run), small_photos())
    with pytest.raises(ValueError, match="at least one photo"):
        verify(tiny_model, load_checkpoint(tiny_run), LabelledPhotos([]))


def test_what_is_not_a_number_is_never_near() -> None:
    assert difference(np.array([np.nan, 0.0]), np.array([0.0, 0.0])) == np.inf


GOOD = Parity(
    "id", "cpu-fp32", "cpu", "photos", 100, 1, 0.0, 0.0, 0.0, 0.0, 0, 1.0, (0.5, 0.5), (0.0, 0.0), 0.1
)


@pytest.mark.parametrize(
    ("target", "worse"),
    [
        ("cpu-fp32", {"lesion_probability": 2e-5}),
        ("cpu-fp32", {"location_probability": 2e-5}),
        ("cpu-fp32", {"cam": 2e-4}),
        ("cpu-fp32", {"features": np.inf}),
        ("cpu-int8", {"top_label_changes": 2}),
        ("cpu-int8", {"cam_correlation": 0.98}),
        ("cpu-int8", {"cam_correlation": np.nan}),
        ("cpu-int8", {"balanced_accuracy_change": (-0.02, 0.0)}),
        ("cpu-int8", {"balanced_accuracy_change": (0.0, 0.02)}),
        ("cpu-int8", {"size": 0.3}),
        ("cuda-fp16", {"lesion_probability": 3e-3}),
        ("cuda-fp16", {"top_label_changes": 1}),
        ("cuda-fp16", {"size": 0.6}),
    ],
)
def test_each_limit_alone_can_be_missed(target: str, worse: dict[str, float]) -> None:
    limits = find_target(target).limits
    assert missed_limits(GOOD, limits) == ()
    assert len(missed_limits(dataclasses.replace(GOOD, **worse), limits)) == 1


def test_the_comparison_counts_changed_labels_and_their_balanced_accuracy() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    reference, own = np.array([0, 1, 1, 1, 2, 0]), np.array([0, 0, 1, 2, 2, 0])
    photos = LabelledPhotos([np.zeros((4, 4, 3), np.uint8)] * 6, labels, np.arange(6) // 2)
    pairs = [(answers(a), answers(b)) for a, b in zip(own, reference, strict=True)]
    parity = compare(pairs, photos, find_target("cpu-int8"), model_id="id", size=0.25, ran_on="cpu")
    assert parity.top_label_changes == 2
    assert parity.agreement == pytest.approx(4 / 6)
    expected = (balanced_accuracy(reference, labels), balanced_accuracy(own, labels))
    assert parity.balanced_accuracy == pytest.approx(expected)
    low, high = parity.balanced_accuracy_change
    assert low < 0 < high
    assert low <= expected[1] - expected[0] <= high
    assert parity.cam_correlation < 1
    assert {miss.split()[0] for miss in parity.missed} == {"agreement", "map", "balanced"}


def test_equal_answers_change_nothing_and_need_no_labels() -> None:
    photos = LabelledPhotos([np.zeros((4, 4, 3), np.uint8)] * 3)
    pairs = [(answers(label), answers(label)) for label in range(3)]
    parity = compare(pairs, photos, find_target("cpu-int8"), model_id="id", size=0.25, ran_on="cpu")
    assert parity.passed
    assert (parity.balanced_accuracy, parity.balanced_accuracy_change) == (None, None)
    assert parity.cam_correlation == 1.0
    flat = dataclasses.replace(answers(1), cam=np.zeros((3, 2, 2)))
    pairs[1] = (flat, answers(1))
    parity = compare(pairs, photos, find_target("cpu-int8"), model_id="id", size=0.25, ran_on="cpu")
    assert any("map correlation" in miss for miss in parity.missed)


def test_verification_on_a_folder_of_photos(
    tiny_model: Path, tiny_run: Path, other_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(2):
        cv2.imwrite(str(photos / f"{index}.png"), small_photos().images[0])
    arguments = [str(tiny_model), "--against", str(tiny_run), "--data", str(photos)]
    assert run(lambda: verification.main([*arguments, "--json"])) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["passed"]
    assert (figures["n_photos"], figures["n_sizes"]) == (2, 1)
    (photos / "broken.jpg").write_bytes(b"no photo")
    assert run(lambda: verification.main(arguments)) == 1
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert "broken.jpg is not a photo" in err
    assert run(lambda: verification.main([str(tiny_model), "--against", str(other_run)])) == 1
    assert "parity MISSED" in capsys.readouterr().out


def test_the_documentation_names_every_target() -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    for target in TARGETS:
        assert f"`{target.name}`" in page
        assert target.summary in page

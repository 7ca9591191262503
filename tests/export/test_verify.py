"""A file gets its name only after it has been compared with its checkpoint."""

import dataclasses
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import export.__main__ as command
import export.verify as verification
from export.targets import TARGETS, Tolerances, find_target
from export.verify import Parity, verify
from tests.tiny_model import make_run, tiny_card
from training.cli import run
from training.errors import ModelFileError
from training.models.checkpoint import Checkpoint, load_checkpoint


def small_images() -> list[np.ndarray]:
    return [np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    """The command with the graph of `tiny_run` at hand and one photo to compare by."""
    monkeypatch.setattr(command, "write_graph", lambda checkpoint, path: shutil.copyfile(tiny_model, path))
    monkeypatch.setattr(command, "varied_images", lambda preprocessing: small_images())


@pytest.fixture
def other_run(tmp_path: Path) -> Path:
    """A run with the card of `tiny_run` and other weights."""
    return make_run(tmp_path / "other", tiny_card(), seed=1)


@pytest.mark.slow
def test_the_command_writes_the_same_file_for_the_same_run(
    tiny_run: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lambda: command.main([str(tiny_run), "--out", str(tmp_path / "deep" / "out")])) == 0
    out, err = capsys.readouterr()
    path = Path(out.strip())
    assert path == tmp_path / "deep" / "out" / "model.onnx"
    assert path.read_bytes() == tiny_model.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    assert "parity passed (cpu-fp32" in err


@pytest.mark.usefixtures("quick")
def test_a_file_that_misses_does_not_get_the_name(
    other_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.onnx").write_bytes(b"the last good one")
    assert run(lambda: command.main([str(other_run), "--out", str(out)])) == 1
    assert (out / "model.onnx").read_bytes() == b"the last good one"
    assert sorted(file.name for file in out.iterdir()) == ["model.failed.onnx", "model.onnx"]
    err = capsys.readouterr().err
    assert "parity MISSED" in err
    assert "was not written, look at" in err


@pytest.mark.usefixtures("quick")
def test_a_stricter_target_is_missed_by_rounding_alone(tiny_run: Path, tmp_path: Path) -> None:
    strict = dataclasses.replace(TARGETS[0], tolerances=Tolerances(0.0, 0.0, 0.0))
    with pytest.raises(command.ParityMissed, match=r"allowed are 0e\+00"):
        command.export_run(tiny_run, tmp_path, strict)
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.usefixtures("quick")
def test_a_pass_clears_away_the_last_failure(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.failed.onnx").write_bytes(b"old")
    path, parity = command.export_run(tiny_run, tmp_path)
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
    assert "no export target 'npu'; valid are cpu-fp32" in capsys.readouterr().err
    assert run(lambda: command.main([str(tmp_path / "nowhere"), "--out", str(tmp_path)])) == 2
    assert "nowhere is not there" in capsys.readouterr().err


def test_other_weights_and_other_cards_are_told_apart(
    tiny_model: Path, tiny_model_two_heads: Path, tiny_run: Path, other_run: Path
) -> None:
    assert not verify(tiny_model, load_checkpoint(other_run), small_images()).passed
    with pytest.raises(ModelFileError, match="carries another card"):
        verify(tiny_model_two_heads, load_checkpoint(tiny_run), small_images())
    with pytest.raises(ValueError, match="at least one photo"):
        verify(tiny_model, load_checkpoint(tiny_run), [])


def test_what_is_not_a_number_is_never_near() -> None:
    assert verification._difference(np.array([np.nan, 0.0]), np.array([0.0, 0.0])) == np.inf


@pytest.mark.parametrize("field", ["lesion_probability", "location_probability", "cam", "features"])
def test_each_difference_alone_can_miss(field: str) -> None:
    good = Parity("id", "cpu-fp32", 1, 1, 0.0, 0.0, 0.0, 0.0, 0, True)
    assert verification._within(good, find_target("cpu-fp32"))
    assert not verification._within(dataclasses.replace(good, **{field: 0.5}), find_target("cpu-fp32"))


def test_verification_on_a_folder_of_photos(
    tiny_model: Path, tiny_run: Path, other_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index, image in enumerate([*small_images(), *small_images()]):
        cv2.imwrite(str(photos / f"{index}.png"), image)
    arguments = [str(tiny_model), "--against", str(tiny_run), "--data", str(photos)]
    assert run(lambda: verification.main([*arguments, "--json"])) == 0
    parity = Parity(**json.loads(capsys.readouterr().out))
    assert parity.passed
    assert (parity.n_photos, parity.n_sizes) == (2, 1)
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

"""The command line that explains errors: its files, and what it refuses."""

import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from training.cli import EXIT_USER_ERROR, run
from training.data.photo import read_photo
from training.errors import CheckpointError, DataError, UserError
from training.evaluation.scoring import open_model
from training.explain import ExplainCommand, explain_run, main

LABELS = ["acne", "ulcer", "wheal"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine photos of noise in three labels, with a mask of the middle; a manifest CSV."""
    folder = tmp_path_factory.mktemp("explained_photos")
    rng = np.random.default_rng(2)
    mask = np.zeros((90, 90), np.uint8)
    mask[30:60, 30:60] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    rows = []
    for index in range(9):
        mean = rng.uniform(30, 220, 3)
        image = rng.normal(mean, 40, (90, 90, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{index}.png")
        rows.append(
            {"path": f"{index}.png", "lesions": LABELS[index % 3], "group": index, "mask": "mask.png"}
        )
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def explain(tiny_run: Path, data: Path, tmp_path: Path, **settings: object) -> dict:
    command = ExplainCommand(
        tiny_run, str(data), tmp_path / "out", cache=tmp_path / "cache", device="cpu", **settings
    )
    return explain_run(command, progress=False)


def test_the_page_holds_every_picture_and_nothing_from_elsewhere(tiny_run, data, tmp_path) -> None:
    result = explain(tiny_run, data, tmp_path)
    out = tmp_path / "out"
    assert result == json.loads((out / "cases.json").read_text())
    assert result["photos"] == 9
    assert result["errors"] == sum(pair["total"] for pair in result["pairs"]) > 0
    page = (out / "explain.html").read_text()
    pictures = [base64.b64decode(text) for text in re.findall(r"base64,([^\"]+)\"", page)]
    assert pictures == [(out / case["figure"]).read_bytes() for case in result["cases"]]
    assert len(pictures) > 0
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "0 of 9" not in page
    assert "synthetic drawings" in page
    for case in result["cases"]:
        assert case["predicted"]["label"] not in case["actual"]
        assert case["lesion_share"] == pytest.approx((30 / 78) ** 2, abs=0.02)


def test_where_nothing_was_misclassified_it_says_so(tiny_run, data, tmp_path) -> None:
    table = pd.read_csv(data)
    card, predict = open_model(tiny_run)
    images = [
        read_photo(data.parent / name, min_side=card.preprocessing.decode_min_side).image_rgb
        for name in table["path"]
    ]
    table["lesions"] = [card.lesion_labels[int(predict(image[None])[0].argmax())].name for image in images]
    for column in ("path", "mask"):
        table[column] = [str(data.parent / name) for name in table[column]]
    table.to_csv(tmp_path / "right.csv", index=False)
    result = explain(tiny_run, tmp_path / "right.csv", tmp_path)
    assert (result["errors"], result["pairs"], result["cases"]) == (0, [], [])
    assert (
        "None of the 9 photos was misclassified: there is no error to explain"
        in (tmp_path / "out" / "explain.html").read_text()
    )
    named = explain(tiny_run, tmp_path / "right.csv", tmp_path, photos=("3.png",))
    assert named["cases"][0]["predicted"]["label"] in named["cases"][0]["actual"]
    assert ", recognised" in (tmp_path / "out" / "explain.html").read_text()


def test_photos_can_be_named_and_no_picture_outlives_its_page(tiny_run, data, tmp_path) -> None:
    explain(tiny_run, data, tmp_path, pairs=1)
    (tmp_path / "out" / "mine.png").write_bytes(b"kept")
    result = explain(tiny_run, data, tmp_path, photos=("4.png", str(data.parent / "1.png")))
    assert [case["name"] for case in result["cases"]] == ["4.png", "1.png"]
    assert result["chosen"] == "named"
    kept = {case["figure"] for case in result["cases"]} | {"mine.png", "explain.html", "cases.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == kept


def test_undecodable_photos_are_counted_and_the_rest_explained(tiny_run, data, tmp_path, capsys) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(data.parent, folder)
    (folder / "0.png").write_bytes(b"no photo")
    result = explain(tiny_run, folder / "manifest.csv", tmp_path, pairs=1)
    assert (result["photos"], result["left_out"]) == (8, 1)
    assert "0.png is not a photo" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"0\.png is not a photo"):
        explain(tiny_run, folder / "manifest.csv", tmp_path, photos=("0.png",))


def test_several_lesions_a_photo_are_left_uncounted(tiny_run, data, tmp_path) -> None:
    table = pd.read_csv(data)
    table["path"] = [str(data.parent / name) for name in table["path"]]
    table["mask"] = ""
    table.loc[0, "lesions"] = "acne;ulcer"
    table.to_csv(tmp_path / "several.csv", index=False)
    result = explain(tiny_run, tmp_path / "several.csv", tmp_path, pairs=1)
    assert (result["photos"], result["several_labels"]) == (8, 1)
    assert "several true labels" in (tmp_path / "out" / "explain.html").read_text()


def test_what_cannot_be_explained_is_refused_in_a_sentence(tiny_run, data, tmp_path) -> None:
    with pytest.raises(UserError, match="--pairs 0: at least 1"):
        explain(tiny_run, data, tmp_path, pairs=0)
    with pytest.raises(CheckpointError, match="no gradients"):
        explain(tmp_path / "model.onnx", data, tmp_path)
    with pytest.raises(DataError, match=r"--photos 77\.png: no photo of that path or file name"):
        explain(tiny_run, data, tmp_path, photos=("77.png",))
    with pytest.raises(CheckpointError, match="held out none"):
        explain(tiny_run, data, tmp_path, part="validation")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cases.json").write_text('{"cases": [1]}')
    with pytest.raises(DataError, match="was not written by this command"):
        explain(tiny_run, data, tmp_path)


def test_the_command_line_says_what_it_found(tiny_run, data, tmp_path, capsys) -> None:
    arguments = [str(tiny_run), "--data", str(data), "--out", str(tmp_path / "out"), "--pairs", "1"]
    assert main([*arguments, "--cache", str(tmp_path / "cache"), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "of 9 photos (all) were misclassified." in said
    assert "explain.html" in said
    assert run(lambda: main([*arguments, "--photos", "none.png"])) == EXIT_USER_ERROR

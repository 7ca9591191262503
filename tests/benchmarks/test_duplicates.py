"""The measurement counts copies that are found and other photos that are taken for copies."""

import json
from pathlib import Path

from benchmarks.duplicates import changes, main, measure
from tests.training.test_duplicates import skin_photo
from training.cli import run
from training.data.datasets.registry import load_manifest


def write_folders(folder: Path) -> Path:
    for index in range(6):
        path = folder / ("a", "b")[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        skin_photo(min(index, 4)).save(path)  # Photos 4 and 5 are one picture.
    return folder


def test_every_copy_of_clear_photos_is_found_and_the_one_shared_picture_is_named(tmp_path):
    result = measure(load_manifest(write_folders(tmp_path)), copies=3)
    rates = {rate["change"]: rate["found"] for rate in result["copies"]}
    assert list(rates) == list(changes())
    assert rates.pop("10% off one corner") <= 1  # Beyond what the hash's views cover.
    assert set(rates.values()) == {1.0}
    assert result["pairs_of_different_groups"] == 15
    assert [pair["photos"] for pair in result["of_them_found"]] == [["4.png", "5.png"]]


def test_the_record_says_how_it_was_made(tmp_path, capsys):
    out = tmp_path / "result.json"
    data = write_folders(tmp_path / "set")
    assert run(lambda: main([str(data), "--copies", "1", "--out", str(out)])) == 0
    record = json.loads(out.read_text())
    assert record["command"] == "python -m benchmarks.duplicates set --copies 1"
    assert {"imagehash", "numpy"} < set(record["versions"])
    assert "15 pairs of different patients" in capsys.readouterr().out

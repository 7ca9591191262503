import json
from pathlib import Path

import pytest

from benchmarks import latency
from benchmarks.latency import COLUMNS, MIN_ROUNDS, measure, table
from export.runtime import Classifier
from training.cli import run
from training.errors import UserError


def test_every_variant_is_measured_as_often_as_every_other(
    tiny_model: Path, tiny_model_two_heads: Path
) -> None:
    report = measure(
        [tiny_model, tiny_model_two_heads],
        batch_sizes=(1, 3),
        threads=(1,),
        photo_size_hw=(70, 90),
        seconds=0.01,
    )
    assert [(row.model_id, row.batch_size) for row in report.latencies] == [
        (Classifier(path).model_id, size) for path in (tiny_model, tiny_model_two_heads) for size in (1, 3)
    ]
    calls = {row.n_calls for row in report.latencies}
    assert len(calls) == 1
    assert calls.pop() >= MIN_ROUNDS
    for row in report.latencies:
        assert 0 < row.fastest_ms <= row.median_ms <= row.p95_ms
        assert row.photos_per_s == pytest.approx(row.batch_size * 1000 / row.median_ms)
        assert row.open_ms > row.card_ms > 0
        assert row.provider in ("cpu", "cuda")


def test_the_command_prints_a_table_and_writes_the_same_figures(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results" / "latency.json"
    arguments = [str(tiny_model), "--batch-sizes", "2", "--threads", "1", "--photo-size", "80", "64"]
    assert run(lambda: latency.main([*arguments, "--seconds", "0.01", "--out", str(out)])) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| ")]
    assert [cell.strip() for cell in rows[0]] == list(COLUMNS)
    written = json.loads(out.read_text())
    assert written["photo_size_hw"] == [80, 64]
    assert rows[1][5].strip() == f"{written['latencies'][0]['median_ms']:.1f}"
    assert str(tiny_model.parent) not in out.read_text()
    assert {"cpu", "cores", "versions", "date", "load_average_1min"} <= written["machine"].keys()


def test_a_table_has_a_row_a_variant(tiny_model: Path) -> None:
    report = measure([tiny_model], batch_sizes=(1, 2), photo_size_hw=(64, 64), seconds=0.01)
    lines = [line for line in table(report).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 2
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batch_sizes": (0,)}, r"batch size is \[0\]"),
        ({"threads": ()}, r"threads is \[\]"),
        ({"photo_size_hw": (0, 10)}, "photo size"),
        ({"seconds": 0.0}, "seconds is 0.0"),
    ],
)
def test_numbers_that_are_not_positive(tiny_model: Path, options: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        measure([tiny_model], **options)


def test_a_command_without_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: latency.main([])) == 2
    assert "no model is named" in capsys.readouterr().err

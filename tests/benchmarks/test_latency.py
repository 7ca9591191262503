import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import latency
from benchmarks.latency import Settings, measure
from benchmarks.latency_report import COLUMNS, Report, plot_ratios, report_text, table
from benchmarks.latency_rounds import MIN_ROUNDS
from benchmarks.latency_variants import CLASSIFIER, NO_HEATMAP, SESSION
from export.runtime import Classifier
from training.cli import run
from training.errors import UserError

QUICK = Settings(
    batch_sizes=(1, 3), threads=(1,), photo_size=(70, 90), seconds=0.01, memory=False, cold_start=False
)


@pytest.fixture(autouse=True)
def _small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arithmetic limit on matrices that take no time."""
    open_products = latency.open_products
    monkeypatch.setattr(latency, "open_products", lambda threads: open_products(threads, side=32))


@pytest.fixture(scope="module")
def report(tiny_model: Path, tiny_model_two_heads: Path) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        open_products = latency.open_products
        patch.setattr(latency, "open_products", lambda threads: open_products(threads, side=32))
        return measure([tiny_model, tiny_model_two_heads], QUICK)


def test_every_file_is_measured_alone_bare_and_without_its_heatmap(
    report: Report, tiny_model: Path, tiny_model_two_heads: Path
) -> None:
    assert [(row.model_id, row.kind, row.batch_size) for row in report.latencies] == [
        (Classifier(path).model_id, kind, size)
        for path in (tiny_model, tiny_model_two_heads)
        for kind in (CLASSIFIER, SESSION, NO_HEATMAP)
        for size in (1, 3)
    ]
    assert report.n_rounds >= MIN_ROUNDS


def test_figures_agree_with_each_other(report: Report) -> None:
    multiply_adds = report.multiply_adds["resnet18 at 64"]
    for row in report.latencies:
        assert row.n_calls >= report.n_rounds
        assert 0 < row.fastest_ms <= row.median_ms <= row.p95_ms <= row.p99_ms
        assert row.photos_per_s == pytest.approx(row.batch_size * 1000 / row.median_ms)
        assert row.gops_per_s == pytest.approx(
            2e-9 * multiply_adds * row.photos_per_s, rel=1e-3
        )  # The files' heads differ.
        limit = next(limit for limit in report.limits if (limit.precision, limit.threads) == ("fp32", 1))
        assert row.share_of_limit == pytest.approx(row.gops_per_s / limit.gops_per_s)
        low, high = row.times_as_fast_as_baseline.interval
        assert low <= row.times_as_fast_as_baseline.value <= high
        assert (row.precision, row.provider, row.open_ms, row.added_mb) == ("fp32", "cpu", None, None)


def test_without_peers_the_ratio_is_over_the_first_variant(report: Report) -> None:
    assert report.baseline == f"{CLASSIFIER} fp32"
    assert [row.times_as_fast_as_baseline.value for row in report.latencies[:2]] == [1, 1]


def test_what_was_not_measured_says_so(report: Report) -> None:
    verdicts = {(row.demand, row.batch_size): row.verdict for row in report.demands}
    assert verdicts["int8 with heatmaps: times as fast as torch eager fp32", 1] == "not measured"
    assert verdicts["fp32: time of Classifier, bare session = 1", 1] in ("met", "missed")


def test_a_table_has_a_row_a_variant(report: Report) -> None:
    lines = table(report).splitlines()
    assert len(lines) == 2 + len(report.latencies)
    assert len({len(line) for line in lines}) == 1
    assert "random" not in report_text(report)
    assert "weights are random" in report_text(replace(report, random_weights=True))


def test_a_plot_is_a_png(report: Report) -> None:
    assert plot_ratios(report).startswith(b"\x89PNG")


def test_the_command_prints_a_table_and_writes_the_same_figures(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plot = tmp_path / "results" / "latency.json", tmp_path / "latency.png"
    options = ["--batch-sizes", "2", "--threads", "1", "--photo-size", "80", "64", "--seconds", "0.01"]
    options += ["--no-memory", "--no-cold-start", "--profile", "--out", str(out), "--plot", str(plot)]
    assert run(lambda: latency.main([str(tiny_model), *options])) == 0
    printed = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in printed.splitlines() if line.startswith("| ")]
    assert [cell.strip() for cell in rows[0]] == list(COLUMNS)
    written = json.loads(out.read_text())
    assert written["photo_size_hw"] == [80, 64]
    assert rows[1][4].strip() == f"{written['latencies'][0]['median_ms']:.2f}"
    assert str(tiny_model.parent) not in out.read_text() + printed
    assert {"cpu", "cores", "versions", "date", "load_average_1min"} <= written["machine"].keys()
    assert [found["model"] for found in written["profiles"]] == [tiny_model.name]
    assert "| Conv" in printed
    assert plot.stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batch_sizes": (0,)}, r"batch size is \[0\]"),
        ({"threads": ()}, r"threads is \[\]"),
        ({"photo_size": (0, 10)}, "photo size"),
        ({"seconds": 0.0}, "seconds is 0.0"),
    ],
)
def test_numbers_that_are_not_positive(options: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Settings(**options)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name either models"),
        (["model.onnx", "--architecture", "resnet18"], "name either models"),
        (["model.onnx", "--peers"], "--against"),
        (["--architecture", "resnet19"], "valid are resnet18"),
    ],
)
def test_a_command_that_names_too_little_or_too_much(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(lambda: latency.main(arguments)) == 2
    assert sentence in capsys.readouterr().err

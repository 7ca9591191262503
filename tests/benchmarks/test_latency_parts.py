"""The pieces under benchmarks.latency: rounds, demands, graph copies, profiles, memory, matrix products."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks.arithmetic import limits, open_products
from benchmarks.cold_start import ColdStart, cold_start
from benchmarks.latency_demands import Variant, judge
from benchmarks.latency_memory import measure_alone, open_and_predict
from benchmarks.latency_plan import plan_variants
from benchmarks.latency_profile import profile, profile_table
from benchmarks.latency_rounds import MIN_ROUNDS, WARM_UP_CALLS, Timed, ratio_of_rounds, run_rounds
from benchmarks.latency_torch import multiply_adds
from benchmarks.latency_variants import (
    CLASSIFIER,
    EAGER,
    NO_HEATMAP,
    SESSION,
    Subject,
    drawn_photos,
    open_subject,
    without_heatmap,
)
from benchmarks.random_run import write_random_run, write_targets
from export.contract import IMAGE, LESION_CAM
from export.runtime import Classifier
from export.targets import TARGETS
from export.trunk import read_card
from training.models.card import Label, ModelCard, Preprocessing


def test_every_call_has_a_turn_a_round() -> None:
    calls: list[str] = []
    timed = [Timed(name, lambda name=name: calls.append(name)) for name in "abc"]
    run_rounds(timed, budget_s=0.001)
    assert calls[: 3 * WARM_UP_CALLS] == [name for name in "abc" for _ in range(WARM_UP_CALLS)]
    assert len({len(one.rounds_ms) for one in timed}) == 1
    assert len(timed[0].rounds_ms) >= MIN_ROUNDS
    # The first call of a turn is not counted.
    assert calls.count("a") == WARM_UP_CALLS + len(timed[0].rounds_ms) + len(timed[0].times_ms)


def test_a_ratio_is_formed_within_rounds_so_that_drift_cancels() -> None:
    drift = np.linspace(1, 10, 50)
    slow, quick = Timed("slow", print), Timed("quick", print)
    slow.rounds_ms = [[3 * factor, 3 * factor] for factor in drift]
    quick.rounds_ms = [[factor] for factor in drift]
    ratio = ratio_of_rounds(slow, quick)
    assert ratio.value == pytest.approx(3)
    assert ratio.interval == pytest.approx((3, 3))
    assert ratio.n_rounds == 50


def variant(kind: str, precision: str, times: list[float], source: str = "a/model.onnx") -> Variant:
    timed = Timed(kind, print, [[time] for time in times])
    return Variant(Subject(kind, source, precision, threads=2, source=source), 1, timed)


def test_a_demand_is_judged_with_its_interval() -> None:
    eager = variant(EAGER, "fp32", [60.0] * 9, source="run")
    outcomes = {
        (row.demand, row.batch_size): row
        for row in judge([eager, variant(CLASSIFIER, "int8", [9.0] * 9)], threads=2)
    }
    met = outcomes["int8 with heatmaps: times as fast as torch eager fp32", 1]
    assert (met.verdict, met.certain, met.value) == ("met", True, pytest.approx(60 / 9))
    noisy = variant(CLASSIFIER, "int8", [5.0, 5.0, 5.0, 5.0, 5.0, 20.0, 20.0, 20.0, 20.0])
    (row, *_) = judge([eager, noisy], threads=2)
    assert (row.verdict, row.certain) == ("met", False)


def test_a_file_is_compared_with_its_own_session_only() -> None:
    variants = [
        variant(kind, "fp32", [time] * 5, source)
        for source, time in (("a/model.onnx", 10.0), ("b/model.onnx", 1000.0))
        for kind, time in ((CLASSIFIER, time * 1.02), (SESSION, time))
    ]
    values = [
        row.value for row in judge(variants, threads=2) if "Classifier, bare" in row.demand and row.value
    ]
    assert values == pytest.approx([1.02, 1.02])


@pytest.mark.parametrize(
    ("median", "torch", "verdict"), [(0.8, False, "met"), (0.8, True, "missed"), (1.2, False, "missed")]
)
def test_the_cold_start_may_not_import_torch(median: float, torch: bool, verdict: str) -> None:
    cold = ColdStart("model.int8.onnx", "cpu-int8", (10, 10), median, (median,), torch)
    assert judge([], threads=2, cold=cold)[-1].verdict == verdict


def test_a_copy_without_the_heatmap_answers_the_same(tiny_model: Path) -> None:
    model = onnx.load(tiny_model)
    copy = without_heatmap(model)
    session = onnxruntime.InferenceSession(copy.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    assert LESION_CAM not in names
    assert LESION_CAM in [output.name for output in model.graph.output]
    image = drawn_photos(1, (80, 80))[0][None]
    whole = onnxruntime.InferenceSession(tiny_model).run(names, {IMAGE: image})
    for mine, theirs in zip(session.run(None, {IMAGE: image}), whole, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [CLASSIFIER, SESSION, NO_HEATMAP])
def test_onnxruntimes_ways_run(tiny_model: Path, kind: str) -> None:
    bind = open_subject(Subject(kind, str(tiny_model), "fp32", threads=1))
    assert bind(drawn_photos(2, (80, 90)))()


def test_a_profile_shares_out_the_whole_pass(tiny_model: Path) -> None:
    found = profile(tiny_model, tiny_model.name, threads=1, photo_size_hw=(80, 80), calls=3)
    assert sum(found.by_operator.values()) == pytest.approx(1)
    assert sum(found.by_part.values()) == pytest.approx(1)
    assert set(found.by_part) == {"before the stem", "the stem", "behind the stem", "the heatmap"}
    convolutions = sum(count for name, count in found.counts.items() if "Conv" in name)
    assert convolutions == sum(node.op_type == "Conv" for node in onnx.load(tiny_model).graph.node)
    assert len(profile_table(found).splitlines()) > 5


def test_a_process_of_its_own_tells_its_memory(tiny_model: Path) -> None:
    subject = Subject(CLASSIFIER, str(tiny_model), "fp32", threads=1)
    alone = measure_alone(subject, 1, (80, 80))
    assert alone.added_mb is not None
    assert alone.process_mb is not None
    # The weights are read, and packed once more by onnxruntime.
    assert tiny_model.stat().st_size / 1e6 < alone.added_mb < alone.process_mb
    assert alone.open_ms > 0
    with pytest.raises(RuntimeError, match="absent"):
        measure_alone(dataclasses.replace(subject, path="absent.onnx"), 1, (80, 80))


def test_opening_is_timed_in_this_process_too(tiny_model: Path) -> None:
    assert open_and_predict(Subject(SESSION, str(tiny_model), "fp32", threads=1), 1, (80, 80)).first_ms > 0


def test_the_arithmetic_limit_is_the_fastest_product_of_each_precision() -> None:
    products = open_products(threads=(1,), side=64)
    run_rounds([product.timed for product in products], budget_s=0.001)
    found = limits(products)
    assert {"fp32", "int8"} <= {limit.precision for limit in found}
    assert len(found) == len({limit.precision for limit in found})
    best = min(float(np.median(p.timed.times_ms)) for p in products if p.precision == "int8")
    int8 = next(limit for limit in found if limit.precision == "int8")
    assert int8.gops_per_s == pytest.approx(2 * 64**3 / best / 1e6)


def test_multiply_adds_of_a_resnet50_are_the_literatures() -> None:
    card = ModelCard(
        name="counted",
        architecture="resnet50",
        lesion_labels=tuple(Label(str(i), str(i)) for i in range(1000)),
        preprocessing=Preprocessing(input_size=224, decode_min_side=256),
        activation="softmax",
    )
    assert multiply_adds(card) == pytest.approx(4.09e9, rel=0.01)  # torchvision's table: 4.09 GFLOPS.


def test_a_random_run_gives_every_target_a_file(tmp_path: Path) -> None:
    run = write_random_run(tmp_path / "run", "resnet18", 64)
    files = write_targets(run, tmp_path / "files")
    assert [path.name for path in files] == [target.file_name for target in TARGETS]
    assert [read_card(onnx.load(path)).export["target"] for path in files] == [t.name for t in TARGETS]
    assert Classifier(files[0], provider="cpu").predict(drawn_photos(1, (80, 80)))
    if not _cuda_runs(files[-1]):
        plan = plan_variants(files, (1,), None, tmp_path / "scratch")
        assert [one.target.name for one in plan.given] == ["cpu-fp32", "cpu-int8"]
        (sentence,) = plan.left_out
        assert sentence.startswith("cuda-fp16 (model.fp16.onnx): not measured")


def _cuda_runs(path: Path) -> bool:
    return Classifier(path).provider == "cuda"


@pytest.mark.slow
def test_a_cold_start_imports_no_torch(tiny_model: Path) -> None:
    cold = cold_start(tiny_model, "cpu-fp32", runs=1, photo_size_hw=(100, 120))
    assert not cold.torch_imported
    assert cold.median_s > 0

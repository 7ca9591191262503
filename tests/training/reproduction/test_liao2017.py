"""`python -m training.reproduce liao2017`: its statistics by their definitions, and the whole on tiny photos."""

import dataclasses
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from training import finish, reproduce
from training.data.datasets.phantom_dermquest import LESIONS, LOCATIONS
from training.data.manifest import Manifest, read_manifest_csv
from training.data.splits import hold_out
from training.errors import DataError, RecipeError
from training.evaluation.metrics import map_image
from training.recipe import Augmentation, Phase, load_recipe
from training.reproduction import arms, liao2017, liao2017_paper
from training.reproduction.arms import Outcome
from training.reproduction.folds import (
    average_precisions,
    fold_interval,
    fold_means,
    image_average_precisions,
    measured,
)
from training.reproduction.liao2017 import (
    ARMS,
    SCALES,
    Experiment,
    sites_as_labels,
    take_photos,
)
from training.reproduction.liao2017_results import co_occurrence
from training.reproduction.liao2017_scores import HeldOutScores, ensembles, score_run
from training.reproduction.liao2017_table import LesionTable, rank_correlation, verdict

RNG = np.random.default_rng(0)


def several_lesions(n_photos=60):
    """Photos (not on disk) of one to two of three lesions, at two sites or an unknown one, two a patient."""
    rng = np.random.default_rng(1)
    names = np.array(["a", "b", "c"])
    rows = [
        {
            "path": f"{index}.png",
            "lesions": ";".join(rng.permutation(names)[: rng.integers(1, 3)]),
            "location": ["arm", "leg", "arm", ""][index % 4],
            "group": str(index // 2),
        }
        for index in range(n_photos)
    ]
    return Manifest.from_rows("several", rows, root=Path("nowhere"))


def made_up_scores(n_photos=80, skill=None):
    """Scores of four arms on four folds, each better by its skill; sites by two of them."""
    rng = np.random.default_rng(2)
    targets = (rng.random((n_photos, 3)) < 0.4).astype(np.float32)
    targets[targets.sum(1) == 0, 0] = 1
    skill = {"alexnet": 0.1, "lesion": 0.4, "mtl": 1.5, "shuffled": 0.4} if skill is None else skill
    lesion = {arm: own * targets + rng.random(targets.shape) for arm, own in skill.items()}
    sites = rng.integers(0, 4, n_photos)
    location = {arm: rng.random((n_photos, 4)) for arm in ("site", "mtl")}
    return HeldOutScores(
        lesion,
        location,
        np.arange(n_photos) % 4,
        np.array([f"p{index // 4}-{index % 4}" for index in range(n_photos)]),
        targets,
        sites,
    )


def test_co_occurrence_is_eq_1_counted_one_by_one():
    manifest = several_lesions()
    matrix = co_occurrence(manifest)
    for i, lesion in enumerate(manifest.lesion_labels):
        shows = manifest.table["lesions"].map(lambda own, lesion=lesion: lesion in own)
        for j, site in enumerate(manifest.location_labels):
            both = (shows & (manifest.table["location"] == site)).sum()
            assert matrix[i, j] == pytest.approx(both / shows.sum())
    assert (matrix.sum(1) < 1).any(), "a photo without a site counts among the lesion's photos"


def test_precisions_within_folds_are_scikit_learns_and_eq_10_is_its_mean():
    scores = made_up_scores()
    stacked = np.stack(list(scores.lesion.values()), axis=1)
    own = average_precisions(stacked, scores.lesion_targets, scores.fold)
    assert own.shape == (4, 4, 3)
    for fold in range(4):
        rows = scores.fold == fold
        theirs = average_precision_score(scores.lesion_targets[rows][:, 1], stacked[rows][:, 2, 1])
        assert own[2, fold, 1] == pytest.approx(theirs, abs=1e-9)
    images = image_average_precisions(stacked, scores.lesion_targets)
    assert images[:, 2].mean() == pytest.approx(map_image(stacked[:, 2], scores.lesion_targets))
    assert fold_means(images, scores.fold)[2, 1] == pytest.approx(images[scores.fold == 1, 2].mean())


def test_the_interval_over_folds_is_nadeau_and_bengios():
    values = np.array([0.1, 0.4, 0.2, 0.3, 0.25])
    low, high = fold_interval(values)
    spread = np.sqrt((1 / 5 + 20 / 80) * values.var(ddof=1))
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=spread)
    assert (low, high) == pytest.approx(expected)
    assert fold_interval(values[:1]) == (float("-inf"), float("inf"))


def test_a_difference_is_told_from_noise_only_by_both_intervals():
    steady, wavering = np.array([0.1, 0.11, 0.12, 0.1]), np.array([0.5, -0.1, 0.3, -0.2])
    narrow, wide = RNG.normal(0.11, 0.01, 500), RNG.normal(0.11, 0.2, 500)
    assert measured(steady, narrow).clear
    assert not measured(wavering, narrow).clear
    assert not measured(steady, wide).clear
    assert not measured(steady[:1], narrow).clear, "one fold says nothing of other networks"


def test_a_better_arm_is_found_and_equal_ones_are_not_told_apart():
    scores = made_up_scores(160)
    table = LesionTable.of(scores)
    assert table.names == ["alexnet", "lesion", "mtl", "shuffled", "ensemble"]
    gain = table.map_class("mtl", "lesion")
    assert gain.clear
    assert gain.low < gain.value < gain.high
    assert gain.value == pytest.approx(table.map_class("mtl").value - table.map_class("lesion").value)
    assert not table.map_class("shuffled", "lesion").clear
    values, draws = table.gains("mtl", "lesion")
    assert values.mean() == pytest.approx(gain.value)
    assert draws.shape == (2000, 3)
    assert verdict(table.differences())["word"] == "holds"


@pytest.mark.parametrize(
    ("claim", "control", "word"),
    [
        ((0.05, True), (0.04, True), "holds"),
        ((0.05, True), (0.01, False), "a second task"),
        ((0.05, True), (-0.04, True), "a second task"),
        ((0.05, False), (0.04, True), "inside the noise"),
        ((-0.05, True), (0.04, True), "contradicted"),
        (None, (0.04, True), "open"),
    ],
)
def test_the_claim_holds_only_against_both(claim, control, word):
    rows = [
        {"arm": "mtl", "less": less, "map_class": {"value": own[0], "low": 0, "high": 0, "clear": own[1]}}
        for less, own in (("lesion", claim), ("shuffled", control))
        if own is not None
    ]
    assert verdict(rows)["word"] == word


def test_the_ensembles_are_their_words():
    scores = made_up_scores()
    first, second = scores.lesion["lesion"], scores.lesion["mtl"]
    own = ensembles(scores)
    np.testing.assert_array_equal(own["ensemble"], np.maximum(first, second))
    np.testing.assert_allclose(own["mean"], (first + second) / 2)
    for row in range(len(first)):
        surer = first[row] if first[row].max() >= second[row].max() else second[row]
        np.testing.assert_array_equal(own["surer"][row], surer)
    best = np.maximum(*image_average_precisions(np.stack([first, second], 1), scores.lesion_targets).T)
    oracle = image_average_precisions(own["oracle"][:, None], scores.lesion_targets)[:, 0]
    np.testing.assert_allclose(oracle, best)


def test_rank_correlation_is_scipys_with_an_interval_from_the_draws():
    gains, strength = np.array([0.3, 0.1, np.nan, 0.2, -0.1]), np.array([0.9, 0.4, 0.1, 0.4, 0.2])
    draws = gains + RNG.normal(0, 1e-6, (200, 5))
    own = rank_correlation(gains, draws, strength)
    kept = [0, 1, 3, 4]
    assert own.value == pytest.approx(stats.spearmanr(gains[kept], strength[kept]).statistic)
    assert own.low == pytest.approx(own.value) == own.high
    noisy = rank_correlation(gains, gains + RNG.normal(0, 1, (400, 5)), strength)
    assert noisy.low < 0 < noisy.high
    assert rank_correlation(gains[:2], draws[:, :2], strength[:2]) is None
    assert rank_correlation(gains, draws, np.ones(5)) is None


def test_every_arm_holds_the_same_photos_out_and_only_training_sites_are_shuffled(tmp_path):
    manifest = several_lesions()
    made = Experiment.make(manifest, SCALES["small"], out=tmp_path)
    assert len(made.plan) == len(ARMS) * liao2017.N_FOLDS
    assert made.couplings == {}
    plan = {arm.name: arm for arm in made.plan}
    held_groups = []
    for fold, held in enumerate(made.folds):
        for arm in ("alexnet", "lesion", "mtl", "shuffled"):
            own = plan[f"{arm}-fold{fold}-seed0"]
            _, rows = hold_out(own.manifest, validation_share=own.recipe.validation_share)
            np.testing.assert_array_equal(rows, held)
        paths = set(manifest.table["path"][held][manifest.table["location"][held] != ""])
        site = plan[f"site-fold{fold}-seed0"].manifest
        assert set(site.table["path"][site.table["split"] == "validation"]) == paths
        true, dealt = (plan[f"{arm}-fold{fold}-seed0"].manifest.table for arm in ("mtl", "shuffled"))
        trained = true["split"] == "train"
        assert (true["location"][~trained] == dealt["location"][~trained]).all()
        assert sorted(true["location"][trained]) == sorted(dealt["location"][trained])
        assert ((true["location"] == "") == (dealt["location"] == "")).all()
        assert (true["location"][trained] != dealt["location"][trained]).any()
        held_groups.append(set(manifest.table["group"][held]))
    assert set.union(*held_groups) == set(manifest.table["group"])
    assert sum(map(len, held_groups)) == manifest.table["group"].nunique()


def test_the_arms_differ_in_what_their_words_say():
    recipes = liao2017._recipes(SCALES["full"], None, ())
    lesion = recipes["lesion"]
    assert recipes["site"] == replace(lesion, loss="cross-entropy")
    assert recipes["mtl"] == recipes["shuffled"] == load_recipe("liao2017-mtl")
    named = liao2017._recipes(SCALES["small"], "trunk.safetensors", ("layer4",))
    assert {recipe.weights for arm, recipe in named.items() if arm != "alexnet"} == {"trunk.safetensors"}
    assert named["alexnet"].weights == "random"
    assert liao2017._recipes(SCALES["small"], "IMAGENET1K_V1", ())["alexnet"].weights == "IMAGENET1K_V1"


def test_sites_as_labels_leave_out_the_unknown():
    manifest = several_lesions()
    own = sites_as_labels(manifest)
    assert len(own) == (manifest.table["location"] != "").sum()
    assert own.lesion_labels == manifest.location_labels
    assert own.single_label
    assert [lesions[0] for lesions in own.table["lesions"]] == list(own.table["location"])


def test_the_papers_table_1_is_whole():
    rows = np.array(list(liao2017_paper.TABLE_1.values()))
    np.testing.assert_allclose(rows.mean(0), liao2017_paper.MAP_CLASS, atol=6e-4)
    assert set(liao2017_paper.TABLE_1) == set(LESIONS)
    assert len(LOCATIONS) == 23


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.assign(location="arm"), r"left with 1 body site label\(s\)"),
        (lambda table: table.assign(split="train"), "makes its own folds"),
    ],
)
def test_a_set_that_cannot_show_it_gets_one_sentence(change, words, tmp_path):
    manifest = several_lesions()
    table = change(manifest.table)
    sites = tuple(sorted(set(table["location"]) - {""}))
    with pytest.raises(DataError, match=words):
        Experiment.make(
            dataclasses.replace(manifest, table=table, location_labels=sites), SCALES["small"], out=tmp_path
        )


def test_labels_are_refined_before_anything_is_trained(photos, tmp_path):
    csv = tmp_path / "own.csv"
    table = pd.read_csv(photos / "manifest.csv", dtype=str, keep_default_na=False)
    table["path"] = [str(photos / path) for path in table["path"]]
    table.loc[table.index[:4], "lesions"] = "rare"
    table.to_csv(csv, index=False)
    manifest, available, report = take_photos(str(csv), SCALES["small"], tmp_path)
    assert (available, len(manifest)) == (48, 44)
    assert "rare" not in manifest.lesion_labels
    assert report.lesions.dropped["rare"].photos == 4


@pytest.fixture
def tiny(monkeypatch):
    """The small scale on 32 pixels, two folds, one epoch; ResNet-18 for AlexNet, no report for each run."""

    def recipe(name):
        tasks = ("lesion", "location") if name.endswith("-mtl") else ("lesion",)
        return replace(
            load_recipe("liao2017-small"),
            name=name,
            tasks=tasks,
            input_size=32,
            train_size=32,
            batch_size=16,
            validation_share=0.5,
            augmentation=Augmentation(shorter_side=(36, 60)),
            phases=(Phase(cycles=1, schedule="plateau"),),
            learning_rate=0.01 if name.endswith("-alexnet") else 0.004,
        )

    monkeypatch.setattr(liao2017, "load_recipe", recipe)
    monkeypatch.setattr(liao2017, "N_FOLDS", 2)
    monkeypatch.setattr(finish, "write_report", lambda *_: None)
    scale = replace(
        SCALES["small"], phantom_photos=60, couplings=(0.0, 1.0), coupling_photos=40, coupling_folds=1
    )
    monkeypatch.setitem(SCALES, "small", scale)


@pytest.mark.slow
def test_one_command_makes_the_report_and_goes_on_where_it_stopped(tiny, photos, tmp_path, monkeypatch):
    """One arm is interrupted the first time, and one fails every time."""
    arguments = ["liao2017", "--data", str(photos), "--out", str(tmp_path / "out"), "--device", "cpu"]
    arguments += ["--cache", str(tmp_path / "cache")]
    real, begun = arms.start_run, []

    def interrupted_or_failing(recipe, data, place, *args, **kwargs):
        begun.append(place.name)
        if len(begun) == 3:
            raise KeyboardInterrupt
        if place.name.startswith("alexnet-fold1"):
            raise RecipeError("this one cannot be.")
        real(recipe, data, place, *args, **kwargs)

    monkeypatch.setattr(arms, "start_run", interrupted_or_failing)
    with pytest.raises(KeyboardInterrupt):
        reproduce.main(arguments)
    assert not (tmp_path / "out/report.html").exists()
    reproduce.main(arguments)
    assert begun.count(begun[0]) == 1
    assert begun.count(begun[2]) == 2

    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["failures"] == {"alexnet-fold1-seed0": "this one cannot be."}
    assert results["table_1"]["arms"] == ["lesion", "mtl", "shuffled", "ensemble"]
    assert set(results["figure_3"]["accuracy"]) == {"site", "mtl", "shuffled"}
    assert results["figure_3"]["photos"] == 36
    assert results["dataset"]["photos_without_site"] == 12
    assert results["coupling"] is None
    assert len(results["gains"]["rows"]) == 3
    assert results["about"]["data"]["fingerprint"] == read_manifest_csv(photos / "manifest.csv").fingerprint()
    page = (tmp_path / "out/report.html").read_text()
    for heading in ("Fig. 1", "Fig. 2", "Eq. 3 to 8", "Table 1", "Fig. 3", "Eq. 9", "Eq. 10", "Dataset"):
        assert heading in page
    assert "this one cannot be." in page
    assert 'src="http' not in page
    assert page.count("data:image/png;base64,") == 7
    told = [row["map_class"]["clear"] for row in results["table_1"]["differences"]]
    cells = re.findall(r'<td class="n">(yes|no)</td>', page)
    assert cells == ["yes" if clear else "no" for clear in told]
    assert "no" in cells

    run = tmp_path / "out/runs/mtl-fold0-seed0"
    first = score_run(Outcome(None, run))
    assert len(first.rows) == results["folds"][0]
    (run / "weights.safetensors").unlink()
    np.testing.assert_array_equal(score_run(Outcome(None, run)).lesion, first.lesion)


@pytest.mark.slow
def test_the_phantom_also_draws_the_curve_over_the_coupling(tiny, tmp_path, monkeypatch):
    """With the paper's 25 lesions and 23 sites, less those of fewer than 3 photos; two arms of five."""
    monkeypatch.setattr(liao2017, "ARMS", {name: ARMS[name] for name in ("lesion", "mtl")})
    label_map = tmp_path / "map.toml"
    label_map.write_text("[lesions]\nmin_photos = 3\n[locations]\nmin_photos = 3\n")
    arguments = ["liao2017", "--data", "phantom", "--out", str(tmp_path / "out"), "--device", "cpu"]
    reproduce.main([*arguments, "--cache", str(tmp_path / "cache"), "--label-map", str(label_map)])
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert [point["coupling"] for point in results["coupling"]["points"]] == [0, 1]
    assert results["about"]["data"]["synthetic"]
    assert results["verdict"]["word"] == "open"
    assert len(results["dataset"]["photos_by_labels"]) > 1, "photos with several lesions"
    assert all(row["paper"] for row in results["table_1"]["rows"])
    page = (tmp_path / "out/report.html").read_text()
    assert "synthetic drawings" in page
    assert "From the weakest coupling to the strongest" in page


def test_a_label_map_belongs_to_this_paper(photos, tmp_path):
    with pytest.raises(DataError, match="--label-map belongs to liao2017"):
        reproduce.main(
            ["mishra2019", "--data", str(photos), "--out", str(tmp_path), "--label-map", "map.toml"]
        )

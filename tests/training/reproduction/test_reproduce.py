"""`python -m training.reproduce mishra2019`, whole, on photos and networks as small as can be."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from training import lr_range, reproduce
from training.data.manifest import read_manifest_csv
from training.errors import DataError, RecipeError
from training.recipe import load_recipe
from training.reproduction import arms, mishra2019
from training.reproduction.mishra2019 import PARTS, SCALES, Experiment, without
from training.schedules import cycle_position

SECTIONS = [
    "table_1",
    "figures_1_2",
    "figures_3_4",
    "table_2",
    "figure_5",
    "figure_6",
    "table_3",
    "figures_7_12",
]
SECTIONS += ["table_4", "audit", "figure_14", "figure_15", "recipe_taken_apart"]


@pytest.fixture
def tiny(monkeypatch):
    """The small scale on one depth, 32 pixels and the fewest epochs that two phases have."""
    recipe = replace(
        load_recipe("mishra2019-small"),
        input_size=32,
        batch_size=16,
        range_test_steps=20,
        validation_share=0.25,
    )
    first, second = recipe.phases
    recipe = replace(recipe, phases=(replace(first, cycles=1), replace(second, cycles=1)))
    monkeypatch.setattr(lr_range, "PROBE_PHOTOS", 16)
    monkeypatch.setattr(mishra2019, "load_recipe", lambda name: recipe)
    scale = replace(SCALES["small"], depths={"resnet18": "tiny"}, repeats=((0, 0),), depth_repeats=((0, 0),))
    monkeypatch.setitem(SCALES, "small", scale)
    return scale


def command(data, out, cache):
    return [
        "mishra2019",
        "--data",
        str(data),
        "--out",
        str(out),
        "--scale",
        "small",
        "--device",
        "cpu",
        "--cache",
        str(cache),
    ]


@pytest.mark.slow
def test_one_command_makes_the_report_and_goes_on_where_it_stopped(tiny, photos, tmp_path, monkeypatch):
    """Three parts of seven; one arm is interrupted the first time, and one fails every time."""
    monkeypatch.setattr(
        mishra2019, "PARTS", {name: PARTS[name] for name in ("recipe", "plain", "no-range-test")}
    )
    arguments = command(photos, tmp_path / "out", tmp_path / "cache")
    real, begun = arms.start_run, []

    def interrupted_or_failing(recipe, data, place, *args, **kwargs):
        begun.append(place.name)
        if len(begun) == 3:
            raise KeyboardInterrupt
        if place.name.startswith("plain"):
            raise RecipeError("this one cannot be.")
        real(recipe, data, place, *args, **kwargs)

    monkeypatch.setattr(arms, "start_run", interrupted_or_failing)
    with pytest.raises(KeyboardInterrupt):
        reproduce.main(arguments)
    assert not (tmp_path / "out/report.html").exists()
    reproduce.main(arguments)
    assert begun.count(begun[0]) == 1, "a finished network is not trained again"
    assert begun.count(begun[2]) == 2, "the one that was interrupted is"

    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["failures"] == {"plain-fold0-seed0": "this one cannot be."}
    assert all(results[section] for section in SECTIONS)
    fingerprint = read_manifest_csv(photos / "manifest.csv").fingerprint()
    assert results["about"]["data"]["fingerprint"] == fingerprint
    assert [row["arm"] for row in results["recipe_taken_apart"]["rows"]] == ["recipe", "no-range-test"]
    assert {curve["name"] for curve in results["figure_14"]["curves"]} == {"field of view"}
    assert len(results["figure_15"]["curves"]) == 3
    page = (tmp_path / "out/report.html").read_text()
    for heading in ("Table 1", "Fig. 1 and 2", "Fig. 3 and 4", "Table 2", "Fig. 5", "Fig. 6", "Table 3"):
        assert heading in page
    for heading in ("Table 4", "Fig. 7 to 12", "Fig. 13", "Fig. 14", "Fig. 15", "this one cannot be."):
        assert heading in page
    assert page.count("data:image/png;base64,") >= 12
    assert 'src="http' not in page

    before = (tmp_path / "out/results.json").stat().st_mtime_ns
    with pytest.raises(DataError, match="holds an experiment with weights = None, not IMAGENET1K_V1"):
        reproduce.main([*arguments, "--weights", "IMAGENET1K_V1"])
    assert (tmp_path / "out/results.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("part", PARTS)
def test_a_part_taken_out_leaves_the_epochs_and_everything_else(part):
    recipe = load_recipe("mishra2019-small")
    changed = without(recipe, part)
    assert changed.epochs == recipe.epochs
    differing = {name for name in vars(recipe) if getattr(recipe, name) != getattr(changed, name)}
    expected = {
        "recipe": set(),
        "plain": {"phases", "loss", "class_balance", "learning_rate"},
        "no-range-test": {"learning_rate"},
        "no-restarts": {"phases"},
        "no-frozen-phase": {"phases"},
        "no-discriminative-rates": {"phases"},
        "cross-entropy": {"loss"},
    }
    assert differing == expected[part]
    if part == "no-restarts":
        for phase in changed.phases:
            assert cycle_position(phase.epochs - 1, phase.cycle_len, phase.cycle_mult).cycle == 0
    if part == "no-frozen-phase":
        assert all(min(phase.lr_scale) > 0 for phase in changed.phases)
    if part == "no-discriminative-rates":
        assert changed.phases[1].lr_scale == (1.0, 1.0, 1.0)


def test_equal_arms_are_trained_once_and_depths_start_alike(photos, tmp_path):
    manifest = read_manifest_csv(photos / "manifest.csv")
    made = Experiment.make(manifest, SCALES["small"], out=tmp_path)
    assert made.depths["resnet18"][0] == made.parts["recipe"][0]
    recipes = {arm.name: arm.recipe for arm in made.plan}
    assert len(recipes) == len(made.plan) == 4 + 2 * len(PARTS) - 1 + 3
    given = Experiment.make(manifest, SCALES["small"], out=tmp_path, weights="file.safetensors")
    recipes = {arm.name: arm.recipe for arm in given.plan}
    assert {recipes[own[0]].weights for own in given.depths.values()} == {"random"}
    assert recipes[given.parts["recipe"][0]].weights == "file.safetensors"
    assert recipes[given.parts["recipe"][0]].phases[0].lr_scale == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lesions": "red;green"}, "several lesions"),
        ({"split": "train"}, "fixes a split"),
        ({"lesions": "lonely"}, "label 'lonely' has photos of 1 patients"),
    ],
)
def test_photos_that_cannot_be_used_get_one_sentence(change, words, photos, tmp_path):
    table = pd.read_csv(photos / "manifest.csv", dtype=str)
    for column, value in change.items():
        if column not in table:
            table[column] = ""
        table.loc[0, column] = value
    table["path"] = [str(photos / path) for path in table["path"]]
    table.to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(DataError, match=words):
        Experiment.make(read_manifest_csv(tmp_path / "manifest.csv"), SCALES["small"], out=tmp_path)


def test_a_large_set_is_cut_to_whole_patients(monkeypatch, photos, tmp_path):
    scale = replace(SCALES["small"], most_photos=12)
    manifest, available = mishra2019.take_photos(str(photos), scale, tmp_path)
    assert available == 48
    assert 8 <= len(manifest) <= 16
    whole = read_manifest_csv(photos / "manifest.csv").table.groupby("group").size()
    kept = manifest.table.groupby("group").size()
    assert kept.to_dict() == whole[kept.index].to_dict()

"""Whole runs on tiny photos: they learn, repeat, resume, and say what is wrong."""

import dataclasses
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.training.tiny_fit import CPU, TINY, fit, make_trainer
from training import trainer
from training.cli import run
from training.data.loading import Samples
from training.engine import train_steps
from training.errors import CheckpointError, RecipeError
from training.evaluate import evaluate_model
from training.experiment import prepare
from training.fit import main
from training.models.checkpoint import load_checkpoint
from training.models.losses import Criterion
from training.models.param_groups import freeze, layer_groups
from training.recipe import Augmentation, Phase
from training.sources import FrozenTrunk, WholeNetwork
from training.trainer import resume_run


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = dataclasses.replace(
        TINY, tasks=("lesion", "location"), learning_rate=0.0, range_test_steps=30, phases=(Phase(cycles=4),)
    )
    return fit(photos, tmp_path_factory.mktemp("runs") / "finished", recipe)


def test_a_run_learns_and_leaves_all_that_it_promised(finished):
    card = load_checkpoint(finished).card
    assert card.metrics["balanced_accuracy"] > 0.9
    low, high = card.metrics["balanced_accuracy_interval"]
    assert low <= card.metrics["balanced_accuracy"] <= high
    assert [label.display for label in card.lesion_labels] == ["Blue", "Green", "Red"]
    assert [label.name for label in card.location_labels] == ["arm", "leg"]
    assert card.data["training_groups"] + card.data["validation_groups"] == 24
    history = json.loads((finished / "history.json").read_text())
    assert len(history["epochs"]) == 4
    assert len(history["steps"]) == 4 * 5
    assert 1e-5 < history["range_test"]["chosen"] < 10
    page = (finished / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert not re.search(r"(src|href)\s*=\s*.?http", page)
    predictions = pd.read_csv(finished / "predictions.csv")
    right = (predictions["actual"] == predictions["predicted"]).mean()
    assert right == pytest.approx(card.metrics["accuracy"])
    assert {file.name for file in finished.iterdir()} == {
        "weights.safetensors", "card.json", "history.json", "report.html", "predictions.csv",
    }  # fmt: skip


def test_evaluate_scores_the_same_photos_to_the_same_figures(finished, photos, tmp_path):
    card = load_checkpoint(finished).card
    result = evaluate_model(finished, str(photos), cache=tmp_path, progress=False)
    assert result["part"] == "validation"
    assert result["confusion"] == card.metrics["confusion"]
    assert result["map_class"] == pytest.approx(card.metrics["map_class"], abs=1e-6)
    assert result["location_top_1_accuracy"] == card.metrics["location_top_1_accuracy"]
    everything = evaluate_model(finished, str(photos), "all", cache=tmp_path, progress=False)
    assert everything["photos"] == 48


def test_evaluate_knows_the_data_of_a_model_that_learned_no_body_sites(photos, tmp_path):
    recipe = dataclasses.replace(TINY, phases=(Phase("head", (0.0,) * 3, cycles=1),))
    out = fit(photos, tmp_path / "run", recipe)
    result = evaluate_model(out, str(photos), cache=tmp_path, progress=False)
    assert (result["part"], result["photos"]) == ("validation", load_checkpoint(out).card.metrics["photos"])


def test_two_runs_give_equal_weights_and_the_seed_counts(photos, tmp_path):
    once, again = (
        load_file(fit(photos, tmp_path / name) / "weights.safetensors") for name in ("once", "again")
    )
    other = load_file(
        fit(photos, tmp_path / "other", dataclasses.replace(TINY, seed=1)) / "weights.safetensors"
    )
    assert all(torch.equal(once[key], again[key]) for key in once)
    assert not torch.equal(once["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("finished_epochs", [1, 2])
def test_an_interrupted_run_goes_on_to_the_same_weights(photos, tmp_path, monkeypatch, finished_epochs):
    whole = load_file(fit(photos, tmp_path / "whole") / "weights.safetensors")
    score, calls = trainer.evaluate, itertools.count()

    def interrupt(*arguments):
        if next(calls) == finished_epochs:
            raise KeyboardInterrupt
        return score(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(photos, tmp_path / "cut")
    assert [file.name for file in (tmp_path / "cut").iterdir()] == ["state.pt"]
    with pytest.raises(
        CheckpointError, match=r"unfinished run; finish it with python -m training\.fit --resume"
    ):
        load_checkpoint(tmp_path / "cut")
    resume_run(tmp_path / "cut", "cpu", tmp_path / "cache", progress=False)
    resumed = load_file(tmp_path / "cut" / "weights.safetensors")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert not (tmp_path / "cut" / "state.pt").exists()


def test_photos_that_no_decoder_opens_are_left_out_and_said_at_the_end(photos, tmp_path, capsys):
    table = pd.read_csv(photos / "manifest.csv", keep_default_na=False)
    table["path"] = [str(photos / name) for name in table["path"]]
    table.loc[5, "path"] = str(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("not a photo")
    table.loc[20, "path"] = str(tmp_path / "text.png")
    table.to_csv(tmp_path / "set.csv", index=False)
    recipe = dataclasses.replace(TINY, phases=(Phase("head", (0.0,) * 3, cycles=1),))
    out = fit(tmp_path / "set.csv", tmp_path / "run", recipe)
    said = capsys.readouterr().err
    assert "gone.png cannot be read" in said
    assert "text.png is not a photo" in said
    assert said.endswith("2 photos were left out; the rest was used.\n")
    data = load_checkpoint(out).card.data
    assert data["left_out"] == 2
    assert data["training_photos"] + data["validation_photos"] == 46


def test_a_run_is_not_resumed_on_other_data(photos, tmp_path, monkeypatch):
    table = pd.read_csv(photos / "manifest.csv", keep_default_na=False)
    table["path"] = [str(photos / name) for name in table["path"]]
    table.to_csv(tmp_path / "set.csv", index=False)
    calls, score = itertools.count(), trainer.evaluate

    def interrupt(*arguments):
        if next(calls) == 1:
            raise KeyboardInterrupt
        return score(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "set.csv", tmp_path / "cut")
    table[:-1].to_csv(tmp_path / "set.csv", index=False)
    with pytest.raises(CheckpointError, match=r"set\.csv has changed since .* was interrupted"):
        resume_run(tmp_path / "cut", "cpu", tmp_path / "cache", progress=False)


def test_a_head_on_features_computed_once_is_a_head_behind_the_frozen_network(photos, tmp_path):
    # At the photos' own size nothing is resized, so that both ways see the same pixels.
    still = dataclasses.replace(
        TINY, input_size=44, augmentation=Augmentation(1.0, 1.0, False, False, 0.0, 0.0)
    )
    logits = []
    for cached in (True, False):
        made = make_trainer(photos, tmp_path, still)
        source: FrozenTrunk | WholeNetwork = (
            FrozenTrunk.of(made.experiment.whole, progress=False) if cached else made.experiment.whole
        )
        made.network.train()
        freeze(made.network, made.experiment.groups, (0.0, 0.0, 0.0, 1.0))
        optimizer = torch.optim.SGD(
            [{"params": made.network.lesion_head.parameters(), "lr_scale": 1.0}], lr=0.0, momentum=0.9
        )
        batches = itertools.chain(source.batches(0), source.batches(1))
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        list(
            train_steps(
                source.forward, batches, optimizer, made.experiment.criterion, lambda _: 0.05, scaler, CPU
            )
        )
        made.network.eval()
        with torch.inference_mode():
            images, *_ = next(iter(made.experiment.whole.validation_batches()))
            logits.append(made.network(images).lesion)
    torch.testing.assert_close(*logits, atol=1e-5, rtol=1e-5)


def test_learning_rates_follow_the_groups_and_the_schedule(photos, tmp_path):
    recipe = dataclasses.replace(TINY, phases=(Phase(cycles=3, cycle_mult=2),))
    history = json.loads((fit(photos, tmp_path / "run", recipe) / "history.json").read_text())
    rates = np.array([step["learning_rate"] for step in history["steps"]])
    assert len(rates) == 7 * 5
    restarts = np.flatnonzero(np.diff(rates) > 0) + 1
    assert restarts.tolist() == [5, 15]
    assert rates.max() == rates[0] == rates[5] == rates[15] == 0.02


def test_lr_scale_scales_the_first_update(photos, tmp_path):
    moved = {}
    for scale in (1.0, 0.1):
        made = make_trainer(photos, tmp_path, dataclasses.replace(TINY, weight_decay=0.0))
        before = made.network.conv1.weight.detach().clone()
        optimizer = made._optimizer(Phase(lr_scale=(scale, 1.0, 1.0)))
        made.network.train()
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        steps = train_steps(
            made.network,
            made.experiment.whole.batches(0),
            optimizer,
            made.experiment.criterion,
            lambda _: 0.05,
            scaler,
            CPU,
        )
        next(steps)
        moved[scale] = (made.network.conv1.weight.detach() - before).norm().item()
    assert moved[0.1] == pytest.approx(0.1 * moved[1.0], rel=1e-3)


def test_a_phase_ends_when_validation_has_settled(photos, tmp_path):
    recipe = dataclasses.replace(
        TINY, learning_rate=1e-9, phases=(Phase("head", (0.0,) * 3, cycles=9, patience=2), Phase(cycles=1))
    )
    history = json.loads((fit(photos, tmp_path / "run", recipe) / "history.json").read_text())
    assert [epoch["phase"] for epoch in history["epochs"]] == ["head"] * 3 + ["whole network"]


def test_a_diverging_run_stops_and_says_at_which_rate(photos, tmp_path):
    wild = dataclasses.replace(TINY, learning_rate=1e30, phases=(Phase(cycles=2),))
    with pytest.raises(
        RecipeError, match=r"The loss became (nan|inf) at a learning rate of \d\.\d+e\+\d\d in epoch 1"
    ):
        fit(photos, tmp_path / "run", wild)


def command(*arguments: object) -> int:
    return run(lambda: main([str(argument) for argument in arguments]))


def test_command_line_overrides_any_field_and_guards_what_is_there(photos, tmp_path, capsys):
    out = tmp_path / "run"
    options = [
        "--recipe", "demo", "--data", photos, "--out", out, "--cache", tmp_path / "cache", "--device", "cpu",
        "--architecture", "resnet18", "--input-size", "32", "--learning-rate", "0.01", "--batch-size", "8",
        "--phases.0.cycles", "1", "--augmentation.min-area", "0.9", "--train-size", "0",
    ]  # fmt: skip
    assert command(*options) == 0
    recipe = load_checkpoint(out).card.recipe
    assert (recipe["input_size"], recipe["augmentation"]["min_area"]) == (32, 0.9)
    assert recipe["phases"][0]["cycles"] == 1
    capsys.readouterr()
    assert command(*options) == 2
    assert (
        "holds a finished run; choose another --out, or replace it by --overwrite" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--recipe", "nothing", "--data", "x", "--out", "y"],
            "there is no recipe 'nothing'; valid are demo",
        ),
        (["--data", "nowhere", "--out", "y"], "no such file or folder"),
        (["--data", "x", "--out", "y", "--architecture", "vgg"], "no such file or folder"),
        (["--data", "x", "--out", "y", "--device", "cuda:7"], "torch sees no GPU"),
        (["--resume", "nowhere"], "holds no unfinished run"),
    ],
)
def test_a_bad_command_gets_one_sentence(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "cuda:7" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert command(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_damaged_state_gets_one_sentence(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"half of it")
    with pytest.raises(CheckpointError, match=r"state\.pt is damaged"):
        resume_run(tmp_path)


def test_what_does_not_fit_the_data_is_said_before_training(photos, tmp_path):
    table = pd.read_csv(photos / "manifest.csv", keep_default_na=False)
    table["path"] = [str(photos / name) for name in table["path"]]
    table.drop(columns="location").to_csv(tmp_path / "no_site.csv", index=False)
    with pytest.raises(RecipeError, match="learns body sites and no_site names none"):
        fit(
            tmp_path / "no_site.csv",
            tmp_path / "run",
            dataclasses.replace(TINY, tasks=("lesion", "location")),
        )
    table["lesions"] = "red;blue"
    table.to_csv(tmp_path / "several.csv", index=False)
    with pytest.raises(RecipeError, match="photos with several lesions, which 'cross-entropy' cannot learn"):
        fit(tmp_path / "several.csv", tmp_path / "run", dataclasses.replace(TINY, loss="cross-entropy"))


def test_a_label_that_no_held_out_photo_shows_is_named(photos, tmp_path):
    table = pd.read_csv(photos / "manifest.csv", dtype=str)
    table["path"] = [str(photos / path) for path in table["path"]]
    table["split"] = [
        "train" if row < 24 or lesion == "red" else "validation"
        for row, lesion in enumerate(table["lesions"])
    ]
    table.to_csv(tmp_path / "manifest.csv", index=False)
    experiment = prepare(TINY, str(tmp_path / "manifest.csv"), CPU, cache=tmp_path / "cache", progress=False)
    assert "No held-out photo shows 'red'" in experiment.describe()
    whole = prepare(TINY, str(photos / "manifest.csv"), CPU, cache=tmp_path / "cache", progress=False)
    assert "No held-out photo" not in whole.describe()


def test_groups_and_samples_agree_with_the_split(photos, tmp_path):
    made = make_trainer(photos, tmp_path)
    groups = made.experiment.manifest.table["group"].to_numpy()
    training, validation = made.experiment.whole.training, made.experiment.whole.validation
    assert isinstance(training, Samples)
    assert not set(groups[training.rows]) & set(groups[validation.rows])
    assert len(training) + len(validation) == 48
    assert [group.name for group in layer_groups(made.network)] == ["early", "middle", "late", "heads"]
    assert isinstance(made.experiment.criterion, Criterion)

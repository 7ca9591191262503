"""What Liao & Luo 2017 train with and Mishra et al. 2019 do not: multipliers, scale jitter, plateaus, L2."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.training.tiny_fit import TINY, fit, make_trainer
from training import trainer
from training.data.manifest import MISSING
from training.data.transforms import draw_params
from training.describe import describe
from training.engine import train_steps
from training.errors import RecipeError
from training.models.losses import location_prior_logits
from training.models.networks import build_network
from training.models.param_groups import layer_groups, optimizer_groups
from training.recipe import Augmentation, Phase, load_recipe
from training.trainer import resume_run

PLATEAU = dataclasses.replace(
    TINY,
    tasks=("lesion", "location"),
    phases=(Phase(cycles=1, cycle_len=4, schedule="plateau", plateau_epochs=0),),
    head_lr_scale=(10.0, 20.0),
    keep="last",
)


def test_the_recipes_are_the_papers():
    """Liao & Luo 2017, Implementation and Experimental Results."""
    recipe = load_recipe("liao2017-mtl")
    assert (recipe.architecture, recipe.weights, recipe.tasks) == (
        "resnet50",
        "IMAGENET1K_V1",
        ("lesion", "location"),
    )
    assert recipe.augmentation == Augmentation(
        horizontal_flip=True, vertical_flip=False, brightness=0, colour=0, shorter_side=(256, 480)
    )
    assert (recipe.input_size, recipe.batch_size, recipe.momentum, recipe.weight_decay) == (
        224,
        20,
        0.9,
        1e-4,
    )
    assert (recipe.learning_rate, recipe.head_lr_scale) == (0.001, (10, 20))
    assert recipe.phases[0].schedule == "plateau"
    assert recipe.phases[0].plateau_factor == 0.1
    assert round(recipe.epochs * 21_657 * 0.8 / 20, -4) == 120_000
    alone = load_recipe("liao2017")
    assert (
        dataclasses.replace(alone, name=recipe.name, description=recipe.description, tasks=recipe.tasks)
        == recipe
    )
    alexnet = load_recipe("liao2017-alexnet")
    assert (alexnet.architecture, alexnet.batch_size, alexnet.weight_decay) == ("alexnet", 256, 5e-4)
    assert (alexnet.learning_rate, alexnet.momentum) == (0.01, 0.9)


@given(
    st.integers(16, 300), st.integers(16, 300), st.integers(0, 99), st.integers(32, 90), st.integers(0, 90)
)
@settings(max_examples=80, deadline=None)
def test_scale_jitter_cuts_the_square_that_the_drawn_length_makes(height, width, seed, low, span):
    limits = Augmentation(shorter_side=(low, low + span))
    params = draw_params(np.random.default_rng(seed), height, width, limits, 32)
    assert params.height == params.width
    assert 0 <= params.top <= params.top + params.height <= height
    assert 0 <= params.left <= params.left + params.width <= width
    shorter = min(height, width)
    assert shorter * 32 / (low + span) - 0.5 <= params.height <= shorter * 32 / low + 0.5


def test_scale_jitter_draws_every_length_and_every_place():
    limits = Augmentation(shorter_side=(256, 480))
    rng = np.random.default_rng(0)
    drawn = [draw_params(rng, 480, 640, limits, 224) for _ in range(3000)]
    lengths = 224 * 480 / np.array([params.height for params in drawn])
    assert lengths.min() < 257
    assert lengths.max() > 478
    assert abs(lengths.mean() - 368) < 4
    share_left = np.mean([params.left / (640 - params.width) for params in drawn])
    assert abs(share_left - 0.5) < 0.02


def test_every_parameter_has_its_named_group_and_its_multiplier():
    network = build_network("resnet18", 3, 5)
    groups = optimizer_groups(network, layer_groups(network), (0.0, 0.1, 1.0), (10.0, 20.0))
    scales = {group["name"]: group["lr_scale"] for group in groups}
    assert scales == {"middle": 0.1, "late": 1.0, "heads.weight": 10.0, "heads.bias": 20.0}
    by_name = {group["name"]: group["params"] for group in groups}
    assert [parameter.shape for parameter in by_name["heads.weight"]] == [(3, 512), (5, 512)]
    assert [parameter.shape for parameter in by_name["heads.bias"]] == [(3,), (5,)]
    whole = optimizer_groups(network, layer_groups(network), (1.0, 1.0, 1.0))
    held = [id(parameter) for group in whole for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in network.parameters())


def test_a_step_is_the_papers_update_with_its_multipliers_and_eq_8(photos, tmp_path):
    """By hand: w - rate * multiplier * (gradient + gamma * w); gamma * w is the gradient of gamma / 2 * |w|^2."""
    made = make_trainer(photos, tmp_path, dataclasses.replace(PLATEAU, weight_decay=0.3))
    phase = made.recipe.phases[0]
    optimizer = made._optimizer(phase)
    made.network.train()
    before = {name: value.detach().clone() for name, value in made.network.named_parameters()}
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    whole = made.experiment.whole
    next(
        train_steps(
            made.network,
            whole.batches(0),
            optimizer,
            made.experiment.criterion,
            lambda _: 0.002,
            scaler,
            whole.arithmetic,
        )
    )
    for name, multiplier in (("conv1.weight", 1), ("lesion_head.weight", 10), ("location_head.bias", 20)):
        parameter = made.network.get_parameter(name)
        old = before[name].clone().requires_grad_()
        (penalty,) = torch.autograd.grad(0.3 / 2 * old.square().sum(), old)
        expected = before[name] - 0.002 * multiplier * (parameter.grad + penalty)
        torch.testing.assert_close(parameter.detach(), expected)


def test_the_location_heads_bias_starts_at_the_sites_shares():
    targets = torch.tensor([0, 0, 0, 2, MISSING])
    shares = location_prior_logits(targets, 3).softmax(0)
    torch.testing.assert_close(shares, torch.tensor([0.75, 0.0, 0.25]), atol=2e-3, rtol=0)


def test_the_rate_falls_at_plateaus_and_the_last_epoch_is_kept(photos, tmp_path):
    """At a rate of next to nothing the training loss only wavers, so that the first stale epoch lowers it."""
    recipe = dataclasses.replace(
        PLATEAU, learning_rate=1e-9, phases=(dataclasses.replace(PLATEAU.phases[0], cycle_len=5),)
    )
    out = fit(photos, tmp_path / "run", recipe)
    history = json.loads((out / "history.json").read_text())
    losses = [epoch["train_loss"] for epoch in history["epochs"]]
    rates = [
        [step["learning_rate"] for step in history["steps"] if step["epoch"] == epoch]
        for epoch in range(1, 6)
    ]
    lowest, expected = losses[0], [1e-9, 1e-9]
    for loss in losses[1:-1]:
        expected.append(expected[-1] * (1 if loss < lowest * (1 - 1e-4) else 0.1))
        lowest = min(lowest, loss) if loss < lowest * (1 - 1e-4) else lowest
    for own, rate in zip(rates, expected, strict=True):
        assert set(own) == {own[0]}
        assert own[0] == pytest.approx(rate)
    assert rates[-1][0] < 1e-9
    page = (out / "report.html").read_text()
    assert "the last epoch is kept" in page
    assert "was chosen on these same photos" not in page


def test_an_interrupted_plateau_run_goes_on_to_the_same_weights(photos, tmp_path, monkeypatch):
    whole = load_file(fit(photos, tmp_path / "whole", PLATEAU) / "weights.safetensors")
    score, calls = trainer.evaluate, iter(range(99))

    def interrupt(*arguments):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return score(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(photos, tmp_path / "cut", PLATEAU)
    resume_run(tmp_path / "cut", "cpu", tmp_path / "cache", progress=False)
    resumed = load_file(tmp_path / "cut" / "weights.safetensors")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head_lr_scale": (0.0, 1.0)}, "the heads always train"),
        ({"augmentation": Augmentation(shorter_side=(20, 60))}, "shorter_side starts at 20 pixels"),
        ({"phases": (Phase(cycles=3, patience=2),)}, "asks the held-out photos when to end"),
    ],
)
def test_a_recipe_that_cannot_be_gets_one_sentence(changes, words):
    with pytest.raises(RecipeError, match=words):
        dataclasses.replace(PLATEAU, **changes)
    with pytest.raises(RecipeError, match="give the smaller length first"):
        Augmentation(shorter_side=(60, 20))
    with pytest.raises(RecipeError, match="plateau_factor"):
        Phase(plateau_factor=1.0)


def test_describe_says_the_multipliers_and_the_plateau():
    words = describe(load_recipe("liao2017-mtl"))
    assert "10 and 20" in words
    assert "the rate times 0.1 after more than 5 without a lower training loss" in words

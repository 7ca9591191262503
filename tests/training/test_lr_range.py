"""The LR range test: finds a known fall, through noise, and leaves everything as it was."""

import itertools
import json

import numpy as np
import pytest
import torch

from tests.training.tiny_fit import CPU, make_trainer
from training import lr_range
from training.errors import RecipeError
from training.models.losses import Criterion, balanced_label_weights, prior_logits
from training.models.networks import Logits


def test_the_range_test_leaves_everything_as_it_was(photos, tmp_path):
    made = make_trainer(photos, tmp_path)
    optimizer = torch.optim.SGD(
        [{"params": made.network.parameters(), "lr_scale": 1.0}], lr=0.3, momentum=0.9
    )
    made.network.train()
    before = {key: value.clone() for key, value in made.network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    batches = itertools.chain.from_iterable(
        made.experiment.whole.batches(epoch) for epoch in itertools.count()
    )
    result = lr_range.sweep(
        made.network,
        made.network,
        batches,
        optimizer,
        made.experiment.criterion,
        CPU,
        n_steps=25,
        n_probe=2,
        progress=False,
    )
    assert all(torch.equal(value, before[key]) for key, value in made.network.state_dict().items())
    assert optimizer.param_groups[0]["lr"] == 0.3
    assert not optimizer.state_dict()["state"]
    torch.testing.assert_close(torch.rand(3), expected)
    assert result.chosen in result.learning_rates


@pytest.mark.parametrize("second_dip", [0.0, 1.5])
def test_the_rate_chosen_is_where_a_known_curve_falls_most_steeply(second_dip):
    """A loss that explodes, comes back and falls again more steeply has left the range all the same."""
    rates = np.geomspace(1e-5, 10, 100)
    place = np.log10(rates)
    losses = 2 - 0.3 * np.tanh(3 * (place + 3)) + np.exp(6 * (place + 1.8))
    losses -= second_dip * np.exp(6 * (place + 1.8)) * np.exp(-((place + 0.5) ** 2) / 0.1)
    losses += np.random.default_rng(0).normal(0, 0.003, 100)
    assert abs(np.log10(lr_range.choose_rate(rates, losses)) + 3) < 0.25


def test_a_loss_that_never_falls_gives_no_rate():
    rates = np.geomspace(1e-5, 10, 60)
    noise = np.random.default_rng(0).normal(0, 2e-4, 60)
    for losses in (np.linspace(1, 2, 60), np.ones(60) + noise):
        with pytest.raises(RecipeError, match="saw no falling loss"):
            lr_range.choose_rate(rates, losses)


def test_a_fall_is_seen_through_the_noise_of_uneven_batches():
    """Batches of few photos of rare labels differ far more by their labels than by what is learned: on their own
    losses no fall could be told, and on a probe of the same photos it can."""
    torch.manual_seed(0)
    targets = torch.eye(4)[torch.multinomial(torch.tensor([0.6, 0.3, 0.07, 0.03]), 600, replacement=True)]
    weights = balanced_label_weights(targets, 1.0)
    images = torch.randn(600, 20) + 0.4 * targets @ torch.randn(4, 20)
    head = torch.nn.Linear(20, 4)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(prior_logits(targets, "cross-entropy", weights))
    nowhere = torch.full((600,), -1)
    batches = [(images[rows], targets[rows], nowhere[rows]) for rows in torch.randperm(600).split(12)]
    result = lr_range.sweep(
        head,
        lambda batch: Logits(head(batch), None),
        iter(batches),
        torch.optim.SGD([{"params": head.parameters(), "lr_scale": 1.0}], lr=0.1),
        Criterion("cross-entropy", weights),
        CPU,
        n_steps=44,
        n_probe=6,
        progress=False,
    )
    assert 1e-2 < result.chosen < 3


def test_the_command_draws_the_test_and_trains_nothing(photos, tmp_path, capsys):
    sizes = ["--input-size=32", "--train-size=32", "--batch-size=12", "--range-test-steps=20", "--device=cpu"]
    places = ["--data", str(photos), "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    lr_range.main([*places, "--recipe", "demo", *sizes])
    kept = json.loads((tmp_path / "out/lr_range.json").read_text())
    assert f"--learning-rate {kept['chosen']:.2e}" in capsys.readouterr().out
    assert (tmp_path / "out/lr_range.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["lr_range.json", "lr_range.png"]

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
        constant=Logits(torch.zeros(1, 3), None),
        n_steps=25,
        progress=False,
    )
    assert all(torch.equal(value, before[key]) for key, value in made.network.state_dict().items())
    assert optimizer.param_groups[0]["lr"] == 0.3
    assert not optimizer.state_dict()["state"]
    torch.testing.assert_close(torch.rand(3), expected)
    assert result.chosen in result.learning_rates


def test_the_rate_chosen_is_where_a_known_curve_falls_most_steeply():
    rates = np.geomspace(1e-5, 10, 200)
    place = np.log10(rates)
    losses = 2 - np.tanh(3 * (place + 2)) + np.exp(3 * (place - 0.3))
    losses += np.random.default_rng(0).normal(0, 0.02, 200)
    assert abs(np.log10(lr_range.choose_rate(rates, losses)) + 2) < 0.25
    with pytest.raises(RecipeError, match="saw no falling loss"):
        lr_range.choose_rate(rates, np.linspace(1, 2, 200))


def test_a_fall_is_seen_through_the_noise_of_uneven_batches():
    """Batches of few photos of rare labels differ far more by their labels than by what is learned."""
    torch.manual_seed(0)
    targets = torch.eye(4)[torch.multinomial(torch.tensor([0.6, 0.3, 0.07, 0.03]), 600, replacement=True)]
    features = torch.randn(600, 8) + 2 * targets @ torch.randn(4, 8)
    weights = balanced_label_weights(targets, 1.0)
    criterion = Criterion("binary-cross-entropy", weights)
    head = torch.nn.Linear(8, 4)
    torch.nn.init.zeros_(head.weight)
    prior = prior_logits(targets, "binary-cross-entropy", weights)
    head.bias.data.copy_(prior)
    optimizer = torch.optim.SGD([{"params": head.parameters(), "lr_scale": 1.0}], lr=0.0, momentum=0.9)
    missing = torch.full((600,), -1)
    rows = [torch.randint(600, (8,)) for _ in range(80)]
    result = lr_range.sweep(
        head,
        lambda x: Logits(head(x), None),
        [(features[chosen], targets[chosen], missing[chosen]) for chosen in rows],
        optimizer,
        criterion,
        CPU,
        constant=Logits(prior[None], None),
        n_steps=80,
        progress=False,
    )
    before = np.array(result.losses[:20])
    assert before.std() < 0.05 * before.mean()
    assert 1e-3 < result.chosen < 1


def test_the_command_draws_the_test_and_trains_nothing(photos, tmp_path, capsys):
    lr_range.main(
        [
            "--data",
            str(photos),
            "--out",
            str(tmp_path / "out"),
            "--cache",
            str(tmp_path / "cache"),
            "--device",
        ]
        + ["cpu", "--recipe", "demo", "--input-size", "32", "--train-size", "32", "--range-test-steps", "20"]
    )
    kept = json.loads((tmp_path / "out/lr_range.json").read_text())
    assert f"--learning-rate {kept['chosen']:.2e}" in capsys.readouterr().out
    assert (tmp_path / "out/lr_range.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["lr_range.json", "lr_range.png"]

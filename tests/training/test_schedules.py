"""Learning rates agree with torch's own schedulers and with their definitions."""

import itertools
import math

import pytest
import torch

from training.schedules import cycle_position, plateau, range_sweep, warm_restarts


@pytest.mark.parametrize("cycle_mult", [1, 2, 3])
def test_warm_restarts_agree_with_torch(cycle_mult):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    oracle = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, T_0=7, T_mult=cycle_mult, eta_min=1e-3
    )
    for step in range(7 * (1 + 3 + 9 + 27)):
        ours = warm_restarts(step, 7, max_lr=0.1, min_lr=1e-3, cycle_mult=cycle_mult)
        assert abs(ours - optimizer.param_groups[0]["lr"]) < 1e-9
        optimizer.step()
        oracle.step()


@pytest.mark.parametrize("cycle_mult", [1, 2, 3])
def test_cycles_start_where_the_sum_of_lengths_says(cycle_mult):
    start = 0
    for cycle in range(6):
        length = 5 * cycle_mult**cycle
        assert cycle_position(start, 5, cycle_mult) == (cycle, 0, length)
        assert cycle_position(start + length - 1, 5, cycle_mult) == (cycle, length - 1, length)
        start += length


def test_range_sweep_is_exponential_between_its_ends():
    rates = [range_sweep(step, 50, min_lr=1e-4, max_lr=1.0) for step in range(50)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[-1] == pytest.approx(1.0)
    ratios = [math.log(b / a) for a, b in itertools.pairwise(rates)]
    assert max(ratios) - min(ratios) < 1e-9


@pytest.mark.parametrize("patience", [0, 1, 4])
def test_plateau_agrees_with_torch(patience):
    """On a loss that falls, stalls, falls again, wavers by less than the threshold, and stalls."""
    losses = [3.0, 2.0, 2.1, 2.05, 2.0, 1.0, 1.0, 0.99995, 1.2, 0.9, *[0.9] * 12]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=patience, eps=0)
    for n_epochs in range(len(losses) + 1):
        ours = plateau(losses[:n_epochs], max_lr=0.5, patience=patience, factor=0.1)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        if n_epochs < len(losses):
            theirs.step(losses[n_epochs])
    assert ours < 0.5

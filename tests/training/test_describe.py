"""`--describe`: every parameter of the network is accounted for, and the phases are those of the recipe."""

import re

import pytest

from training.fit import main
from training.models.networks import build_network
from training.recipe import load_recipe


@pytest.mark.parametrize("depth", [34, 50, 101, 152])
def test_the_four_depths_share_everything_but_the_depth(depth, capsys):
    name = f"mishra2019-resnet{depth}"
    recipe, base = load_recipe(name), load_recipe("mishra2019")
    assert (recipe.architecture, recipe.phases, recipe.loss) == (f"resnet{depth}", base.phases, base.loss)
    main(["--recipe", name, "--describe"])
    shown = capsys.readouterr().out
    counts = [int(count.replace(",", "")) for count in re.findall(r"\d+(?:,\d{3})+", shown)]
    assert sum(counts) == sum(value.numel() for value in build_network(f"resnet{depth}", 10).parameters())
    assert "frozen  0.01" in shown
    assert "cosine cycles of 1, 2, 4, 8 epochs" in shown


def test_an_override_is_described(capsys):
    main(["--recipe=demo", "--describe", "--learning-rate", "0.5"])
    assert "learning rate: 0.5" in capsys.readouterr().out

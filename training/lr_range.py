"""The LR range test: raise the rate step by step, watch the loss, choose the rate of steepest descent.

    python -m training.lr_range --recipe mishra2019-resnet18 --data path/to/photos --out lr_range
    result = sweep(network, steps, ...)

Source: Smith 2017; Mishra et al. 2019, Sec. 3, Fig. 1 and 2. As in fastai 0.7, which their code followed, the
sweep is exponential from 1e-5 to 10. Unlike there, it has a length of its own rather than an epoch's, so that a
small data set has one too, and the loss is read after every step on one and the same probe of photos: batches
differ from each other, above all by the labels in them, by far more than some tens of steps change, and a curve of
their own losses shows that difference rather than the fall.
"""

import copy
import itertools
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from torch import nn
from tqdm import tqdm

from training import schedules
from training.cli import run, whole_file, write_text
from training.data.loading import Batch
from training.engine import Arithmetic, Forward, train_steps
from training.errors import RecipeError
from training.models.losses import Criterion
from training.recipe import Recipe, load_recipe, recipe_argument

KERNEL_SHARE = 0.04
"""Standard deviation of the centred average by which the rate is chosen, as a share of the fall's length."""
DIVERGED = 2.0
"""Times the first loss at which the sweep stops."""
RISE, RISE_OF_START = 0.25, 0.01
"""The fall ends where the loss exceeds its lowest so far by these shares of the fall and of the first loss."""
LEAST_FALL = 1e-3
"""Of the first loss; a smaller one is none."""
PROBE_PHOTOS = 64
"""At least so many photos are in the probe, in whole batches."""


@dataclass(frozen=True)
class RangeTest:
    """A sweep's rates, the probe's loss after the step at each, and the rate chosen."""

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float


def fall_end(losses: np.ndarray) -> int:
    """How many of the (S,) losses belong to the fall: up to where it first turns into a clear rise."""
    lowest = np.minimum.accumulate(losses)
    risen = losses - lowest > RISE * (losses[0] - lowest) + RISE_OF_START * losses[0]
    return int(risen.argmax()) if risen.any() else len(losses)


def smooth(losses: np.ndarray) -> np.ndarray:
    """(S,) losses to their centred Gaussian average, float64; at the ends the kernel is cut and made whole."""
    steps = np.arange(len(losses))
    kernel = np.exp(-0.5 * ((steps[:, None] - steps) / (KERNEL_SHARE * len(losses))) ** 2)
    return kernel @ losses / kernel.sum(1)


def slope(learning_rates: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """(S,) the smoothed loss's rate of change per factor of ten of the learning rate (the paper's Fig. 2)."""
    return np.gradient(smooth(losses), np.log10(learning_rates))


def choose_rate(learning_rates: np.ndarray, losses: np.ndarray) -> float:
    """The rate at which the smoothed loss falls most steeply, looked for up to where it first rises.

    Raises:
        RecipeError: the loss never fell, so that no rate can be chosen.
    """
    end = fall_end(losses)
    if end < 3 or losses[:end].min() > (1 - LEAST_FALL) * losses[0]:
        raise RecipeError(
            f"the LR range test saw no falling loss between {learning_rates[0]:.1e} and "
            f"{learning_rates[-1]:.1e}; set learning_rate by hand."
        )
    return float(learning_rates[int(np.argmin(slope(learning_rates[:end], losses[:end])))])


def sweep(
    network: nn.Module,
    forward: Forward,
    batches: Iterator[Batch],
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    arithmetic: Arithmetic,
    *,
    n_steps: int,
    n_probe: int,
    progress: bool = True,
) -> RangeTest:
    """Run the test on `n_steps` batches; network, optimiser and random state are left as they were found.

    Args:
        batches: at least `n_probe` + `n_steps` of them.
        n_probe: so many batches, the first, are the probe on which the loss is read after every step, in the
            mode in which the network trains; on the others it trains.

    Raises:
        RecipeError: the loss never fell.
    """
    weights = copy.deepcopy(network.state_dict())
    optimizer_state = copy.deepcopy(optimizer.state_dict())
    rng_state = torch.get_rng_state()
    rates: list[float] = []
    losses: list[float] = []
    try:
        probe = list(itertools.islice(batches, n_probe))
        steps = train_steps(
            forward,
            itertools.islice(batches, n_steps),
            optimizer,
            criterion,
            lambda step: schedules.range_sweep(step, n_steps),
            torch.amp.GradScaler(arithmetic.device.type, enabled=arithmetic.precision == "fp16"),
            arithmetic,
        )
        for rate, _ in tqdm(steps, "LR range test", n_steps, unit="step", leave=False, disable=not progress):
            loss = _probe_loss(forward, probe, criterion, arithmetic)
            if not math.isfinite(loss):
                break
            rates.append(rate)
            losses.append(loss)
            if loss > DIVERGED * losses[0]:
                break
    finally:
        network.load_state_dict(weights)
        optimizer.load_state_dict(optimizer_state)
        torch.set_rng_state(rng_state)
    return RangeTest(tuple(rates), tuple(losses), choose_rate(np.array(rates), np.array(losses)))


@torch.no_grad()
def _probe_loss(
    forward: Forward, probe: Sequence[Batch], criterion: Criterion, arithmetic: Arithmetic
) -> float:
    """The mean loss over the probe's photos; NaN or infinite where the weights are."""
    total, n_photos = 0.0, 0
    for images, lesions, locations in probe:
        with arithmetic.autocast():
            logits = forward(arithmetic.photos(images))
        loss = criterion(logits, lesions.to(arithmetic.device), locations.to(arithmetic.device))
        total, n_photos = total + loss.item() * len(images), n_photos + len(images)
    return total / n_photos


@dataclass(frozen=True)
class RangeCommand:
    """Find a learning rate for a recipe's first phase on your data, and draw how it was found."""

    data: str
    """`phantom`; a manifest CSV; or a folder of PAD-UFES-20, of HAM10000 or of class folders."""
    settings: Annotated[Recipe, tyro.conf.arg(name="", prefix_name=False)]
    out: Path = Path("lr_range")
    """Folder for lr_range.png and lr_range.json."""
    recipe: str = "mishra2019-resnet18"
    """A recipe's name or the path of a TOML file; the options below show its values."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    cache: Path = Path("data/cache")
    """Where decoded photos are kept."""


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `RangeCommand`."""
    from training.evaluation.plots import plot_range_test
    from training.experiment import prepare
    from training.trainer import Trainer

    arguments = sys.argv[1:] if arguments is None else arguments
    name = recipe_argument(arguments, RangeCommand.recipe)
    command = tyro.cli(
        RangeCommand,
        args=arguments,
        prog="python -m training.lr_range",
        default=RangeCommand(tyro.MISSING, load_recipe(name)),
    )
    arithmetic = Arithmetic.choose(command.device, command.settings.precision)
    experiment = prepare(command.settings, command.data, arithmetic, cache=command.cache)
    trainer = Trainer(experiment, command.out)
    phase = command.settings.phases[0]
    result = asdict(trainer.range_test(phase, trainer.source(phase)))
    write_text(command.out / "lr_range.json", json.dumps(result, indent=1))
    with whole_file(command.out / "lr_range.png") as temporary:
        temporary.write_bytes(plot_range_test(result))
    print(f"drawn: {command.out / 'lr_range.png'}; to train with it: --learning-rate {result['chosen']:.2e}")


if __name__ == "__main__":
    sys.exit(run(main))

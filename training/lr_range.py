"""The LR range test: raise the rate step by step, watch the loss, choose the rate of steepest descent.

    python -m training.lr_range --recipe mishra2019-resnet18 --data path/to/photos --out lr_range
    result = sweep(network, steps, ...)

Source: Smith 2017; Mishra et al. 2019, Sec. 3, Fig. 1 and 2. As in fastai 0.7, which their code followed, the
sweep is exponential from 1e-5 to 10 and stops at NaN or at four times the best of a debiased moving average of
the loss. Unlike there, it has a length of its own rather than an epoch's, so that a small data set has one too;
the rate is chosen on a centred average, since a moving one lags and would put the steepest descent too far right;
and what differs between batches only by which labels fell into them is taken out.
"""

import copy
import json
import math
import sys
from collections.abc import Iterable, Iterator
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
from training.models.networks import Logits
from training.recipe import Recipe, load_recipe, recipe_argument

MOVING_WEIGHT = 0.9
"""Of the moving average by which the sweep is stopped."""
KERNEL_SHARE = 0.08
"""Standard deviation of the centred average by which the rate is chosen, as a share of the sweep's length."""
DIVERGED = 4.0
"""Times the best smoothed loss at which the sweep stops."""


@dataclass(frozen=True)
class RangeTest:
    """A sweep's rates, its losses (less what the batches' labels alone account for), and the rate chosen."""

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float


def smooth(losses: np.ndarray) -> np.ndarray:
    """(S,) losses to their centred Gaussian average, float64; at the ends the kernel is cut and made whole.

    Losses above the level at which the sweep began are cut to it first: how high the loss jumps when it diverges
    says nothing of where it fell, and would hide a small fall beside it.
    """
    level = np.median(losses[: max(5, len(losses) // 8)])
    steps = np.arange(len(losses))
    kernel = np.exp(-0.5 * ((steps[:, None] - steps) / (KERNEL_SHARE * len(losses))) ** 2)
    return kernel @ np.minimum(losses, level) / kernel.sum(1)


def slope(learning_rates: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """(S,) the smoothed loss's rate of change per factor of ten of the learning rate (the paper's Fig. 2)."""
    return np.gradient(smooth(losses), np.log10(learning_rates))


def choose_rate(learning_rates: np.ndarray, losses: np.ndarray) -> float:
    """The rate at which the smoothed loss falls most steeply, looked for up to its lowest point.

    Raises:
        RecipeError: the loss never fell, so that no rate can be chosen.
    """
    lowest = int(np.argmin(smooth(losses)))
    if lowest < 2:
        raise RecipeError(
            f"the LR range test saw no falling loss between {learning_rates[0]:.1e} and "
            f"{learning_rates[-1]:.1e}; set learning_rate by hand."
        )
    return float(learning_rates[int(np.argmin(slope(learning_rates, losses)[: lowest + 1]))])


def sweep(
    network: nn.Module,
    forward: Forward,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    arithmetic: Arithmetic,
    *,
    constant: Logits,
    n_steps: int,
    progress: bool = True,
) -> RangeTest:
    """Run the test on `n_steps` batches; network, optimiser and random state are left as they were found.

    Args:
        batches: at least `n_steps` of them.
        constant: (1, P) and (1, Q) logits, the answer that is the same for every photo. Its loss on a batch
            depends on the batch's labels alone; what it differs by from its mean is taken off the batch's loss,
            which would otherwise drown a fall that takes only some tens of steps.

    Raises:
        RecipeError: the loss never fell.
    """
    weights = copy.deepcopy(network.state_dict())
    optimizer_state = copy.deepcopy(optimizer.state_dict())
    rng_state = torch.get_rng_state()
    rates, losses, best, average = [], [], math.inf, 0.0
    constant_losses: list[float] = []

    def noted() -> Iterator[Batch]:
        for images, lesions, locations in batches:
            constant_losses.append(_constant_loss(criterion, constant, lesions, locations, arithmetic))
            yield images, lesions, locations

    try:
        steps = train_steps(
            forward,
            noted(),
            optimizer,
            criterion,
            lambda step: schedules.range_sweep(step, n_steps),
            torch.amp.GradScaler(arithmetic.device.type, enabled=arithmetic.precision == "fp16"),
            arithmetic,
        )
        for rate, loss in tqdm(steps, "LR range test", n_steps, unit="step", disable=not progress):
            if not math.isfinite(loss):
                break
            rates.append(rate)
            losses.append(loss)
            average = MOVING_WEIGHT * average + (1 - MOVING_WEIGHT) * loss
            debiased = average / (1 - MOVING_WEIGHT ** len(losses))
            best = min(best, debiased)
            if len(rates) == n_steps or debiased > DIVERGED * best:
                break
    finally:
        network.load_state_dict(weights)
        optimizer.load_state_dict(optimizer_state)
        torch.set_rng_state(rng_state)
    by_labels = np.array(constant_losses[: len(losses)])
    comparable = np.array(losses) - by_labels + by_labels.mean()
    return RangeTest(tuple(rates), tuple(comparable.tolist()), choose_rate(np.array(rates), comparable))


def _constant_loss(
    criterion: Criterion,
    constant: Logits,
    lesions: torch.Tensor,
    locations: torch.Tensor,
    arithmetic: Arithmetic,
) -> float:
    n_photos = len(lesions)
    location = None if constant.location is None else constant.location.expand(n_photos, -1)
    logits = Logits(constant.lesion.expand(n_photos, -1), location)
    return float(criterion(logits, lesions.to(arithmetic.device), locations.to(arithmetic.device)))


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

"""One run, from its recipe to its checkpoint: the phases of Mishra et al. 2019, Sec. 3, resumable by epoch.

start_run(load_recipe("demo"), "phantom", Path("runs/demo"))
"""

import dataclasses
import itertools
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from training import lr_range, schedules
from training.cli import whole_file
from training.data.manifest import Manifest
from training.engine import Arithmetic, Scores, evaluate, train_steps
from training.errors import CheckpointError, RecipeError
from training.experiment import Experiment, prepare
from training.finish import write_run
from training.models.checkpoint import STATE_FILE
from training.models.param_groups import freeze, optimizer_groups
from training.recipe import Phase, Recipe, from_dict
from training.sources import FrozenTrunk, Source

RANGE_TEST_EPOCH = 1_000_000
"""The range test draws its batches from epochs that training never reaches."""


@dataclass
class Progress:
    """What an interrupted run needs to go on, beside its recipe and data."""

    epoch: int = 0
    """Epochs finished, over all phases."""
    phase: int = 0
    phase_epoch: int = 0
    """Epochs finished of the phase."""
    base_lr: float = 0.0
    best_value: float = -math.inf
    best_epoch: int = 0
    history: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {"steps": [], "epochs": [], "range_test": None, "stopped": None}
    )


def start_run(
    recipe: Recipe,
    data: str,
    out: Path,
    device: str = "auto",
    cache: Path = Path("data/cache"),
    *,
    progress: bool = True,
    manifest: Manifest | None = None,
) -> None:
    """Train from the beginning; `out` holds the checkpoint and its report at the end.

    Args:
        manifest: the data, where the caller has them in hand; `data` then only names them.

    Raises:
        UserError: the recipe does not fit the data, the weights the network, or a photo set is unusable.
    """
    arithmetic = Arithmetic.choose(device, recipe.precision)
    experiment = prepare(recipe, data, arithmetic, cache=cache, progress=progress, manifest=manifest)
    Trainer(experiment, out, show_progress=progress).run()


def resume_run(
    out: Path,
    device: str = "auto",
    cache: Path = Path("data/cache"),
    *,
    progress: bool = True,
    manifest: Manifest | None = None,
) -> None:
    """Go on with an interrupted run from its last finished epoch.

    Raises:
        CheckpointError: the folder holds no unfinished run, or its state is damaged.
    """
    file = out / STATE_FILE
    if not file.is_file():
        raise CheckpointError(
            f"{out} holds no unfinished run ({STATE_FILE} is not there); start one with --out."
        )
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # The unpickler raises whatever damage makes it stumble over.
        raise CheckpointError(f"{file} is damaged ({error}); start the run over with --overwrite.") from error
    recipe = from_dict(json.loads(state["recipe"]))
    arithmetic = Arithmetic.choose(device, recipe.precision)
    experiment = prepare(recipe, state["data"], arithmetic, cache=cache, progress=progress, manifest=manifest)
    if experiment.manifest.fingerprint() != state["fingerprint"]:
        raise CheckpointError(
            f"{state['data']} has changed since {out} was interrupted; put it back as it was, or start over "
            "with --overwrite."
        )
    trainer = Trainer(experiment, out, show_progress=progress)
    trainer.restore(state)
    trainer.run()


class Trainer:
    """The state of one run."""

    def __init__(self, experiment: Experiment, out: Path, *, show_progress: bool = True) -> None:
        self.experiment, self.out, self.show_progress = experiment, out, show_progress
        self.recipe, self.network = experiment.recipe, experiment.network
        self.arithmetic = experiment.arithmetic
        self.scaler = torch.amp.GradScaler(
            self.arithmetic.device.type, enabled=self.arithmetic.precision == "fp16"
        )
        self.optimizer: torch.optim.Optimizer | None = None
        self.best_weights: dict[str, torch.Tensor] = {}
        self.progress = Progress()

    def run(self) -> None:
        """Train what is left of the phases, then score, calibrate and write the checkpoint and its report."""
        self._say(self.experiment.describe())
        history = self.progress.history
        while self.progress.phase < len(self.recipe.phases) and not history["stopped"]:
            self._run_phase(self.recipe.phases[self.progress.phase])
            self.progress.phase, self.progress.phase_epoch = self.progress.phase + 1, 0
            self.optimizer = None
        if not self.best_weights:
            raise RecipeError(f"{history['stopped']} Nothing was learned before; lower learning_rate.")
        self.network.load_state_dict(self.best_weights)
        self.network.eval()
        scores = self._score(self.experiment.whole)
        write_run(self.out, self.experiment, scores, history)

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `_save` wrote."""
        self.progress = Progress(**json.loads(state["progress"]))
        self.network.load_state_dict(state["network"])
        self.best_weights = state["best_weights"]
        self.scaler.load_state_dict(state["scaler"])
        phase = self.recipe.phases[self.progress.phase]
        self.optimizer = self._optimizer(phase)
        self.optimizer.load_state_dict(state["optimizer"])

    def _run_phase(self, phase: Phase) -> None:
        if self.optimizer is None:
            self.optimizer = self._optimizer(phase)
        source = self.source(phase)
        if not self.progress.base_lr:
            self.progress.base_lr = self.recipe.learning_rate or self.range_test(phase, source).chosen
        while self.progress.phase_epoch < phase.epochs and not self._settled(phase):
            self._run_epoch(phase, source)
            if self.progress.history["stopped"]:
                return
            self._save()

    def source(self, phase: Phase) -> Source:
        """What the phase trains on: features computed once, where only the heads train."""
        if any(phase.lr_scale):
            return self.experiment.whole
        return FrozenTrunk.of(self.experiment.whole, progress=self.show_progress)

    def _run_epoch(self, phase: Phase, source: Source) -> None:
        progress, history = self.progress, self.progress.history
        self._train_mode(phase)
        assert self.optimizer is not None
        steps = train_steps(
            source.forward,
            source.batches(progress.epoch),
            self.optimizer,
            self.experiment.criterion,
            self._learning_rate(phase, source.n_steps),
            self.scaler,
            self.arithmetic,
        )
        title = f"epoch {progress.epoch + 1}/{self.recipe.epochs} {phase.name}"
        losses = []
        with tqdm(
            steps, title, source.n_steps, unit="step", leave=False, disable=not self.show_progress
        ) as bar:
            for rate, loss in bar:
                if not math.isfinite(loss):
                    history["stopped"] = (
                        f"The loss became {loss} at a learning rate of {rate:.2e} in epoch {progress.epoch + 1}."
                    )
                    self._say(history["stopped"])
                    return
                losses.append(loss)
                history["steps"].append({"epoch": progress.epoch + 1, "learning_rate": rate, "loss": loss})
                bar.set_postfix(loss=f"{loss:.3f}", lr=f"{rate:.1e}")
        self.network.eval()
        scores = self._score(source)
        progress.epoch, progress.phase_epoch = progress.epoch + 1, progress.phase_epoch + 1
        self._record(phase, float(np.mean(losses)), scores)

    def _learning_rate(self, phase: Phase, n_steps: int) -> Callable[[int], float]:
        """The base rate of each step of the epoch that comes next, which has `n_steps`."""
        progress = self.progress
        if phase.schedule == "plateau":
            first = len(progress.history["epochs"]) - progress.phase_epoch
            rate = schedules.plateau(
                [epoch["train_loss"] for epoch in progress.history["epochs"][first:]],
                max_lr=progress.base_lr,
                patience=phase.plateau_epochs,
                factor=phase.plateau_factor,
            )
            return lambda step: rate
        first_step = progress.phase_epoch * n_steps
        return lambda step: schedules.warm_restarts(
            first_step + step,
            phase.cycle_len * n_steps,
            max_lr=progress.base_lr,
            cycle_mult=phase.cycle_mult,
        )

    def _score(self, source: Source) -> Scores:
        return evaluate(
            source.forward, source.validation_batches(), self.experiment.criterion, self.arithmetic
        )

    def _record(self, phase: Phase, train_loss: float, scores: Scores) -> None:
        progress = self.progress
        name, value = scores.headline()
        better = value > progress.best_value or self.recipe.keep == "last"
        if better:
            progress.best_value, progress.best_epoch = value, progress.epoch
            self.best_weights = {
                key: tensor.detach().cpu().clone() for key, tensor in self.network.state_dict().items()
            }
        progress.history["metric"] = name
        progress.history["epochs"].append(
            {
                "epoch": progress.epoch,
                "phase": phase.name,
                "train_loss": train_loss,
                "validation_loss": scores.loss,
                "metric": value,
            }
        )
        self._say(
            f"epoch {progress.epoch:>3}/{self.recipe.epochs} {phase.name:<14} loss {train_loss:.3f}  "
            f"validation {scores.loss:.3f}  {name} {value:.3f}"
            f"{'  best' if better and self.recipe.keep == 'best' else ''}"
        )

    def _settled(self, phase: Phase) -> bool:
        """At the end of a cycle: has validation not improved for `patience` epochs?"""
        done = self.progress.phase_epoch
        if phase.patience == 0 or schedules.cycle_position(done, phase.cycle_len, phase.cycle_mult).step:
            return False
        return min(done, self.progress.epoch - self.progress.best_epoch) >= phase.patience

    def _train_mode(self, phase: Phase) -> None:
        self.network.train()
        freeze(self.network, self.experiment.groups, (*phase.lr_scale, 1.0))

    def range_test(self, phase: Phase, source: Source) -> lr_range.RangeTest:
        """Sweep the rate with the groups that the phase trains; the network is left as it was."""
        self._train_mode(phase)
        optimizer = self._optimizer(phase)
        epochs = (source.batches(RANGE_TEST_EPOCH + extra) for extra in itertools.count())
        result = lr_range.sweep(
            self.network,
            source.forward,
            itertools.chain.from_iterable(epochs),
            optimizer,
            self.experiment.criterion,
            self.arithmetic,
            n_steps=self.recipe.range_test_steps,
            n_probe=-(-lr_range.PROBE_PHOTOS // self.recipe.batch_size),
            progress=self.show_progress,
        )
        self.progress.history["range_test"] = dataclasses.asdict(result)
        self._say(f"LR range test: the loss falls most steeply at {result.chosen:.2e}.")
        return result

    def _optimizer(self, phase: Phase) -> torch.optim.Optimizer:
        groups = optimizer_groups(
            self.network, self.experiment.groups, phase.lr_scale, self.recipe.head_lr_scale
        )
        return torch.optim.SGD(
            groups, lr=0.0, momentum=self.recipe.momentum, weight_decay=self.recipe.weight_decay
        )

    def _save(self) -> None:
        assert self.optimizer is not None
        state = {
            "recipe": json.dumps(dataclasses.asdict(self.recipe)),
            "data": self.experiment.data,
            "fingerprint": self.experiment.manifest.fingerprint(),
            "progress": json.dumps(dataclasses.asdict(self.progress)),
            "network": self.network.state_dict(),
            "best_weights": self.best_weights,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        with whole_file(self.out / STATE_FILE) as temporary:
            torch.save(state, temporary)

    def _say(self, sentence: str) -> None:
        if self.show_progress:
            tqdm.write(sentence, file=sys.stdout)

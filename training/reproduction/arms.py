"""The arms of an experiment: runs that differ in one thing, each trained once, however often they are asked for.

    plan = Plan()
    plan.add("recipe fold 0", recipe, manifest)
    outcomes = run_plan(plan, Path("out/runs"), data="phantom")

Every arm is a run's folder as `training.fit` makes it; an interrupted plan goes on with the arm, and in the
arm with the epoch, at which it stopped. An arm that fails keeps its sentence, and the others go on.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from training.cli import write_text
from training.data.manifest import Manifest
from training.errors import DataError, UserError
from training.finish import PREDICTIONS_FILE
from training.models.card import ModelCard
from training.models.checkpoint import CARD_FILE, HISTORY_FILE, STATE_FILE
from training.recipe import Recipe, from_dict
from training.trainer import resume_run, start_run

CLOCK_FILE = "clock.json"


@dataclass(frozen=True)
class Arm:
    """One run of the plan."""

    name: str
    """Its folder's name."""
    recipe: Recipe
    manifest: Manifest = field(repr=False)


class Plan:
    """The arms in the order in which they are run; one that is asked for twice is run once."""

    def __init__(self) -> None:
        self.arms: list[Arm] = []

    def add(self, name: str, recipe: Recipe, manifest: Manifest) -> str:
        """Take an arm in.

        Returns:
            The name under which its outcome is found: that of an equal arm, where there is one already.
        """
        for arm in self.arms:
            if arm.recipe == recipe and arm.manifest is manifest:
                return arm.name
        if any(arm.name == name for arm in self.arms):
            raise ValueError(f"the plan has another arm '{name}'")
        self.arms.append(Arm(name, recipe, manifest))
        return name

    def __iter__(self) -> Iterator[Arm]:
        return iter(self.arms)

    def __len__(self) -> int:
        return len(self.arms)


@dataclass(frozen=True)
class Outcome:
    """What an arm left, read from its folder."""

    arm: Arm
    folder: Path
    failure: str | None = None
    """The sentence of the error that ended it; None: it came through."""

    @cached_property
    def card(self) -> ModelCard:
        return ModelCard.from_json((self.folder / CARD_FILE).read_text(encoding="utf-8"))

    @cached_property
    def history(self) -> dict[str, Any]:
        """As `history.json` keeps it."""
        kept: dict[str, Any] = json.loads((self.folder / HISTORY_FILE).read_text(encoding="utf-8"))
        return kept

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row a held-out photo, all as text: path, group, actual, predicted, and each label's probability."""
        return pd.read_csv(self.folder / PREDICTIONS_FILE, dtype=str, keep_default_na=False)


def run_plan(
    plan: Plan,
    folder: Path,
    *,
    data: str,
    device: str = "auto",
    cache: Path = Path("data/cache"),
    progress: bool = True,
) -> dict[str, Outcome]:
    """Train every arm that is not finished yet; all outcomes by the arms' names.

    Args:
        folder: each arm has a folder of its own in it.
        data: how the person named the data; for messages.

    Raises:
        DataError: `folder` holds a run of the same name with another recipe or other photos.
    """
    outcomes = {}
    clock = _Clock(folder / CLOCK_FILE)
    for number, arm in enumerate(plan, 1):
        place = folder / arm.name
        _check_same(arm, place)
        if (place / CARD_FILE).is_file() and not (place / STATE_FILE).is_file():
            outcomes[arm.name] = Outcome(arm, place)
            continue
        if progress:
            print(f"\n[{number} of {len(plan)}, {clock.total / 60:.0f} min so far] {arm.name}", flush=True)
        try:
            with clock:
                if (place / STATE_FILE).is_file():
                    resume_run(place, device, cache, progress=progress, manifest=arm.manifest)
                else:
                    start_run(
                        arm.recipe, data, place, device, cache, progress=progress, manifest=arm.manifest
                    )
            outcomes[arm.name] = Outcome(arm, place)
        except UserError as error:
            print(f"{arm.name} failed and the others go on: {error}", file=sys.stderr)
            outcomes[arm.name] = Outcome(arm, place, str(error))
    return outcomes


def training_seconds(folder: Path) -> float:
    """How long `run_plan` has trained in this folder, all its invocations added."""
    return _Clock(folder / CLOCK_FILE).total


def _check_same(arm: Arm, place: Path) -> None:
    """A finished run is taken only if it is the arm's; what an older run's recipe does not say has its default."""
    if not (place / CARD_FILE).is_file():
        return
    card = ModelCard.from_json((place / CARD_FILE).read_text(encoding="utf-8"))
    for name, found, asked in (
        ("recipe", from_dict(card.recipe), arm.recipe),
        ("data", card.data["fingerprint"], arm.manifest.fingerprint()),
    ):
        if found != asked:
            raise DataError(
                f"{place} holds a run of this name with another {name}; choose another --out, or delete that "
                "folder."
            )


class _Clock:
    """Wall-clock seconds that survive an interruption."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.total = float(json.loads(path.read_text())["seconds"]) if path.is_file() else 0.0

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.total += time.monotonic() - self.start
        write_text(self.path, json.dumps({"seconds": round(self.total, 1)}))


@dataclass(frozen=True)
class Answers:
    """What one or more runs said of the photos that they held out, as (N,) arrays; several runs pooled."""

    photos: np.ndarray
    """Run number and file name, by which two arms' answers are paired."""
    groups: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray
    """Indices of labels, int64."""

    @classmethod
    def of(cls, outcomes: list[Outcome], labels: tuple[str, ...]) -> "Answers":
        """The answers of outcomes that came through, pooled."""
        index = {label: number for number, label in enumerate(labels)}
        tables = [outcome.predictions for outcome in outcomes]
        photos = [f"{number}/{path}" for number, table in enumerate(tables) for path in table["path"]]
        pooled = pd.concat(tables, ignore_index=True)
        return cls(
            np.array(photos),
            pooled["group"].to_numpy(str),
            pooled["actual"].map(index).to_numpy(np.int64),
            pooled["predicted"].map(index).to_numpy(np.int64),
        )

"""Train a model: a recipe and a data set in, a run folder out.

    python -m training.fit --recipe demo --data phantom --out runs/demo

The run's folder is the checkpoint (weights.safetensors, card.json, history.json) with its report
(report.html, predictions.csv). Interrupted, it goes on with `--resume runs/demo`. What a recipe would train, and
where its network is cut into thirds: `--recipe NAME --describe`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from training.cli import run
from training.errors import CheckpointError
from training.recipe import Recipe, load_recipe, recipe_argument, recipe_names


@dataclass(frozen=True)
class FitCommand:
    """Train a model on skin photos. Every field of the recipe can be overridden by its own option."""

    data: str
    """`phantom`; a manifest CSV; or a folder of PAD-UFES-20, of HAM10000 or of class folders."""
    out: Path
    """The run's folder; made if it is not there."""
    settings: Annotated[Recipe, tyro.conf.arg(name="", prefix_name=False)]
    recipe: str = "demo"
    """A recipe's name or the path of a TOML file; the options below show its values."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    cache: Path = Path("data/cache")
    """Where decoded photos are kept, so that the next run over them starts at once."""
    overwrite: bool = False
    """Replace a finished run in this folder."""


@dataclass(frozen=True)
class ResumeCommand:
    """Go on with an interrupted run, to the same result as if it had not been interrupted."""

    resume: Path
    """The run's folder."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    cache: Path = Path("data/cache")
    """Where decoded photos are kept."""


@dataclass(frozen=True)
class DescribeCommand:
    """Show what a recipe trains, and at which share of the learning rate, without training it."""

    settings: Annotated[Recipe, tyro.conf.arg(name="", prefix_name=False)]
    describe: Literal[True] = True
    """Given to `fit` in place of data and a folder."""
    recipe: str = "demo"
    """A recipe's name or the path of a TOML file."""


def main(arguments: list[str] | None = None) -> int:
    """The command line; see `FitCommand`, `ResumeCommand` and `DescribeCommand`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if "--describe" in arguments:
        arguments = [argument for argument in arguments if argument != "--describe"]
        default = DescribeCommand(load_recipe(recipe_argument(arguments, FitCommand.recipe)))
        shown = tyro.cli(DescribeCommand, args=arguments, prog="python -m training.fit", default=default)
        from training.describe import describe

        print(describe(shown.settings))
        return 0
    if any(argument.startswith("--resume") for argument in arguments):
        resume = tyro.cli(ResumeCommand, args=arguments, prog="python -m training.fit")
        from training.trainer import resume_run

        folder, action = resume.resume, lambda: resume_run(resume.resume, resume.device, resume.cache)
    else:
        recipe = load_recipe(recipe_argument(arguments, FitCommand.recipe))
        command = tyro.cli(
            FitCommand,
            args=arguments,
            prog="python -m training.fit",
            description=f"{FitCommand.__doc__}\n\nRecipes: {', '.join(recipe_names())}.\n\n"
            "--recipe NAME --describe shows what a recipe trains; --resume RUN goes on with an interrupted run.",
            default=FitCommand(tyro.MISSING, tyro.MISSING, recipe),
        )
        _check_out(command.out, command.overwrite)
        from training.trainer import start_run

        folder, action = (
            command.out,
            lambda: start_run(command.settings, command.data, command.out, command.device, command.cache),
        )
    try:
        action()
    except KeyboardInterrupt:
        if (folder / "state.pt").exists():
            print(f"\nto go on: python -m training.fit --resume {folder}", file=sys.stderr)
        raise
    return 0


def _check_out(out: Path, overwrite: bool) -> None:
    if (out / "state.pt").exists() and not overwrite:
        raise CheckpointError(
            f"{out} holds an unfinished run; go on with --resume {out}, or start over with --overwrite."
        )
    if (out / "card.json").exists() and not overwrite:
        raise CheckpointError(
            f"{out} holds a finished run; choose another --out, or replace it by --overwrite."
        )


if __name__ == "__main__":
    sys.exit(run(main))

"""The results table: what runs scored on the photos that they held out, read from their cards.

    python -m benchmarks.accuracy runs/pad runs/pad-random --out benchmarks/results/pad_ufes_20.json

Nothing is typed in by hand: a figure in the README is printed by this from a card that a run wrote.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from training.cli import run, write_text
from training.errors import UserError
from training.machine import machine
from training.models.card import ModelCard
from training.models.checkpoint import CARD_FILE


@dataclass(frozen=True)
class AccuracyCommand:
    """Gather the validation figures of finished runs over the same data into one table."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of finished runs."""
    out: Path | None = None
    """Also write everything as JSON to this file."""


def gather(runs: tuple[Path, ...]) -> dict[str, Any]:
    """The runs' figures and the baseline that they share, as JSON-ready values.

    Raises:
        UserError: a folder without a card, runs over different data, or several lesions a photo.
    """
    cards = {}
    for folder in runs:
        file = folder / CARD_FILE
        if not file.is_file():
            raise UserError(f"{folder} has no {CARD_FILE}; name folders of finished runs.")
        cards[folder.name] = ModelCard.from_json(file.read_text(encoding="utf-8"))
    parts = {(card.data["fingerprint"], card.data["validation_photos"]) for card in cards.values()}
    if len(parts) != 1:
        raise UserError(
            f"the runs are not over one data set and split but {len(parts)}; compare like with like."
        )
    multiple = [name for name, card in cards.items() if "balanced_accuracy" not in card.metrics]
    if multiple:
        raise UserError(
            f"{multiple[0]} has several lesions a photo, for which there is no balanced accuracy."
        )
    first = next(iter(cards.values()))
    return {
        "data": first.data,
        "majority_class": first.metrics["majority_class"],
        "runs": {
            name: {
                "recipe": card.recipe | {"weights": Path(card.recipe["weights"]).name},
                "weights": card.weights_note,
                "metrics": card.metrics,
                "versions": card.versions,
                "created": card.created,
            }
            for name, card in cards.items()
        },
        "machine": machine("torch"),
    }


def table(result: dict[str, Any]) -> str:
    """The README's rows, in Markdown."""
    rows = ["| model | weights | balanced accuracy (95% interval) | accuracy |", "|---|---|---|---|"]
    for values in result["runs"].values():
        recipe, metrics = values["recipe"], values["metrics"]
        low, high = metrics["balanced_accuracy_interval"]
        rows.append(
            f"| {recipe['architecture']} at {recipe['input_size']} px, recipe `{recipe['name']}` "
            f"| {Path(recipe['weights']).stem} "
            f"| **{metrics['balanced_accuracy']:.3f}** ({low:.3f} to {high:.3f}) | {metrics['accuracy']:.3f} |"
        )
    constant = result["majority_class"]
    rows.append(
        f"| always “{constant['label']}” | none | {constant['balanced_accuracy']:.3f} "
        f"| {constant['accuracy']:.3f} |"
    )
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `AccuracyCommand`."""
    command = tyro.cli(AccuracyCommand, args=arguments, prog="python -m benchmarks.accuracy")
    result = gather(command.runs)
    data = result["data"]
    print(
        f"{data['name']} ({data['fingerprint']}): {data['training_photos']} photos to train on, "
        f"{data['validation_photos']} of {data['validation_groups']} other patients or lesions to score.\n"
    )
    print(table(result))
    if command.out:
        write_text(command.out, json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(run(main))

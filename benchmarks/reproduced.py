"""What a reproduction found, in a few rows: the README's table, and the numbers that are kept beside it.

    python -m benchmarks.reproduced reproduced/pad --out benchmarks/results/mishra2019-pad_ufes_20-small.json

Nothing is typed in by hand: the rows are printed from the results.json that `training.reproduce` wrote.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from training.cli import run, write_text
from training.errors import UserError

RESULTS_FILE = "results.json"


@dataclass(frozen=True)
class ReproducedCommand:
    """Print a reproduction's findings as Markdown, and keep its numbers."""

    folder: tyro.conf.Positional[Path]
    """What training.reproduce wrote with --out, or a results file that was kept."""
    out: Path | None = None
    """Also keep every number in this file."""


def read_results(folder: Path) -> dict[str, Any]:
    """A reproduction's results, from its folder or from a file.

    Raises:
        UserError: there is none, or the file is not one.
    """
    file = folder / RESULTS_FILE if folder.is_dir() else folder
    try:
        results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        results["about"]["paper"]
    except FileNotFoundError:
        raise UserError(
            f"{file} is not there; name the folder of a finished python -m training.reproduce."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is not what training.reproduce wrote ({error}); name its results.json."
        ) from error
    return results


def table(results: dict[str, Any]) -> str:
    """The findings of Mishra et al. 2019 here, one a row, in Markdown."""
    rows = [("the paper", "here")]
    depths = results["table_2"]
    if depths["rows"]:
        low, high = (pick(row["accuracy"]["value"] for row in depths["rows"]) for pick in (min, max))
        differ = "differ clearly" if depths["differ"] else "do not differ by more than noise"
        rows.append(
            ("Table 2: four depths, 88.2 to 89.8 %", f"{100 * low:.1f} to {100 * high:.1f} %; they {differ}")
        )
    uneven = results["table_4"]
    if uneven:
        fix = uneven["rows"]["resampled"]["macro_recall_difference"]
        rows.append(
            (
                "Table 4: overall accuracy hides rare labels",
                f"accuracy exceeds macro recall by {_points(uneven['gap'])}; resampling changes macro recall by "
                f"{_points(fix)}",
            )
        )
    for claim, key in (
        ("Fig. 14: a smaller field of view helps", "figure_14"),
        ("Fig. 15: gamma 1.2 to 1.5 helps", "figure_15"),
    ):
        for curve in results[key]["curves"]:
            change = (
                curve["accuracy_change"] if curve["name"] == "gamma" else curve["true_probability_change"]
            )
            of = "accuracy" if curve["name"] == "gamma" else "the true label's probability"
            condition = f", {curve['condition']}" if curve["condition"] else ""
            rows.append(
                (f"{claim} ({curve['name']}{condition})", f"{curve['verdict']}: {of} {_points(change)}")
            )
    parts = results["recipe_taken_apart"]
    for row in parts["rows"] if parts else ():
        change = row["balanced_accuracy_difference"]
        value = f"balanced accuracy {100 * row['balanced_accuracy']['value']:.1f} %"
        if change is None:
            rows.append(("the recipe", value))
        else:
            rows.append((parts["words"][row["arm"]], f"{value}, less the recipe's {_points(change)}"))
    lines = [f"| {left} | {right} |" for left, right in rows]
    return "\n".join([lines[0], "|---|---|", *lines[1:]])


def _points(change: dict[str, float]) -> str:
    return f"{100 * change['value']:+.1f} points ({100 * change['low']:+.1f} to {100 * change['high']:+.1f})"


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `ReproducedCommand`."""
    command = tyro.cli(ReproducedCommand, args=arguments, prog="python -m benchmarks.reproduced")
    results = read_results(command.folder)
    about = results["about"]
    print(
        f"{about['paper']} on {about['data']['name']} ({about['data']['fingerprint']}): {about['data']['photos']} "
        f"photos, scale {about['scale']}, {about['networks']} networks in "
        f"{about['training_seconds'] / 60:.1f} minutes on {about['machine']['gpu'] or about['machine']['cpu']}, "
        f"{about['machine']['date'][:10]}\n"
    )
    print(table(results))
    if command.out:
        write_text(command.out, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(run(main))

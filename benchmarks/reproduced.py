"""What reproductions found, in a few rows: the README's table, and the numbers that are kept beside it.

    python -m benchmarks.reproduced reproduced/pad --out benchmarks/results/mishra2019-pad_ufes_20-small.json
    python -m benchmarks.reproduced benchmarks/results/mishra2019-*.json        # a column a data set

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
    """Print the findings of reproductions of one paper as Markdown, a column each, and keep one's numbers."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """What training.reproduce wrote with --out, or results files that were kept."""
    out: Path | None = None
    """Also keep every number of the one reproduction named in this file."""


def read_results(folder: Path) -> dict[str, Any]:
    """A reproduction's results, from its folder or from a file.

    Raises:
        UserError: there is none, or the file is not one.
    """
    file = folder / RESULTS_FILE if folder.is_dir() else folder
    try:
        results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        ROWS[results["about"]["paper"]]
    except FileNotFoundError:
        raise UserError(
            f"{file} is not there; name the folder of a finished python -m training.reproduce."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is not what training.reproduce wrote ({error}); name its results.json."
        ) from error
    return results


def table(reproductions: list[dict[str, Any]]) -> str:
    """What the paper's claims came to, one a row, a column a reproduction, in Markdown.

    Raises:
        UserError: they are of different papers.
    """
    papers = list(dict.fromkeys(results["about"]["paper"] for results in reproductions))
    if len(papers) > 1:
        raise UserError(f"these are of {' and '.join(papers)}; name reproductions of one paper.")
    columns = [dict(ROWS[papers[0]](results)) for results in reproductions]
    names = [results["about"]["data"]["name"] for results in reproductions]
    claims = dict.fromkeys(claim for column in columns for claim in column)
    rows = [["the paper", *names], ["---"] * (len(names) + 1)]
    rows += [[claim, *(column.get(claim, "") for column in columns)] for claim in claims]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def mishra2019(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Of Mishra et al. 2019: its tables and figures, and the recipe taken apart."""
    rows = []
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
    return rows


def liao2017(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Of Liao & Luo 2017: both mAPs, their differences, the sites' accuracy, gain against correlation."""
    found = results["table_1"]
    rows = []
    for arm in found["arms"]:
        theirs = found["paper"]["map_class"].get(arm)
        name = found["words"][arm] + ("" if theirs is None else f": mAP-class {theirs:.3f}")
        own = found["map_class"][arm]
        rows.append(
            (
                name,
                f"mAP-class {own['value']:.3f} ({own['low']:.3f} to {own['high']:.3f}), mAP-image "
                f"{found['map_image'][arm]['value']:.3f}",
            )
        )
    for row in found["differences"]:
        told = "told from noise" if row["map_class"]["clear"] else "not told from noise"
        rows.append((row["words"], f"mAP-class {_points(row['map_class'])}; {told}"))
    sites = results["figure_3"]
    for row in sites["differences"] if sites else ():
        told = "told from noise" if row["top_1"]["clear"] else "not told from noise"
        rows.append((f"Fig. 3, top-1 body site: {row['words']}", f"{_points(row['top_1'])}; {told}"))
    gains = results["gains"]
    correlation = gains["rank_correlation"]["highest"] if gains else None
    if correlation:
        rows.append(
            (
                "lesions that go with a body site gain more",
                f"rank correlation {correlation['value']:+.2f} ({correlation['low']:+.2f} to "
                f"{correlation['high']:+.2f}) over {len(gains['rows'])} lesions",
            )
        )
    if results["coupling"]:
        change = results["coupling"]["change"]
        rows.append(("MTL's gain, strongest coupling less weakest", f"mAP-class {_points(change)}"))
    rows.append(("does the body site help to name the lesion?", results["verdict"]["word"]))
    return rows


ROWS = {"Mishra et al. 2019": mishra2019, "Liao & Luo 2017": liao2017}


def _points(change: dict[str, float]) -> str:
    return f"{100 * change['value']:+.1f} points ({100 * change['low']:+.1f} to {100 * change['high']:+.1f})"


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `ReproducedCommand`."""
    command = tyro.cli(ReproducedCommand, args=arguments, prog="python -m benchmarks.reproduced")
    if not command.folders or (command.out and len(command.folders) > 1):
        raise UserError(
            f"{len(command.folders)} reproductions were named; name one or more, and with --out just one."
        )
    reproductions = [read_results(folder) for folder in command.folders]
    if command.out:
        write_text(command.out, json.dumps(reproductions[0], indent=1, ensure_ascii=False) + "\n")
    for about in (results["about"] for results in reproductions):
        print(
            f"{about['paper']} on {about['data']['name']} ({about['data']['fingerprint']}): "
            f"{about['data']['photos']} photos, scale {about['scale']}, {about['networks']} networks in "
            f"{about['training_seconds'] / 60:.1f} minutes on "
            f"{about['machine']['gpu'] or about['machine']['cpu']}, {about['machine']['date'][:10]}"
        )
    print(f"\n{table(reproductions)}")


if __name__ == "__main__":
    sys.exit(run(main))

"""From the finished arms of Liao & Luo 2017 to the numbers and pictures of its table and figures.

    results, figures = collect(experiment, outcomes, label_map_report, cache=Path("data/cache"))

`results` is JSON-ready, one entry a table or figure of the paper, ours and theirs; `figures` are PNG bytes by
name.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training.data.datasets.registry import display_name
from training.data.label_map import LabelMapReport
from training.data.manifest import MISSING, Manifest
from training.evaluation import plots
from training.evaluation.metrics import bootstrap
from training.reproduction import liao2017_paper as paper
from training.reproduction import liao2017_plots as pictures
from training.reproduction.arms import Outcome
from training.reproduction.folds import fold_means, mean_known, measured
from training.reproduction.liao2017 import ARMS, Experiment
from training.reproduction.liao2017_scores import (
    ENSEMBLES,
    HeldOutScores,
    ensembles,
    known_sites,
    read_scores,
    score_run,
)
from training.reproduction.liao2017_table import LesionTable, rank_correlation, verdict, with_interval

Section = tuple[Any, dict[str, bytes]]
"""JSON-ready values, and pictures by name."""
SITES_COMPARED = (
    ("mtl", "site", "MTL less the ResNet on the site alone"),
    ("mtl", "shuffled", "MTL less MTL on shuffled body sites"),
)


def collect(
    experiment: Experiment,
    outcomes: dict[str, Outcome],
    label_map_report: LabelMapReport,
    *,
    device: str = "auto",
    cache: Path = Path("data/cache"),
    progress: bool = True,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Every table and figure that the arms allow.

    Raises:
        UserError: no network for the lesions came through, so that there is nothing to show.
    """
    scores = read_scores(experiment, outcomes, device=device, cache=cache, progress=progress)
    table = LesionTable.of(scores)
    differences = table.differences()
    results: dict[str, Any] = {
        "failures": {name: outcome.failure for name, outcome in outcomes.items() if outcome.failure},
        "labels": label_map_report.to_json() | {"sentences": label_map_report.sentences()},
        "arms": _arms(experiment, outcomes),
        "folds": [len(held) for held in experiment.folds],
        "seeds": list(experiment.scale.seeds),
        "verdict": verdict(differences),
    }
    figures: dict[str, bytes] = {}
    for name, (values, drawn) in {
        "dataset": _dataset(experiment.manifest),
        "figure_1": _figure_1(experiment.manifest),
        "implementation": _implementation(experiment, outcomes),
        "table_1": _table_1(experiment.manifest, table, differences),
        "ensembles": _ensembles(scores),
        "figure_3": _figure_3(scores),
        "gains": _gains(experiment.manifest, table),
        "coupling": _coupling(experiment, outcomes, device, cache),
    }.items():
        results[name] = values
        figures |= drawn
    return results, figures


def co_occurrence(manifest: Manifest) -> np.ndarray:
    """Eq. 1: R, (P, Q) float64; of the photos that show lesion i, the share that show body site j."""
    lesions, sites = manifest.lesion_targets().astype(np.float64), manifest.location_targets()
    shown = np.zeros((len(manifest), len(manifest.location_labels)))
    known = np.flatnonzero(sites != MISSING)
    shown[known, sites[known]] = 1
    return (lesions.T @ shown) / np.maximum(lesions.sum(0), 1)[:, None]


def _arms(experiment: Experiment, outcomes: dict[str, Outcome]) -> dict[str, dict[str, Any]]:
    described = {}
    for arm, by_seed in experiment.arms.items():
        first = outcomes[by_seed[0][0]]
        recipe = first.arm.recipe
        described[arm] = {
            "words": ARMS[arm],
            "recipe": asdict(recipe),
            "epochs": recipe.epochs,
            "weights_note": "" if first.failure else first.card.weights_note,
        }
    return described


def _dataset(manifest: Manifest) -> Section:
    n_labels = manifest.lesion_targets().sum(1).astype(int)
    sites = manifest.table["location"]
    return {
        "lesions": manifest.counts(),
        "locations": {name: int((sites == name).sum()) for name in manifest.location_labels},
        "photos_by_labels": {int(n): int((n_labels == n).sum()) for n in np.unique(n_labels)},
        "photos_without_site": int((sites == "").sum()),
        "display": {
            name: display_name(name) for name in (*manifest.lesion_labels, *manifest.location_labels)
        },
        "paper_photos": paper.PHOTOS,
    }, {}


def _figure_1(manifest: Manifest) -> Section:
    matrix = co_occurrence(manifest)
    lesions = [display_name(name) for name in manifest.lesion_labels]
    sites = [display_name(name) for name in manifest.location_labels]
    return {
        "lesions": list(manifest.lesion_labels),
        "locations": list(manifest.location_labels),
        "matrix": matrix.tolist(),
        "even": 1 / len(manifest.location_labels),
    }, {"figure_1": pictures.plot_matrix(matrix, lesions, sites)}


def _implementation(experiment: Experiment, outcomes: dict[str, Outcome]) -> Section:
    finished = [
        names[0]
        for by_seed in experiment.arms.values()
        for names in by_seed
        if not outcomes[names[0]].failure
    ]
    shown = next((name for name in finished if name.startswith("mtl")), finished[0])
    history = outcomes[shown].history
    return {"run": shown, "epochs": history["epochs"]}, {
        "learning_rate": plots.plot_learning_rate(history),
        "losses": plots.plot_losses(history),
    }


def _table_1(manifest: Manifest, table: LesionTable, differences: list[dict[str, Any]]) -> Section:
    counts = manifest.counts()
    rows = []
    for index, label in enumerate(manifest.lesion_labels):
        own = {arm: table.average_precision(arm, index) for arm in table.names}
        rows.append(
            {
                "label": label,
                "photos": counts[label],
                "average_precision": {
                    arm: None if value is None else asdict(value) for arm, value in own.items()
                },
                "paper": paper.TABLE_1.get(label),
            }
        )
    maps = {
        name: {arm: measure(arm).to_json() for arm in table.names}
        for name, measure in (("map_class", table.map_class), ("map_image", table.map_image))
    }
    chance = float(np.mean([count / len(manifest) for count in counts.values()]))
    return {
        "arms": table.names,
        "words": {arm: ARMS.get(arm, "the ensemble of ResNet and MTL") for arm in table.names},
        "short": {arm: pictures.ARM_NAMES[arm] for arm in table.names},
        "rows": rows,
        **maps,
        "chance": chance,
        "differences": differences,
        "paper": {
            "columns": paper.COLUMNS,
            "map_class": dict(zip(paper.COLUMNS, paper.MAP_CLASS, strict=True)),
            "map_image": dict(zip(paper.COLUMNS, paper.MAP_IMAGE, strict=True)),
        },
    }, {
        "table_1": pictures.plot_average_precisions(rows, table.names),
        "differences": pictures.plot_fold_differences(differences),
    }


def _ensembles(scores: HeldOutScores) -> Section:
    if not {"lesion", "mtl"} <= set(scores.lesion):
        return None, {}
    readings = {"mtl": scores.lesion["mtl"], **ensembles(scores)}
    table = LesionTable(list(readings), np.stack(list(readings.values()), axis=1), scores)
    return [
        {
            "reading": name,
            "words": ENSEMBLES[name],
            "map_class": table.map_class(name).to_json(),
            "map_image": table.map_image(name).to_json(),
            "less_mtl": table.map_class(name, "mtl").to_json(),
        }
        for name in ENSEMBLES
    ], {}


def _figure_3(scores: HeldOutScores) -> Section:
    """Top-1 and top-3 accuracy of the body site, of the arms that learned it."""
    rows, names = known_sites(scores), list(scores.location)
    if not names:
        return None, {}
    actual, fold = scores.location_targets[rows], scores.fold[rows]
    correct = {}
    for k in (1, 3):
        own = [scores.location[name][rows] for name in names]
        correct[k] = np.stack(
            [(arm >= np.take_along_axis(arm, actual[:, None], 1)).sum(1) <= k for arm in own], axis=1
        ).astype(np.float64)

    def means(right: np.ndarray, fold: np.ndarray) -> np.ndarray:
        return fold_means(right, fold).mean(1)

    accuracy: dict[str, dict[str, Any]] = {name: {} for name in names}
    differences: list[dict[str, Any]] = [
        {"arm": arm, "less": less, "words": words}
        for arm, less, words in SITES_COMPARED
        if {arm, less} <= set(names)
    ]
    for k, right in correct.items():
        folds, draws = fold_means(right, fold), bootstrap(means, right, fold, groups=scores.groups[rows])
        for column, name in enumerate(names):
            accuracy[name][f"top_{k}"] = measured(folds[column], draws[:, column]).to_json()
        for row in differences:
            first, second = names.index(row["arm"]), names.index(row["less"])
            row[f"top_{k}"] = measured(
                folds[first] - folds[second], draws[:, first] - draws[:, second]
            ).to_json()
    commonest = np.bincount(actual, minlength=1)
    return {
        "photos": len(rows),
        "accuracy": accuracy,
        "words": {name: ARMS[name] for name in names},
        "differences": differences,
        "commonest_share": float(commonest.max() / len(rows)),
    }, {"figure_3": pictures.plot_site_accuracy(accuracy)}


def _gains(manifest: Manifest, table: LesionTable) -> Section:
    """Each lesion's gain by MTL against how strongly it goes with a body site, two ways."""
    if not {"lesion", "mtl"} <= set(table.names):
        return None, {}
    matrix = co_occurrence(manifest)
    sites = manifest.location_targets()
    overall = np.bincount(sites[sites != MISSING], minlength=matrix.shape[1]) / max(
        1, (sites != MISSING).sum()
    )
    known = matrix.sum(1, keepdims=True)
    shares = np.divide(matrix, known, out=np.zeros_like(matrix), where=known > 0)
    strength = {"highest": matrix.max(1), "departure": np.abs(shares - overall).sum(1) / 2}
    gains, draws = table.gains("mtl", "lesion")
    rows = [
        {
            "label": label,
            "site": manifest.location_labels[int(matrix[index].argmax())],
            "highest": float(strength["highest"][index]),
            "departure": float(strength["departure"][index]),
            "gain": asdict(with_interval(gains[index], draws[:, index])),
        }
        for index, label in enumerate(manifest.lesion_labels)
        if not np.isnan(gains[index])
    ]
    correlations = {name: rank_correlation(gains, draws, values) for name, values in strength.items()}
    return {
        "rows": rows,
        "rank_correlation": {
            name: None if value is None else asdict(value) for name, value in correlations.items()
        },
    }, {"gains": pictures.plot_gains(rows)}


def _coupling(experiment: Experiment, outcomes: dict[str, Outcome], device: str, cache: Path) -> Section:
    """MTL's gain in mAP-class over the phantom's coupling of lesion and site."""
    points, draws = [], {}
    for coupling, arms in experiment.couplings.items():
        if any(outcomes[name].failure for names in arms.values() for name in names):
            continue
        table = _coupling_table(
            [[outcomes[name] for name in names] for names in arms.values()], device, cache
        )
        gain = table.map_class("mtl", "lesion")
        first, second = table.names.index("mtl"), table.names.index("lesion")
        classes = mean_known(table.draws, axis=2)
        draws[coupling] = classes[:, first] - classes[:, second]
        points.append(
            {
                "coupling": coupling,
                "lesion": table.map_class("lesion").to_json(),
                "mtl": table.map_class("mtl").to_json(),
                "gain": gain.to_json(),
            }
        )
    if not points:
        return None, {}
    low, high = points[0], points[-1]
    change = with_interval(
        high["gain"]["value"] - low["gain"]["value"],  # type: ignore[index]
        draws[high["coupling"]] - draws[low["coupling"]],  # type: ignore[index]
    )
    return {
        "points": points,
        "change": asdict(change),
        "photos": experiment.scale.coupling_photos,
        "folds": experiment.scale.coupling_folds,
    }, {"coupling": pictures.plot_coupling(points)}


def _coupling_table(arms: list[list[Outcome]], device: str, cache: Path) -> LesionTable:
    """Of the arms `lesion` and `mtl`, each a run a fold."""
    lesion: list[np.ndarray] = []
    fold, groups, targets = [], [], []
    for number, pair in enumerate(zip(*arms, strict=True)):
        runs = [score_run(outcome, device=device, cache=cache) for outcome in pair]
        manifest, rows = pair[0].arm.manifest, runs[0].rows
        lesion.append(np.stack([run.lesion for run in runs], axis=1))
        fold.append(np.full(len(rows), number))
        groups.append(manifest.table["group"].to_numpy(str)[rows])
        targets.append(manifest.lesion_targets()[rows])
    stacked = np.concatenate(lesion)
    held = HeldOutScores(
        {}, {}, np.concatenate(fold), np.concatenate(groups), np.concatenate(targets), np.empty(0, np.int64)
    )
    return LesionTable(["lesion", "mtl"], stacked, held)

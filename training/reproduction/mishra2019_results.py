"""From the finished arms of Mishra et al. 2019 to the numbers and pictures of its tables and figures.

    results, figures = collect(experiment, outcomes, cache=Path("data/cache"))

`results` is JSON-ready, one entry a table or figure of the paper, ours and theirs; `figures` are PNG bytes
by name.
"""

from dataclasses import asdict, astuple
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from training.audit import audit_manifest
from training.curves import measure_held
from training.data.cache import PhotoCache
from training.data.datasets.registry import display_name
from training.data.splits import hold_out
from training.engine import Arithmetic
from training.errors import UserError
from training.evaluation import plots
from training.evaluation.confusions import confused_pairs
from training.evaluation.curve_plots import plot_curves, plot_strip
from training.evaluation.metrics import bootstrap, confusion_matrix, interval_ends, recalls
from training.evaluation.predictors import checkpoint_predictor
from training.evaluation.sweeps import seen
from training.explain import score_photos
from training.explanations import gallery
from training.models.checkpoint import load_checkpoint
from training.reproduction import mishra2019_paper as paper
from training.reproduction.arms import Answers, Outcome
from training.reproduction.comparison import ArmScore, Measured, compare
from training.reproduction.imbalance import accuracy_among
from training.reproduction.mishra2019 import PARTS, Experiment
from training.reproduction.plots import plot_depths, plot_differences, plot_recalls

Section = tuple[Any, dict[str, bytes]]
"""JSON-ready values, and pictures by name."""
PHANTOMS_PER_LABEL = 6


def collect(
    experiment: Experiment,
    outcomes: dict[str, Outcome],
    *,
    device: str = "auto",
    cache: Path = Path("data/cache"),
    progress: bool = True,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Every table and figure that the arms allow.

    Raises:
        UserError: no run of the recipe came through, so that there is nothing to show.
    """
    best = best_run(experiment, outcomes)
    results: dict[str, Any] = {
        "best_run": best.arm.name,
        "best_recipe": best.card.recipe,
        "best_epochs": best.arm.recipe.epochs,
        "failures": {name: outcome.failure for name, outcome in outcomes.items() if outcome.failure},
    }
    figures: dict[str, bytes] = {}
    for name, (values, drawn) in {
        "table_1": _table_1(experiment),
        "figures_1_2": _range_test(best),
        "figures_3_4": _schedule(best),
        "table_2": _table_2(experiment, outcomes),
        "figure_5": _confusion(best),
        "figure_6": _losses(best),
        "table_3": _table_3(best),
        "recipe_taken_apart": _taken_apart(experiment, outcomes),
        "table_4": _table_4(experiment, outcomes),
        "audit": _audit(experiment, progress),
    }.items():
        results[name] = values
        figures |= drawn
    for name, (values, drawn) in _looks(experiment, best, device, cache, progress).items():
        results[name] = values
        figures |= drawn
    return results, figures


def best_run(experiment: Experiment, outcomes: dict[str, Outcome]) -> Outcome:
    """The run of the recipe, of any depth, with the highest balanced accuracy: the one that is looked into.

    Raises:
        UserError: none came through.
    """
    names = [name for own in (*experiment.depths.values(), experiment.parts["recipe"]) for name in own]
    finished = [outcomes[name] for name in dict.fromkeys(names) if outcomes[name].failure is None]
    if not finished:
        first = outcomes[names[0]].failure
        raise UserError(f"no run of the recipe came through, so there is nothing to show; the first: {first}")
    return max(finished, key=lambda outcome: float(outcome.card.metrics["balanced_accuracy"]))


def _table_1(experiment: Experiment) -> Section:
    manifest = experiment.manifest
    training, validation = hold_out(manifest)
    parts = {"training": manifest.subset(training), "validation": manifest.subset(validation)}
    values: dict[str, Any] = {
        "labels": manifest.counts(),
        "photos": len(manifest),
        "groups": int(manifest.table["group"].nunique()),
    }
    for name, part in parts.items():
        values[name] = {
            "photos": len(part),
            "groups": int(part.table["group"].nunique()),
            "labels": part.counts(),
        }
    names = _display(experiment)
    figure = plots.plot_counts(parts["training"].counts(), parts["validation"].counts(), names)
    return values, {"table_1": figure}


def _range_test(best: Outcome) -> Section:
    test = best.history["range_test"]
    if test is None:
        return None, {}
    return test, {"figures_1_2": plots.plot_range_test(test)}


def _schedule(best: Outcome) -> Section:
    epochs = [{"epoch": row["epoch"], "phase": row["phase"]} for row in best.history["epochs"]]
    return {"epochs": epochs, "learning_rates": [row["learning_rate"] for row in best.history["steps"]]}, {
        "figures_3_4": plots.plot_learning_rate(best.history)
    }


def _table_2(experiment: Experiment, outcomes: dict[str, Outcome]) -> Section:
    labels = experiment.manifest.lesion_labels
    answers = _answers(experiment.depths, outcomes, labels)
    rows = compare(answers, _best_arm(answers)) if answers else []
    return {
        "rows": _rows(rows),
        "repeats": {arm: len(own) for arm, own in experiment.depths.items()},
        "weights": {
            arm: outcomes[own[0]].card.weights_note
            for arm, own in experiment.depths.items()
            if outcomes[own[0]].failure is None
        },
        "differ": any(
            row.balanced_accuracy_difference and row.balanced_accuracy_difference.clear for row in rows
        ),
        "paper": paper.TABLE_2,
    }, {
        "table_2": plot_depths([(row.arm, astuple(row.accuracy), paper.TABLE_2.get(row.arm)) for row in rows])
    }


def _confusion(best: Outcome) -> Section:
    metrics, names = best.card.metrics, [label.display for label in best.card.lesion_labels]
    return {"labels": [label.name for label in best.card.lesion_labels], "confusion": metrics["confusion"]}, {
        "figure_5": plots.plot_confusion(metrics["confusion"], names)
    }


def _losses(best: Outcome) -> Section:
    return best.history["epochs"], {"figure_6": plots.plot_losses(best.history)}


def _table_3(best: Outcome) -> Section:
    labels = [label.name for label in best.card.lesion_labels]
    pairs = [asdict(pair) for pair in confused_pairs(best.card.metrics["confusion"], labels)]
    return {"pairs": pairs, "paper": paper.TABLE_3}, {}


def _taken_apart(experiment: Experiment, outcomes: dict[str, Outcome]) -> Section:
    answers = _answers(experiment.parts, outcomes, experiment.manifest.lesion_labels)
    if "recipe" not in answers:
        return None, {}
    whole = {name: own for name, own in answers.items() if len(own.photos) == len(answers["recipe"].photos)}
    return {
        "rows": _rows(compare(whole, "recipe")),
        "words": {name: PARTS[name] for name in whole},
        "architecture": experiment.scale.taken_apart,
        "repeats": [list(repeat) for repeat in experiment.scale.repeats],
        "rates": {
            name: [outcomes[arm].history["steps"][0]["learning_rate"] for arm in experiment.parts[name]]
            for name in whole
        },
    }, {"recipe_taken_apart": plot_differences(_differences(whole))}


def _differences(answers: dict[str, Answers]) -> dict[str, tuple[float, float, float]]:
    differences = {}
    for row in compare(answers, "recipe"):
        if row.balanced_accuracy_difference is not None:
            change = row.balanced_accuracy_difference
            differences[PARTS[row.arm]] = (change.value, change.low, change.high)
    return differences


def _table_4(experiment: Experiment, outcomes: dict[str, Outcome]) -> Section:
    """The three training sets on the same held-out photos; all differences are taken from the outpatient set's."""
    labels, shares = experiment.manifest.lesion_labels, experiment.shares
    answers = _answers({name: [arm] for name, arm in experiment.sets.items()}, outcomes, labels)
    if set(answers) != set(experiment.sets):
        return None, {}
    first = answers["outpatient"]
    predicted = np.stack([own.predicted for own in answers.values()], axis=1)

    def scores(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
        """(2, sets): the accuracy among outpatients, and macro recall."""
        own = [recalls(column, actual, len(labels)) for column in predicted.T]
        return np.array([[accuracy_among(shares, row) for row in own], [np.nanmean(row) for row in own]])

    values = scores(predicted, first.actual)
    draws = bootstrap(scores, predicted, first.actual, groups=first.groups)
    base = list(answers).index("outpatient")
    rows = {
        name: {
            "training_labels": outcomes[experiment.sets[name]]
            .arm.manifest.subset(_training_rows(experiment, name))
            .counts(),
            "outpatient_accuracy": asdict(_measured(values[0, i], draws[:, 0, i])),
            "macro_recall": asdict(_measured(values[1, i], draws[:, 1, i])),
            "macro_recall_difference": asdict(
                _measured(values[1, i] - values[1, base], draws[:, 1, i] - draws[:, 1, base])
            ),
            "recall": dict(
                zip(labels, _nullable(recalls(predicted[:, i], first.actual, len(labels))), strict=True)
            ),
        }
        for i, name in enumerate(answers)
    }
    confusion = confusion_matrix(answers["outpatient"].predicted, first.actual, len(labels)).tolist()
    return {
        "rows": rows,
        "shares": dict(zip(labels, experiment.shares.tolist(), strict=True)),
        "architecture": experiment.scale.taken_apart,
        "gap": asdict(_measured(values[0, base] - values[1, base], draws[:, 0, base] - draws[:, 1, base])),
        "confusion": confusion,
        "paper": paper.TABLE_4,
        "paper_figure_13": paper.FIGURE_13,
        "paper_macro_recall": _paper_macro_recall(),
        "paper_accuracy": float(np.trace(paper.FIGURE_13) / np.sum(paper.FIGURE_13)),
    }, {
        "figure_13": plots.plot_confusion(confusion, _display(experiment)),
        "table_4_recalls": plot_recalls(
            {name: list(row["recall"].values()) for name, row in rows.items()}, _display(experiment)
        ),
    }


def _paper_macro_recall() -> float:
    matrix = np.array(paper.FIGURE_13, np.float64)
    return float((matrix.diagonal() / matrix.sum(1)).mean())


def _training_rows(experiment: Experiment, name: str) -> np.ndarray:
    arm = next(arm for arm in experiment.plan if arm.name == experiment.sets[name])
    return np.flatnonzero(arm.manifest.table["split"] == "train")


def _audit(experiment: Experiment, progress: bool) -> Section:
    split = hold_out(experiment.manifest)
    return audit_manifest(experiment.manifest, split=split, progress=progress).to_dict(), {}


def _looks(
    experiment: Experiment, best: Outcome, device: str, cache: Path, progress: bool
) -> dict[str, Section]:
    """Figures 7 to 12, 14 and 15: what the best run answers to its held-out photos, and why."""
    checkpoint = load_checkpoint(best.folder)
    card, recipe = checkpoint.card, best.arm.recipe
    arithmetic = Arithmetic.choose(device, recipe.precision)
    network = checkpoint.network.to(arithmetic.device)
    manifest = experiment.manifest
    _, rows = hold_out(manifest, validation_share=recipe.validation_share, fold=recipe.fold, seed=recipe.seed)
    decoded = PhotoCache.build(manifest, min_side=recipe.decode_min_side, folder=cache, progress=progress)
    kept = np.array([row for row in rows if row not in decoded.left_out])
    held, photos = manifest.subset(kept), [decoded[row] for row in kept]
    logits = score_photos(network, card, photos, progress=progress)
    cases = gallery.explain_errors(network, card, held, photos, logits, progress=progress)
    sections: dict[str, Section] = {
        "figures_7_12": (
            {
                "rule": gallery.RULE,
                "photos": len(held),
                "errors": int((logits.argmax(1) != held.lesion_targets().argmax(1)).sum()),
                "cases": [case.to_json() for case in cases],
            },
            {f"figures_7_12_{number}": case.figure_png for number, case in enumerate(cases)},
        )
    }
    predict = checkpoint_predictor(network, card.preprocessing, card.activation, card.temperature, arithmetic)
    names = {label.name: label.display for label in card.lesion_labels}
    measured = measure_held(card, predict, held, {}, phantoms=PHANTOMS_PER_LABEL, progress=progress)
    strips: dict[str, bytes] = {}
    for curve, sweep in zip(measured.curves, measured.sweeps, strict=True):
        strips.setdefault(curve.name, plot_strip(curve, sweep, partial(seen, view=card.preprocessing), names))
    for key, own_names in (("figure_14", ("field of view", "distance")), ("figure_15", ("gamma",))):
        own = [curve for curve in measured.curves if curve.name in own_names]
        drawn: dict[str, bytes] = {}
        for name in own_names:
            same = [curve for curve in own if curve.name == name]
            if same:
                drawn[f"{key}_{name}"] = plot_curves(same)
                drawn[f"{key}_{name}_photos"] = strips[name]
        sections[key] = (
            {"curves": [curve.to_json() for curve in own], "skipped": list(measured.skipped)},
            drawn,
        )
    return sections


def _answers(
    arms: dict[str, list[str]], outcomes: dict[str, Outcome], labels: tuple[str, ...]
) -> dict[str, Answers]:
    """Pooled over an arm's repeats, of the arms whose repeats all came through."""
    whole = {
        name: [outcomes[arm] for arm in own]
        for name, own in arms.items()
        if all(outcomes[arm].failure is None for arm in own)
    }
    return {name: Answers.of(own, labels) for name, own in whole.items()}


def _best_arm(answers: dict[str, Answers]) -> str:
    scores = compare(answers, next(iter(answers)))
    return max(scores, key=lambda row: row.balanced_accuracy.value).arm


def _rows(scores: list[ArmScore]) -> list[dict[str, Any]]:
    return [asdict(row) for row in scores]


def _measured(value: float, draws: np.ndarray) -> Measured:
    low, high = interval_ends(draws)
    return Measured(float(value), float(low), float(high))


def _nullable(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _display(experiment: Experiment) -> list[str]:
    return [display_name(label) for label in experiment.manifest.lesion_labels]

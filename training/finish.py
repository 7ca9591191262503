"""What a run leaves: the checkpoint, the card with its figures, the predictions, and a report to look at.

write_run(out, experiment, scores, history)
"""

import dataclasses
import datetime
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from training.cli import whole_file, write_text
from training.data.cache import report_left_out
from training.data.datasets.registry import display_name
from training.data.manifest import Manifest
from training.engine import Scores
from training.evaluation.calibration import fit_temperature, log_loss, probabilities
from training.evaluation.report import write_report
from training.evaluation.summary import headline, summarise
from training.experiment import Experiment
from training.models.card import Activation, Label, ModelCard
from training.models.checkpoint import HISTORY_FILE, STATE_FILE, save_checkpoint

REPORT_FILE = "report.html"
PREDICTIONS_FILE = "predictions.csv"


def write_run(out: Path, experiment: Experiment, scores: Scores, history: dict[str, Any]) -> ModelCard:
    """Write the run's folder; the state of the unfinished run goes last, when all else is there.

    Args:
        experiment: its network has the weights of the best epoch.
        scores: of the validation part.
        history: what `history.json` keeps.
    """
    manifest, whole = experiment.manifest, experiment.whole
    activation: Activation = "softmax" if experiment.recipe.loss == "cross-entropy" else "sigmoid"
    temperature = fit_temperature(scores.lesion_logits, scores.lesion_targets, activation)
    held = manifest.subset(whole.validation.rows)
    trained_on = manifest.subset(whole.training.rows)
    summary = summarise(
        scores.lesion_logits,
        scores.lesion_targets,
        held.table["group"].to_numpy(),
        manifest.lesion_labels,
        majority=int(trained_on.lesion_targets().sum(0).argmax()),
        location_scores=scores.location_logits,
        location_targets=scores.location_targets,
    )
    summary["log_loss"] = log_loss(scores.lesion_logits, scores.lesion_targets, activation)
    summary["log_loss_calibrated"] = log_loss(
        scores.lesion_logits, scores.lesion_targets, activation, temperature
    )
    card = _card(experiment, activation, temperature, summary, trained_on, held)
    save_checkpoint(out, experiment.network, card)
    write_text(out / HISTORY_FILE, json.dumps(history, indent=1))
    stated = probabilities(scores.lesion_logits, activation, temperature)
    with whole_file(out / PREDICTIONS_FILE) as temporary:
        _predictions(held, stated).to_csv(temporary, index=False, float_format="%.5f")
    write_report(out / REPORT_FILE, card, history, trained_on.counts(), held.counts())
    (out / STATE_FILE).unlink(missing_ok=True)
    print(f"{headline(summary)} on {len(held)} photos of {summary['groups']} patients or lesions held out.")
    report_left_out(experiment.left_out)
    print(f"checkpoint and report: {out / REPORT_FILE}")
    return card


def _card(
    experiment: Experiment,
    activation: Activation,
    temperature: float,
    summary: dict[str, Any],
    trained_on: Manifest,
    held: Manifest,
) -> ModelCard:
    recipe, manifest = experiment.recipe, experiment.manifest
    locations = manifest.location_labels if "location" in recipe.tasks else ()
    return ModelCard(
        name=f"{recipe.name} on {manifest.name}",
        architecture=recipe.architecture,
        lesion_labels=tuple(Label(name, display_name(name)) for name in manifest.lesion_labels),
        location_labels=tuple(Label(name, display_name(name)) for name in locations),
        preprocessing=experiment.whole.view,
        activation=activation,
        temperature=temperature,
        synthetic=manifest.synthetic,
        recipe=json.loads(json.dumps(dataclasses.asdict(recipe))),
        data={
            "name": manifest.name,
            "fingerprint": manifest.fingerprint(),
            "training_photos": len(trained_on),
            "training_groups": int(trained_on.table["group"].nunique()),
            "validation_photos": len(held),
            "validation_groups": int(held.table["group"].nunique()),
            "left_out": len(experiment.left_out),
        },
        metrics={"part": "validation", **summary},
        weights_note=experiment.weights_note,
        versions={
            "dermcapture": version("dermcapture"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": version("torchvision"),
            "numpy": np.__version__,
        },
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        licence=f"of the data it was trained on: {manifest.licence}",
    )


def _predictions(held: Manifest, stated: np.ndarray) -> pd.DataFrame:
    """One row a photo: its file, group, actual and predicted label, and each label's probability."""
    labels = np.array(held.lesion_labels)
    columns = {
        "path": held.table["path"].map(lambda path: Path(path).name),
        "group": held.table["group"],
        "actual": held.table["lesions"].map(";".join),
        "predicted": labels[stated.argmax(1)],
    }
    return pd.DataFrame(columns | {name: stated[:, index] for index, name in enumerate(labels)})

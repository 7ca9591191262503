"""Do the corrections that the page suggests help? Photos made worse by known amounts, corrected, and scored again.

    python -m benchmarks.correction models/pad/model.int8.onnx --data path/to/pad_ufes_20
    python -m benchmarks.correction runs/fold0 runs/fold1 --data path/to/pad_ufes_20     # each on what it held out

Asks Mishra et al. 2019, Sec. 5.2 (a nearer view) and 5.3 (gamma), of a rule instead of an eye. Torch is imported
only to open a run's folder.
"""

import csv
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from benchmarks.correction_conditions import CONDITIONS, Condition
from benchmarks.correction_methods import AS_IS, METHODS, Reference, correct, measure_reference
from benchmarks.correction_report import (
    Scored,
    effects_of,
    format_table,
    gains_where_offered,
    suggested_by_tone,
)
from export.runtime import Classifier
from training.cli import run, whole_file, write_text
from training.data.datasets.registry import load_manifest
from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.errors import DataError
from training.evaluation.predictors import Predict, open_predictor
from training.evaluation.scoring import rows_of_part, with_labels_of
from training.machine import machine
from training.models.card import ModelCard

SIDE = 300
"""Shorter side, in pixels, at which photos are degraded: what a larger one is reduced to."""
REFERENCE_PHOTOS = 150
"""Clean training photos, at even steps, that say what is typical."""
SAVE_EVERY = 5
"""Photos between two savings of what is finished."""
PREDICTIONS = "predictions.csv"


def open_model(model: Path) -> tuple[ModelCard, Predict]:
    """An exported model on one thread of the CPU, or a run's folder; photos to (N, P) probabilities."""
    if model.suffix != ".onnx":
        return open_predictor(model, "cpu")
    classifier = Classifier(model, provider="cpu", threads=1)
    labels = [label.name for label in classifier.card.lesion_labels]

    def predict(images_rgb: list[np.ndarray]) -> np.ndarray:
        found = (
            {score.name: score.probability for score in own.lesions} for own in classifier.predict(images_rgb)
        )
        return np.array([[one[name] for name in labels] for one in found])

    return classifier.card, predict


def held_out(model: Path, card: ModelCard, manifest: Manifest) -> np.ndarray:
    """The rows that a model never trained on: those of a run's predictions.csv, else what its recipe held out.

    Raises:
        DataError: the run's file names a photo that the data set does not have.
        CheckpointError: the model was trained on other data, so it held out none of this.
    """
    written = model / PREDICTIONS
    if not written.is_file():
        return rows_of_part(card, manifest, "validation")[0]
    row_of = {Path(path).name: row for row, path in enumerate(manifest.table["path"])}
    with written.open(newline="", encoding="utf-8") as file:
        names = [Path(row["path"]).name for row in csv.DictReader(file)]
    missing = [name for name in names if name not in row_of]
    if missing:
        raise DataError(
            f"{written} names {missing[0]}, which {manifest.name} does not have: give the model's own data."
        )
    return np.array([row_of[name] for name in names], np.int64)


def read_at(path: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB, its shorter side at most `SIDE`."""
    return _reduced(read_photo(path, min_side=SIDE).image_rgb)


def score_photo(
    predict: Predict, photo_rgb: np.ndarray, row: int, reference: Reference, conditions: Sequence[Condition]
) -> tuple[np.ndarray, np.ndarray]:
    """Degrade, correct and classify one photo; what a method leaves alone is not classified again.

    Args:
        row: seeds the noise.

    Returns:
        (conditions, methods, labels) float scores; (conditions, methods) bool, where the method changed it.
    """
    seen: list[np.ndarray] = []
    places = []
    for number, condition in enumerate(conditions):
        first = len(seen)
        worse = condition.make(photo_rgb, np.random.default_rng([row, number]))
        ways = correct(worse, reference)
        place = {}
        for method in METHODS:
            known = (at for at in range(first, len(seen)) if seen[at] is ways[method])
            place[method] = next(known, len(seen))
            if place[method] == len(seen):
                seen.append(ways[method])
        places.append([place[method] for method in METHODS])
    at = np.array(places)
    return predict([_reduced(image) for image in seen])[at], at != at[:, [METHODS.index(AS_IS)]]


def _reduced(image_rgb: np.ndarray) -> np.ndarray:
    """As decoding at reduced scale would give it, `SIDE` on the shorter side; for speed, no more."""
    scale = SIDE / min(image_rgb.shape[:2])
    if scale >= 1:
        return image_rgb
    return np.asarray(cv2.resize(image_rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def score_photos(
    predict: Predict,
    manifest: Manifest,
    rows: np.ndarray,
    reference: Reference,
    conditions: Sequence[Condition],
    *,
    partial: Path | None = None,
    progress: bool = True,
) -> Scored:
    """`score_photo` of each row. With `partial` what is finished is kept there, and taken up again."""
    done = _read_partial(partial, len(conditions))
    for count, row in enumerate(
        tqdm(rows, "held-out photos", unit="photo", disable=None if progress else True)
    ):
        if int(row) not in done:
            photo = read_at(str(manifest.table["path"][row]))
            done[int(row)] = score_photo(predict, photo, int(row), reference, conditions)
            if partial is not None and count % SAVE_EVERY == 0:
                _write_partial(partial, done)
    if partial is not None:
        _write_partial(partial, done)
    table = manifest.table.iloc[rows]
    return Scored(
        np.array([done[int(row)][0] for row in rows]),
        np.array([done[int(row)][1] for row in rows]),
        manifest.lesion_targets()[rows].argmax(1),
        table["group"].to_numpy(),
        table["skin_tone"].astype(str).to_numpy(),
    )


def _read_partial(partial: Path | None, n_conditions: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    if partial is None or not partial.is_file():
        return {}
    with np.load(partial) as kept:
        if kept["changed"].shape[1:] != (n_conditions, len(METHODS)):
            return {}
        return {
            int(row): (scores, changed)
            for row, scores, changed in zip(kept["rows"], kept["scores"], kept["changed"], strict=True)
        }


def _write_partial(partial: Path, done: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
    with whole_file(partial) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            rows=np.array(list(done)),
            scores=np.array([scores for scores, _ in done.values()]),
            changed=np.array([changed for _, changed in done.values()]),
        )


def score_models(
    models: Sequence[Path],
    manifest: Manifest,
    conditions: Sequence[Condition],
    *,
    every: int = 1,
    partial: Path | None = None,
    progress: bool = True,
) -> tuple[Scored, Reference]:
    """Every model on the photos that it held out; the reference is what the first one's training photos show.

    Raises:
        DataError: a photo shows several lesions, or two models held out the same photo.
    """
    if not manifest.single_label:
        raise DataError(f"{manifest.name} has photos of several lesions; one true label a photo is needed.")
    parts: list[Scored] = []
    taken = np.zeros(len(manifest), bool)
    reference = None
    for model in models:
        card, predict = open_model(model)
        own = with_labels_of(card, manifest)
        rows = held_out(model, card, manifest)
        if taken[rows].any():
            raise DataError(f"{model} held out photos that a model before it did; give one model a fold.")
        taken[rows] = True
        if reference is None:
            training = np.setdiff1d(np.arange(len(manifest)), rows)
            training = training[:: max(1, len(training) // REFERENCE_PHOTOS) * every]
            reference = measure_reference(
                [read_at(path) for path in manifest.table["path"].iloc[training]], progress=progress
            )
        kept = partial.with_suffix(f".{len(parts)}.npz") if partial is not None else None
        parts.append(
            score_photos(predict, own, rows[::every], reference, conditions, partial=kept, progress=progress)
        )
    if reference is None:
        raise DataError("no model is given; name at least one.")
    return _together(parts), reference


def _together(parts: Sequence[Scored]) -> Scored:
    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Scored(*(joined(name) for name in ("scores", "changed", "actual", "groups", "skin_tones")))


@dataclass(frozen=True)
class Arguments:
    """Make held-out photos worse by known amounts, correct them, and see what the model makes of them.

    Photos are made darker, brighter, tinted, farther and off centre, each with noise, 8 bits and JPEG; then come
    the gamma, the white balance and the crop that the page suggests, each alone and all together, a gamma that it
    does not (always, to the median), and three white balances on every photo. Gains are differences on the same
    photos, with 95% intervals by patient. A gain of probability whose interval lies above 0 "helps"; one whose
    interval holds 0 cannot be told.
    """

    models: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """An exported model.onnx or a run's folder; several, for example the folds of one recipe, are each scored on
    the photos that they held out, and pooled."""
    data: str
    """The data set that they were trained on, as python -m training.fit takes it."""
    out: Path = Path("benchmarks/results/correction.json")
    """The result. A table beside it (.md) and two pictures (-gains.png, and with --example the other)."""
    every: int = 1
    """Take every n-th photo only, for a quick look."""
    partial: Path | None = None
    """Keep what is finished in this file (a number and .npz are added), and go on from there after an
    interruption. Not to be carried over to another model or version."""
    example: Path | None = None
    """A photo to show degraded and corrected, as a strip (-strip.png). It is a photo of the data set: pass it on
    only to whom you may."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.correction", args=argv)
    if arguments.every < 1:
        raise DataError(f"--every is {arguments.every}; at least 1 is needed.")
    from benchmarks.correction_plots import plot_gains, plot_strip

    manifest = load_manifest(arguments.data)
    conditions = tuple(CONDITIONS.values())
    scored, reference = score_models(
        arguments.models, manifest, conditions, every=arguments.every, partial=arguments.partial
    )
    effects = effects_of(scored, conditions)
    given = [str(path) for path in (*arguments.models, arguments.data)]
    *names, data = (Path(path).name if Path(path).is_absolute() else path for path in given)
    record = {
        "command": shlex.join(["python", "-m", "benchmarks.correction", *names, "--data", data]),
        "about": machine("onnxruntime", "opencv-python-headless", "numpy"),
        "data": {"name": manifest.name, "fingerprint": manifest.fingerprint()},
        "photos": len(scored.actual),
        "groups": len(np.unique(scored.groups)),
        "reference": asdict(reference),
        "suggested_on_clean_photos_by_fitzpatrick_type": suggested_by_tone(scored),
        "gains_where_offered": gains_where_offered(scored, conditions),
        "effects": [effect.to_json() for effect in effects],
    }
    write_text(arguments.out, json.dumps(record, indent=1) + "\n")
    table = format_table(effects, METHODS)
    stem = arguments.out.with_suffix("")
    write_text(arguments.out.with_suffix(".md"), table + "\n")
    Path(f"{stem}-gains.png").write_bytes(plot_gains(effects, len(scored.actual)))
    if arguments.example is not None:
        Path(f"{stem}-strip.png").write_bytes(plot_strip(read_at(str(arguments.example)), reference))
    print(table)
    print(f"\n{record['photos']} photos of {record['groups']} patients; written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

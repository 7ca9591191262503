"""What the networks of Liao & Luo 2017's arms say of the photos that they held out, by ten-crop testing.

    scores = read_scores(experiment, outcomes, cache=Path("data/cache"))
    scores.lesion["mtl"]                      # (N, P): every photo by the network that had not seen it

Each run's scores are kept in its folder, so that a report made again costs seconds.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.cli import whole_file
from training.data.cache import PhotoCache
from training.data.manifest import MISSING, Manifest
from training.data.splits import hold_out
from training.engine import Arithmetic
from training.errors import UserError
from training.evaluation.ten_crop import score_ten_crops
from training.models.checkpoint import load_checkpoint
from training.reproduction.arms import Outcome
from training.reproduction.folds import image_average_precisions
from training.reproduction.liao2017 import Experiment

SCORES_FILE = "ten_crops.npz"


@dataclass(frozen=True)
class HeldOutScores:
    """All photos, each scored by the networks that held it out; an arm's seeds are averaged.

    lesion: by arm, (N, P) probabilities; of the arms that learned lesions.
    location: by arm, (N, Q) probabilities, NaN in the rows whose site is unknown; of those that learned sites.
    fold, groups: (N,). lesion_targets: (N, P) of 0 and 1. location_targets: (N,) int64.
    """

    lesion: dict[str, np.ndarray]
    location: dict[str, np.ndarray]
    fold: np.ndarray
    groups: np.ndarray
    lesion_targets: np.ndarray
    location_targets: np.ndarray


def read_scores(
    experiment: Experiment,
    outcomes: dict[str, Outcome],
    *,
    device: str = "auto",
    cache: Path = Path("data/cache"),
    progress: bool = True,
) -> HeldOutScores:
    """The scores of every arm whose runs all came through.

    Raises:
        UserError: no arm that learns lesions came through, so that there is nothing to show.
    """
    manifest = experiment.manifest
    fold = np.full(len(manifest), -1)
    for number, held in enumerate(experiment.folds):
        fold[held] = number
    whole = {
        arm: by_seed
        for arm, by_seed in experiment.arms.items()
        if all(outcomes[name].failure is None for names in by_seed for name in names)
    }
    if set(whole) <= {"site"}:
        failures = [outcome.failure for outcome in outcomes.values() if outcome.failure]
        raise UserError(
            f"no network for the lesions came through, so there is nothing to show: {failures[0]}"
        )
    lesion, location = {}, {}
    with tqdm(total=len(whole) * len(experiment.folds), desc="ten-crop testing", disable=not progress) as bar:
        for arm, by_seed in whole.items():
            seeds = []
            for names in by_seed:
                kept = []
                for name in names:
                    kept.append(score_run(outcomes[name], device=device, cache=cache))
                    bar.update()
                seeds.append(kept)
            rows_of = (
                np.flatnonzero(manifest.table["location"] != "") if arm == "site" else np.arange(len(fold))
            )
            own = [_in_order(kept, rows_of, len(fold)) for kept in seeds]
            if arm == "site":
                location[arm] = np.mean([first for first, _ in own], axis=0)
                continue
            lesion[arm] = np.mean([first for first, _ in own], axis=0)
            sites = [second for _, second in own if second is not None]
            if sites:
                location[arm] = np.mean(sites, axis=0)
    scored = np.flatnonzero(np.all([~np.isnan(scores).any(1) for scores in lesion.values()], axis=0))
    return HeldOutScores(
        {arm: scores[scored] for arm, scores in lesion.items()},
        {arm: scores[scored] for arm, scores in location.items()},
        fold[scored],
        manifest.table["group"].to_numpy(str)[scored],
        manifest.lesion_targets()[scored],
        manifest.location_targets()[scored],
    )


@dataclass(frozen=True)
class RunScores:
    """Of one run: the rows of its manifest that it held out, and its (n, P) and (n, Q) probabilities."""

    rows: np.ndarray
    lesion: np.ndarray
    location: np.ndarray | None


def score_run(outcome: Outcome, *, device: str = "auto", cache: Path = Path("data/cache")) -> RunScores:
    """Ten-crop testing of one run on its held-out photos, or what was kept of it."""
    file = outcome.folder / SCORES_FILE
    if not file.is_file():
        scores = _score(outcome.arm.manifest, outcome, device, cache)
        arrays = {"rows": scores.rows, "lesion": scores.lesion}
        if scores.location is not None:
            arrays["location"] = scores.location
        with whole_file(file) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **arrays)
    with np.load(file, allow_pickle=False) as kept:
        return RunScores(kept["rows"], kept["lesion"], kept.get("location"))


def _score(manifest: Manifest, outcome: Outcome, device: str, cache: Path) -> RunScores:
    recipe = outcome.arm.recipe
    _, held = hold_out(manifest, validation_share=recipe.validation_share, fold=recipe.fold, seed=recipe.seed)
    photos = PhotoCache.build(manifest, min_side=recipe.decode_min_side, folder=cache, progress=False)
    rows = np.array([row for row in held if row not in photos.left_out], np.int64)
    checkpoint, arithmetic = load_checkpoint(outcome.folder), Arithmetic.choose(device, "fp32")
    network = checkpoint.network.to(arithmetic.device)
    scores = score_ten_crops(
        network, checkpoint.card, [photos[row] for row in rows], arithmetic, progress=False
    )
    return RunScores(rows, *scores)


def _in_order(
    runs: list[RunScores], rows_of: np.ndarray, n_photos: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The folds' scores put together, in the experiment's order; NaN where none scored a photo."""
    lesion = np.full((n_photos, runs[0].lesion.shape[1]), np.nan)
    location = None if runs[0].location is None else np.full((n_photos, runs[0].location.shape[1]), np.nan)
    for run in runs:
        lesion[rows_of[run.rows]] = run.lesion
        if location is not None and run.location is not None:
            location[rows_of[run.rows]] = run.location
    return lesion, location


def known_sites(scores: HeldOutScores) -> np.ndarray:
    """(n,) rows whose body site is known and was scored by every arm that learns sites."""
    known = scores.location_targets != MISSING
    for own in scores.location.values():
        known &= ~np.isnan(own).any(1)
    return np.flatnonzero(known)


def ensembles(scores: HeldOutScores) -> dict[str, np.ndarray]:
    """The readings of "choosing the best evaluation scores of the two models for each image", each (N, P)."""
    first, second = scores.lesion["lesion"], scores.lesion["mtl"]
    pair = np.stack([first, second], axis=1)
    surer = pair.max(2).argmax(1)
    ranked = image_average_precisions(pair, scores.lesion_targets).argmax(1)
    photos = np.arange(len(first))
    return {
        "ensemble": np.maximum(first, second),
        "mean": (first + second) / 2,
        "surer": pair[photos, surer],
        "oracle": pair[photos, ranked],
    }


ENSEMBLES = {
    "ensemble": "the higher of the two scores, label by label",
    "mean": "the mean of the two scores",
    "surer": "all scores of the network whose highest score is higher",
    "oracle": "all scores of the network that ranks the photo's true labels better, which only its labels tell",
}

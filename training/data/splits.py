"""Grouped, stratified splits: no patient and no lesion on both sides, every label on both.

    train, validation = hold_out(manifest, validation_share=1 / 6, seed=0)

Mishra et al. 2019, Sec. 2, split 5:1 at random; here whole groups move, since photos of one person resemble
each other and would make the score look better than it is. Liao & Luo 2017 use 5 folds.
"""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from training.data.manifest import Manifest
from training.errors import DataError


def k_folds(manifest: Manifest, n_folds: int, seed: int) -> list[np.ndarray]:
    """Part the photos into folds of nearly equal size and label mix, whole groups each.

    Returns:
        `n_folds` int64 arrays of row numbers, sorted; together every row once.

    Raises:
        DataError: fewer folds than 2, or fewer groups than folds.
    """
    groups = manifest.table["group"].to_numpy()
    n_groups = len(set(groups))
    if not 2 <= n_folds <= n_groups:
        raise DataError(
            f"{manifest.name} cannot be parted into {n_folds} folds; from 2 to {n_groups} are possible "
            "(one group, that is one patient or lesion, stays in one fold)."
        )
    splitter = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    labels = _rarest_lesion(manifest)
    with warnings.catch_warnings():
        # A label rarer than the folds cannot stand in each of them; where that matters, `hold_out` says so.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [np.sort(held) for _, held in splitter.split(labels, labels, groups)]


def hold_out(
    manifest: Manifest, *, validation_share: float = 1 / 6, fold: int = 0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to validate on.

    A split that the data set fixes is followed: its `train` and `validation` rows, or, where it names no
    validation rows, its `test` rows, are taken as they are.

    Args:
        validation_share: share of the photos to hold out; 1/6 is the paper's 5:1.
        fold: which of the round(1 / validation_share) folds is held out.
        seed: of the shuffling.

    Raises:
        DataError: a label that would have no photo in training.
    """
    split = manifest.table["split"].to_numpy()
    if (split == "train").any():
        held_name = "validation" if (split == "validation").any() else "test"
        train, validation = np.flatnonzero(split == "train"), np.flatnonzero(split == held_name)
        if not len(validation):
            raise DataError(
                f"{manifest.name} fixes a split that holds nothing out; name validation rows, or clear it."
            )
    else:
        folds = k_folds(manifest, round(1 / validation_share), seed)
        if not 0 <= fold < len(folds):
            raise DataError(f"fold is {fold}; there are {len(folds)} folds, 0 to {len(folds) - 1}.")
        validation = folds[fold]
        train = np.setdiff1d(np.arange(len(manifest)), validation)
    untrained = [
        name
        for name, count in manifest.subset(train).counts().items()
        if not count and manifest.counts()[name]
    ]
    if untrained:
        raise DataError(
            f"{manifest.name}: label '{untrained[0]}' has no photo left to train on; "
            "it needs photos of at least two patients or lesions, or must be merged with another label."
        )
    return train, validation


def about(manifest: Manifest, n_photos: int | None) -> Manifest:
    """About so many of the photos, whole groups each, labels in proportion; all of them if None, or if there are
    fewer than twice as many."""
    n_folds = 1 if n_photos is None else len(manifest) // n_photos
    return manifest if n_folds < 2 else manifest.subset(k_folds(manifest, n_folds, seed=0)[0])


def check_no_fixed_split(manifest: Manifest) -> None:
    """For experiments that make their own folds.

    Raises:
        DataError: the manifest fixes a split.
    """
    if (manifest.table["split"] != "").any():
        raise DataError(
            f"{manifest.name} fixes a split, and this experiment makes its own folds; clear the column 'split'."
        )


def _rarest_lesion(manifest: Manifest) -> np.ndarray:
    """(N,) int64: each photo's rarest label, by which it is stratified."""
    targets = manifest.lesion_targets()
    rarity = targets / np.maximum(targets.sum(0), 1)
    return rarity.argmax(1)

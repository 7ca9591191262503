"""Two training sets of one size from the same photos: as even as they allow, and as uneven as outpatients come.

    even, outpatient = imbalanced_parts(manifest, training_rows, validation_rows, seed=0)

Mishra et al. 2019, Sec. 5.1, Table 4 and Fig. 13. Both sets are scored on the same held-out photos, so that all
that differs is what was trained on. What the accuracy would be among outpatients follows from the recalls.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from training.data.datasets.phantom import write_phantom
from training.data.manifest import Manifest
from training.errors import DataError
from training.reproduction.mishra2019_paper import OUTPATIENT_COUNTS

LEAST_PHOTOS = 2
"""Of a label in either set."""


def outpatient_shares(manifest: Manifest) -> np.ndarray:
    """(P,) float64, summing to 1: how large a share of outpatients has each label.

    The paper's own labels get their own shares; those of any other set get the paper's by rank, the
    commonest label the largest, and labels beyond the tenth the smallest.
    """
    labels = manifest.lesion_labels
    if set(labels) == set(OUTPATIENT_COUNTS):
        shares = np.array([OUTPATIENT_COUNTS[label] for label in labels], np.float64)
    else:
        ranked = sorted(OUTPATIENT_COUNTS.values(), reverse=True)
        order = np.argsort([-count for count in manifest.counts().values()], kind="stable")
        shares = np.empty(len(labels))
        shares[order] = [ranked[min(rank, len(ranked) - 1)] for rank in range(len(labels))]
    return shares / shares.sum()


def imbalanced_parts(
    manifest: Manifest, training: np.ndarray, validation: np.ndarray, *, seed: int
) -> tuple[Manifest, Manifest]:
    """The even and the outpatient-like training set, each with the same validation photos, as fixed splits.

    Args:
        training, validation: rows of the manifest.

    Raises:
        DataError: a label has fewer than two photos to train on.
    """
    counts = np.array(list(manifest.subset(training).counts().values()))
    short = [
        label for label, count in zip(manifest.lesion_labels, counts, strict=True) if count < LEAST_PHOTOS
    ]
    if short:
        raise DataError(
            f"{manifest.name}: label '{short[0]}' has fewer than {LEAST_PHOTOS} photos to train on; add photos of "
            "it, or merge it with another label."
        )
    shares = outpatient_shares(manifest)
    outpatient = np.floor((counts / shares).min() * shares + 1e-9).astype(int).clip(LEAST_PHOTOS, counts)
    even = fill_evenly(counts, int(outpatient.sum()))
    rng = np.random.default_rng(seed)
    labels = manifest.lesion_targets()[training].argmax(1)
    shuffled = {label: rng.permutation(training[labels == label]) for label in range(len(counts))}
    parts = []
    for wanted in (even, outpatient):
        rows = np.sort(np.concatenate([shuffled[label][:count] for label, count in enumerate(wanted)]))
        part = manifest.subset(np.concatenate([rows, validation]))
        part.table["split"] = ["train"] * len(rows) + ["validation"] * len(validation)
        parts.append(part)
    return parts[0], parts[1]


def fill_evenly(counts: np.ndarray, total: int) -> np.ndarray:
    """(P,) int: `total` shared out as evenly as `counts` allow, which are the most that each may get."""
    given = np.zeros_like(counts)
    while total > given.sum():
        open_ = np.flatnonzero(given < counts)
        step = max(1, (total - int(given.sum())) // len(open_))
        for label in open_[: total - int(given.sum())]:
            given[label] += min(step, counts[label] - given[label], total - given.sum())
    return given


def accuracy_among(shares: np.ndarray, recalls: np.ndarray) -> float:
    """The accuracy that these recalls give where labels come in these shares; a label without photos left out."""
    known = ~np.isnan(recalls)
    return float((shares[known] * recalls[known]).sum() / shares[known].sum())


def drawn_parts(
    manifest: Manifest, validation: np.ndarray, *, folder: Path, n_photos: int, seed: int
) -> tuple[Manifest, Manifest]:
    """As `imbalanced_parts`, for the phantom: both training sets drawn anew, of other synthetic people.

    Args:
        folder: where they are drawn.
        n_photos: of each; 1,410 gives just the row sums of Fig. 13.
    """
    scale = n_photos / sum(OUTPATIENT_COUNTS.values())
    outpatient = {label: max(LEAST_PHOTOS, round(scale * n)) for label, n in OUTPATIENT_COUNTS.items()}
    total = sum(outpatient.values())
    even = fill_evenly(np.full(len(outpatient), total), total)
    held = manifest.subset(validation)
    parts = []
    for name, counts in (
        ("even", dict(zip(outpatient, even.tolist(), strict=True))),
        ("outpatient", outpatient),
    ):
        drawn = write_phantom(folder / f"phantom-{name}", size=256, seed=seed, counts=counts)
        table = pd.concat([drawn.table, held.table], ignore_index=True)
        table["split"] = ["train"] * len(drawn) + ["validation"] * len(held)
        parts.append(dataclasses.replace(manifest, table=table))
    return parts[0], parts[1]

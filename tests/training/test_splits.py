"""Splits: whole groups, every photo once, label mix kept."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.manifest import Manifest
from training.data.splits import hold_out, k_folds
from training.errors import DataError


def make_manifest(n_photos: int, n_groups: int, seed: int = 0, **columns: list[str]) -> Manifest:
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(n_groups), rng.integers(n_groups, size=max(0, n_photos - n_groups))])
    lesions = np.array(["acne", "crust", "wheal"])[groups % 3]
    rows = pd.DataFrame(
        {"path": [f"{i}.jpg" for i in range(len(groups))], "lesions": lesions, "group": groups.astype(str)}
        | columns
    )
    return Manifest.from_rows("made", rows, root=Path("photos"))


@given(st.integers(30, 120), st.integers(18, 30), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_no_group_on_both_sides_and_every_photo_once(n_photos, n_groups, seed):
    manifest = make_manifest(n_photos, n_groups, seed)
    groups = manifest.table["group"].to_numpy()
    train, validation = hold_out(manifest, seed=seed)
    assert not set(groups[train]) & set(groups[validation])
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(len(manifest)))
    folds = k_folds(manifest, 5, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(len(manifest)))


def test_hold_out_is_a_sixth_with_the_same_label_mix_and_follows_the_seed():
    manifest = make_manifest(1200, 600)
    train, validation = hold_out(manifest, seed=1)
    assert abs(len(validation) / len(manifest) - 1 / 6) < 0.02
    shares = [
        np.bincount(manifest.lesion_targets().argmax(1)[rows]) / len(rows) for rows in (train, validation)
    ]
    np.testing.assert_allclose(*shares, atol=0.03)
    np.testing.assert_array_equal(hold_out(manifest, seed=1)[1], validation)
    assert not np.array_equal(hold_out(manifest, seed=2)[1], validation)
    assert not np.intersect1d(hold_out(manifest, seed=1, fold=1)[1], validation).size


def test_a_fixed_split_is_followed():
    split = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    train, validation = hold_out(make_manifest(12, 12, split=split))
    np.testing.assert_array_equal(train, np.arange(8))
    np.testing.assert_array_equal(validation, [8, 9])


def test_what_cannot_be_split_gets_one_sentence():
    with pytest.raises(DataError, match="from 2 to 3 are possible"):
        k_folds(make_manifest(9, 3), 5, 0)
    with pytest.raises(DataError, match="label 'wheal' has no photo left to train on"):
        hold_out(make_manifest(6, 6, split=["train", "train", "validation"] * 2))
    with pytest.raises(DataError, match="fold is 9; there are 6 folds"):
        hold_out(make_manifest(60, 30), fold=9)

"""Sec. 5.1's training sets: the shapes asked for, of one size, on the same held-out photos."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.datasets.phantom import SITES
from training.data.manifest import Manifest
from training.errors import DataError
from training.reproduction import mishra2019_paper as paper
from training.reproduction.imbalance import (
    accuracy_among,
    drawn_parts,
    fill_evenly,
    imbalanced_parts,
    outpatient_shares,
)


def make_manifest(counts: dict[str, int], sites: tuple[str, ...] = ()) -> Manifest:
    rows = [
        {"path": f"{label}{index}.jpg", "lesions": label, "group": f"{label}{index}"}
        for label, count in counts.items()
        for index in range(count)
    ]
    return Manifest.from_rows(
        "made", rows, root=Path("nowhere"), lesion_labels=list(counts), location_labels=sites
    )


def test_the_papers_figure_13_is_whole():
    assert sum(paper.OUTPATIENT_COUNTS.values()) == 1410
    assert paper.OUTPATIENT_COUNTS["erythema"] == 700
    assert sum(sum(row) for row in paper.FIGURE_13) == 1410


def test_the_papers_own_labels_get_their_own_shares_and_others_theirs_by_rank():
    own = make_manifest(dict.fromkeys(paper.OUTPATIENT_COUNTS, 3))
    np.testing.assert_allclose(outpatient_shares(own)[4], 700 / 1410)
    other = outpatient_shares(make_manifest({"rare": 2, "common": 9, "middle": 5}))
    np.testing.assert_allclose(other, np.array([156, 700, 250]) / 1106)


def test_both_sets_have_one_size_and_the_shapes_asked_for():
    manifest = make_manifest({"a": 100, "b": 80, "c": 60, "d": 30})
    rows = np.arange(len(manifest))
    validation = rows[::6]
    training = np.setdiff1d(rows, validation)
    even, outpatient = imbalanced_parts(manifest, training, validation, seed=0)
    assert len(even) == len(outpatient)
    for part in (even, outpatient):
        held = part.table[part.table["split"] == "validation"]
        assert held["path"].tolist() == manifest.table["path"].iloc[validation].tolist()
        assert not set(part.table[part.table["split"] == "train"]["path"]) & set(held["path"])
    trained = [
        list(part.subset(np.flatnonzero(part.table["split"] == "train")).counts().values())
        for part in (even, outpatient)
    ]
    assert trained[0][3] == 25, "the label with the fewest photos gives all"
    assert max(trained[0][:3]) - min(trained[0][:3]) <= 1
    shares = np.array(trained[1]) / sum(trained[1])
    np.testing.assert_allclose(shares, outpatient_shares(manifest), atol=0.03)


def test_too_few_photos_of_a_label_get_one_sentence():
    manifest = make_manifest({"a": 10, "b": 1})
    with pytest.raises(DataError, match="'b' has fewer than 2"):
        imbalanced_parts(manifest, np.arange(11), np.array([0]), seed=0)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(0, 200))
def test_filling_evenly_is_as_even_as_the_caps_allow(counts, total):
    caps = np.array(counts)
    total = min(total, int(caps.sum()))
    given_out = fill_evenly(caps, total)
    assert given_out.sum() == total
    assert (given_out <= caps).all()
    open_ = given_out < caps
    if open_.any():
        assert given_out.max() - given_out[open_].min() <= 1


def test_phantoms_for_both_sets_are_drawn_of_other_people(tmp_path):
    manifest = make_manifest(dict.fromkeys(paper.OUTPATIENT_COUNTS, 3), SITES)
    even, outpatient = drawn_parts(manifest, np.arange(0, 30, 6), folder=tmp_path, n_photos=24, seed=1)
    drawn = outpatient.subset(np.flatnonzero(outpatient.table["split"] == "train"))
    assert drawn.counts()["erythema"] == round(24 * 700 / 1410)
    assert min(drawn.counts().values()) == 2
    assert abs(len(even) - len(outpatient)) == 0
    assert all(group.startswith("phantom-1-") for group in drawn.table["group"])


def test_accuracy_among_outpatients_is_the_recalls_weighed_by_the_shares():
    shares = np.array([0.5, 0.3, 0.2])
    assert accuracy_among(shares, np.array([1.0, 0.5, 0.0])) == pytest.approx(0.65)
    assert accuracy_among(shares, np.array([1.0, np.nan, 0.0])) == pytest.approx(0.5 / 0.7)

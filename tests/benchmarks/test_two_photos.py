"""Two photos of one lesion: which are one lesion's, and by how much an answer moves between them."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.two_photos import lesions_of, moves_of, summarise
from training.data.manifest import Manifest


def manifest_of(names: list[str], groups: list[str]) -> Manifest:
    rows = pd.DataFrame({"path": names, "lesions": "a", "group": groups})
    return Manifest.from_rows("some", rows, root=Path(), lesion_labels={"a": "A"})


def test_photos_of_a_lesion_are_told_by_their_names_else_by_their_group():
    pad = manifest_of(
        [f"images/PAT_1_{lesion}_{photo}.png" for lesion, photo in ((10, 1), (11, 2), (10, 3), (12, 4))],
        ["PAT_1"] * 4,
    )
    assert [members.tolist() for members in lesions_of(pad, np.arange(4))] == [[0, 2]]
    assert lesions_of(pad, np.array([0, 1, 3])) == []
    drawn = manifest_of([f"images/{n}.jpg" for n in range(4)], ["x", "y", "y", "x"])
    assert [members.tolist() for members in lesions_of(drawn, np.arange(4))] == [[0, 3], [1, 2]]


def test_each_photo_is_the_first_once_and_its_own_label_is_followed():
    scores = np.array([[0.75, 0.25], [0.5, 0.625], [0.0, 1.0], [0.0, 1.0]])
    moves = moves_of(scores, [np.array([0, 1]), np.array([2, 3])], np.array(["p", "p", "q", "q"]))
    np.testing.assert_allclose(moves.points, [(25 + 37.5) / 2, 0])
    np.testing.assert_allclose(moves.other_label, [1, 0])
    assert moves.groups.tolist() == ["p", "q"]


def test_a_lesion_with_many_photos_counts_once():
    scores = np.array([[0.5]] * 6 + [[0.5], [0.25]])
    moves = moves_of(scores, [np.arange(6), np.array([6, 7])], np.array(["p"] * 6 + ["q"] * 2))
    found = summarise(moves)
    assert found["lesions"] == 2
    assert found["median_points"] == 12.5
    assert found["other_label"] == 0
    low, high = found["median_points_interval"]
    assert 0 <= low <= 12.5 <= high <= 25

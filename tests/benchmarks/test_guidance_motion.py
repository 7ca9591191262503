"""The limit on motion: faster hands measure more, and the limit leaves the smeared pairs beyond it."""

import json
import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import guidance_limits, guidance_motion
from benchmarks.guidance_defects import draw_phantom
from benchmarks.guidance_limits import LIMITS_FILE
from benchmarks.guidance_motion import SPEEDS, TOLD, Pair, limit_for, main, measure, moved_pair, table
from training.errors import DataError


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return draw_phantom(5, 3, None).rgb


def test_a_faster_hand_measures_more_and_smears_in_the_end(drawn):
    pairs = [moved_pair(drawn, speed, random.Random(3)) for speed in SPEEDS]
    motions = [pair.motion for pair in pairs]
    assert motions == sorted(motions)
    assert motions[0] < 0.05
    assert not pairs[0].blurred
    assert pairs[-1].blurred
    assert moved_pair(drawn, 0.3, random.Random(3)) == moved_pair(drawn, 0.3, random.Random(3))


def test_a_photo_that_is_blurred_at_rest_says_nothing_of_motion(drawn):
    (own,) = measure([cv2.GaussianBlur(drawn, (0, 0), 6), drawn])
    assert [pair.speed for pair in own] == list(SPEEDS)


def test_the_limit_leaves_the_smeared_pairs_beyond_it():
    rng = np.random.default_rng(0)
    pairs = [Pair(1.0, float(motion), motion > 0.5) for motion in rng.uniform(0, 1, 2000)]
    limit = limit_for(pairs)
    assert np.mean([pair.motion > limit for pair in pairs if pair.blurred]) == pytest.approx(TOLD, abs=0.002)
    with pytest.raises(DataError, match="none of 1 pairs is smeared"):
        limit_for([Pair(0.0, 0.1, False)])


def test_the_command_writes_what_it_prints_and_sets_its_limit_alone(tmp_path: Path, capsys, monkeypatch):
    from tests.benchmarks.test_guidance import write_photos

    out, limits_file = tmp_path / "motion.json", tmp_path / "limits.json"
    limits_file.write_text(LIMITS_FILE.read_text())
    before = json.loads(limits_file.read_text())
    for module in (guidance_limits, guidance_motion):
        monkeypatch.setattr(module, "LIMITS_FILE", limits_file)
    options = ["--every", "2", "--phantoms", "1", "--set-limit", "--out", str(out)]
    assert main([str(write_photos(tmp_path)), *options]) == 0
    record = json.loads(out.read_text())
    assert [row["speed"] for row in record["speeds"]] == list(SPEEDS)
    assert table(record) in capsys.readouterr().out
    after = json.loads(limits_file.read_text())
    assert after["limits"].pop("moving")["advise"] == pytest.approx(record["limit"], rel=0.05)
    del before["limits"]["moving"]
    assert after == before

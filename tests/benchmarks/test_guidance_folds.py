"""Cross-validation of the locator: who is looked at by whom, and what is done again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import guidance_folds
from benchmarks.guidance_defects import defects, spoil
from benchmarks.guidance_folds import judged, main
from benchmarks.guidance_locator import Locator, write_weights
from benchmarks.guidance_parts import FOLDS, fold_of, masked_photos
from capture_app.locator import locator_network, locator_weights
from capture_app.quality import check_photo, limits
from tests.benchmarks.test_guidance import write_photos
from training.data.manifest import read_manifest_csv
from training.errors import DataError


class Taught(Locator):
    """As if it had learned: with the shipped weights, or blind."""

    def __init__(self, *, sees: bool) -> None:
        super().__init__()
        self.sees = sees

    def arrays(self) -> dict[str, np.ndarray]:
        shipped = locator_weights()
        return shipped if self.sees else {name: np.zeros_like(array) for name, array in shipped.items()}


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    photos = write_photos(tmp_path)
    written = ["--out", str(tmp_path / "folds"), "--result", str(tmp_path / "folds.json")]
    return [str(photos), *written, "--phantoms", "3"]


def test_each_fold_is_looked_at_by_weights_that_have_not_seen_it(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taught: list[set[str]] = []

    def teach(manifest, photos, how, out):
        taught.append({photo.group for photo in photos})
        write_weights(Taught(sees=len(taught) == 1), how.about(manifest, photos), out)

    monkeypatch.setattr(guidance_folds, "teach", teach)
    assert main([*asked, "--steps", "1"]) == 0
    groups = [photo.group for photo in masked_photos(read_manifest_csv(Path(asked[0])))]
    for fold, seen in enumerate(taught):
        assert seen == {group for group in groups if fold_of(group) != fold}
    record = json.loads((tmp_path / "folds.json").read_text())
    sizes = [own["photos"] for own in record["folds"]]
    assert sizes == [sum(fold_of(group) == fold for group in groups) for fold in range(FOLDS)]
    found = [own["lesion found: centre and box"]["value"] for own in (*record["folds"], record["all"])]
    assert found == [1, 0, 0, pytest.approx(sizes[0] / len(groups))]
    assert record["all"]["patients"] == len(set(groups))

    monkeypatch.setattr(guidance_folds, "teach", None)  # What is there is not taught again,
    assert main([*asked, "--steps", "1"]) == 0
    with pytest.raises(DataError, match=r"fold-0.*steps 1 and 2 is asked for: delete it"):
        main([*asked, "--steps", "2"])  # unless it is something else.


def test_limits_set_elsewhere_judge_as_the_checks_do(tmp_path: Path):
    photo = next(masked_photos(read_manifest_csv(write_photos(tmp_path))))
    spoilt = [spoil(photo, defect, 0) for defect in defects()]
    photos = [replace(photo, rgb=rgb) for rgb in (photo.rgb, *spoilt) if rgb is not None]
    severities = [check_photo(own.rgb).severity for own in photos]
    assert {"ok", "block"} <= set(severities)
    looks = judged(photos, limits(), locator_network())
    assert [look.passed for look in looks] == [severity == "ok" for severity in severities]
    assert [look.blocked for look in looks] == [severity == "block" for severity in severities]

    strict = limits() | {"too_dark": replace(limits()["too_dark"], advise=-100.0)}
    assert not any(look.passed for look in judged(photos, strict, locator_network()))


def test_too_few_patients_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    photos = write_photos(tmp_path)
    monkeypatch.setattr(guidance_folds, "fold_of", lambda group: 0)
    with pytest.raises(DataError, match="a fold of 3 has no photo"):
        main([str(photos), "--out", str(tmp_path / "folds")])
    assert not (tmp_path / "folds").exists()

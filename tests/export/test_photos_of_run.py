"""Which photos an export is calibrated on and compared on."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from export.photos_of_run import calibration_rows, drawn_photos, photos_to_compare, run_photos
from tests.tiny_model import tiny_card
from training.data.manifest import Manifest, read_manifest_csv
from training.data.splits import hold_out
from training.errors import DataError
from training.models.card import Label, ModelCard

COLOURS = (Label("blue", "Blue"), Label("green", "Green"), Label("red", "Red"))
SPLIT = {"validation_share": 1 / 6, "fold": 0, "seed": 0}


@pytest.fixture
def manifest(photos: Path) -> Manifest:
    return read_manifest_csv(photos / "manifest.csv")


@pytest.fixture
def card(manifest: Manifest) -> ModelCard:
    """Of a run on those photos."""
    data = {"name": "photos", "fingerprint": manifest.fingerprint(), "training_photos": 40}
    return dataclasses.replace(tiny_card(), lesion_labels=COLOURS, data=data, recipe=SPLIT)


def test_calibration_is_on_training_photos_and_shares_no_patient_with_the_comparison(
    photos: Path, manifest: Manifest, card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.photos_of_run.CALIBRATION_PHOTOS", 9)
    found = run_photos(card, str(photos / "manifest.csv"), cache=tmp_path)
    train, held_out = hold_out(manifest, **SPLIT)
    groups = manifest.table["group"].to_numpy()
    calibration, comparison = found.calibration, found.comparison
    assert calibration.groups is not None
    assert comparison.groups is not None
    assert set(calibration.groups) <= set(groups[train])
    assert not set(calibration.groups) & set(comparison.groups)
    assert set(groups[held_out]) <= set(comparison.groups)
    assert calibration.labels is not None
    assert set(calibration.labels) == {0, 1, 2}
    assert "training photos" in calibration.source
    assert len(calibration) == 9
    assert len(calibration) + len(comparison) < len(
        manifest
    )  # Whoever lent a photo to calibrate on is left out.


def test_every_label_is_calibrated_on_however_rare(manifest: Manifest) -> None:
    rows = calibration_rows(manifest, np.arange(len(manifest)), n_photos=6)
    targets = manifest.lesion_targets()[rows]
    assert list(targets.sum(0)) == [2, 2, 2]
    groups = manifest.table["group"].to_numpy()[rows]
    assert len(set(groups)) == 6
    np.testing.assert_array_equal(rows, calibration_rows(manifest, np.arange(len(manifest)), n_photos=6))
    assert len(calibration_rows(manifest, np.arange(len(manifest)), n_photos=1000)) == 24  # One a patient.


def test_a_label_without_a_training_photo_is_named(manifest: Manifest) -> None:
    blue = manifest.lesion_targets()[:, manifest.lesion_labels.index("blue")].astype(bool)
    with pytest.raises(DataError, match="no training photo of 'blue'"):
        calibration_rows(manifest, np.flatnonzero(~blue), 9)


def test_another_data_set_than_the_runs_is_refused(photos: Path, card: ModelCard, tmp_path: Path) -> None:
    other = dataclasses.replace(card, data={"name": "clinic", "fingerprint": "0", "training_photos": 7})
    with pytest.raises(DataError, match=r"not the data that the run was trained on \(clinic, 7 training"):
        run_photos(other, str(photos / "manifest.csv"), cache=tmp_path)


def test_without_data_pictures_are_drawn_and_a_folder_of_photos_needs_no_labels(
    photos: Path, card: ModelCard, tmp_path: Path
) -> None:
    drawn, left_out = photos_to_compare(card, None)
    assert left_out == []
    assert len(drawn) == len(drawn_photos(card.preprocessing)) == 14
    for photo in sorted(photos.glob("*.png"))[:5]:
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
    found, _ = photos_to_compare(card, str(tmp_path))
    assert len(found) == 5
    assert found.labels is None


def test_photos_beside_their_manifest_are_a_data_set(
    photos: Path, manifest: Manifest, card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # Where the decoded photos are kept.
    found, _ = photos_to_compare(card, str(photos))
    assert found.labels is not None
    _, held_out = hold_out(manifest, **SPLIT)
    assert set(found.groups) == set(manifest.table["group"].to_numpy()[held_out])

"""The phantom under Liao & Luo's labels: all names, several a photo, as drawn, the site tied by its coupling."""

import sys
from pathlib import Path

import numpy as np
import pytest

from training.data.datasets import phantom, registry
from training.data.datasets.phantom import LABELS, SITES, as_dermquest, plan_jobs
from training.data.datasets.phantom_dermquest import (
    DISPLAY,
    FINER_SITES,
    LESIONS,
    LOCATIONS,
    RULES,
    lesion_labels,
    traits,
)
from training.data.datasets.phantom_lesions import paint
from training.data.datasets.phantom_photo import draw_subject, draw_who
from training.data.datasets.registry import display_name, load_manifest
from training.data.manifest import Manifest, read_manifest_csv
from training.errors import DataError


def undrawn(*, per_label: int = 60, seed: int = 0, site_coupling: float = 1.0) -> Manifest:
    """The rows that `write_phantom` would write, without the photos."""
    rows = []
    for job in plan_jobs(dict.fromkeys(LABELS, per_label), seed=seed):
        who = draw_who(seed, job.subject, lesion=job.lesion, site_coupling=site_coupling)
        rows.append(
            {
                "path": f"images/{job.index:06d}.jpg",
                "lesions": who.lesion,
                "location": who.location,
                "group": f"phantom-{seed}-{job.subject:06d}",
                "source": "phantom",
                "skin_tone": str(who.skin_tone),
                "box": "1 2 3 4",
                "mask": f"masks/{job.index:06d}.png",
            }
        )
    return Manifest.from_rows(
        "phantom", rows, root=Path("photos"), lesion_labels=LABELS, location_labels=SITES, synthetic=True
    )


def correlation(manifest: Manifest) -> np.ndarray:
    """(25, 23): Eq. 1, the share of lesion i's photos that show site j."""
    lesions = manifest.lesion_targets().astype(bool)
    sites = np.eye(len(LOCATIONS))[manifest.location_targets()]
    return np.stack([sites[shown].mean(0) for shown in lesions.T])


def test_the_papers_numbers_of_names():
    assert len(set(LESIONS)) == 25
    assert len(set(LOCATIONS)) == 23
    assert set(FINER_SITES) == set(SITES)
    assert set(RULES) == set(LABELS)
    assert {label for rules in RULES.values() for label in rules} == set(LESIONS)
    assert all(display_name(label) == name for label, name in DISPLAY.items())


def test_all_lesions_and_sites_occur_and_most_photos_have_one_to_three():
    manifest = as_dermquest(undrawn())
    assert (manifest.name, manifest.synthetic) == ("phantom-dermquest", True)
    assert min(manifest.counts().values()) >= 3
    assert set(manifest.table["location"]) == set(LOCATIONS)
    per_photo = manifest.table["lesions"].map(len)
    assert set(per_photo) == {1, 2, 3}
    assert 1.5 < per_photo.mean() < 2.5


def test_nothing_but_lesions_and_sites_changes_and_the_argument_stays():
    before = undrawn(per_label=5)
    kept = before.table.copy(deep=True)
    after = as_dermquest(before)
    assert before.table.equals(kept)
    same = kept.columns.difference(["lesions", "location"])
    assert after.table[same].equals(kept[same])
    for site, finer in zip(kept["location"], after.table["location"], strict=True):
        assert finer in FINER_SITES[site]


def test_the_same_seed_gives_the_same_labels_whatever_else_is_there():
    whole = undrawn()
    assert as_dermquest(whole).table.equals(as_dermquest(whole).table)
    rows = np.arange(0, len(whole), 7)
    assert as_dermquest(whole.subset(rows)).table.equals(as_dermquest(whole).subset(rows).table)
    assert not as_dermquest(whole, seed=1).table["lesions"].equals(as_dermquest(whole).table["lesions"])


def test_photos_of_one_subject_agree():
    table = as_dermquest(undrawn()).table
    subjects = table.groupby("group")
    assert subjects.size().max() > 1
    assert (subjects["lesions"].nunique() == 1).all()
    assert (subjects["location"].nunique() == 1).all()


@pytest.mark.parametrize("index", range(12))
def test_a_tumours_labels_tell_what_is_painted(index):
    asked = draw_subject(0, index, lesion="tumour")
    labels = lesion_labels(asked, lucky=False)
    person, rng = draw_subject(0, index, lesion="tumour")[1:]
    planes = paint(rng, "tumour", skin_melanin=person.melanin).planes
    assert ("pearly_papule" in labels) == ("depigment" in planes)
    assert ("tumour" in labels) == (person.unit_cm / 3 >= 2)
    if "cyst" in labels:
        assert "melanin" not in planes


@pytest.mark.parametrize("index", range(4))
def test_acnes_labels_tell_what_is_painted(index):
    words = traits(draw_subject(1, index, lesion="acne"))
    person, rng = draw_subject(1, index, lesion="acne")[1:]
    canvas = paint(rng, "acne", skin_melanin=person.melanin)
    assert "melanin" in canvas.planes or "mark" not in words
    assert "cover" in canvas.planes or not words & {"comedo", "pustule"}


def test_the_coupling_ties_lesions_to_sites():
    tied, loose = (correlation(as_dermquest(undrawn(per_label=150, site_coupling=c))) for c in (1, 0))
    np.testing.assert_allclose(tied.sum(1), 1)
    assert tied.max(1).mean() > loose.max(1).mean()
    frequent = [LESIONS.index(label) for label in ("alopecia", "comedones", "edema", "erosion_ulcer_atrophy")]
    assert (tied.max(1) > loose.max(1))[frequent].all()
    assert LOCATIONS[tied[LESIONS.index("alopecia")].argmax()] == "scalp"


def test_csv_round_trip_keeps_several_labels(tmp_path):
    manifest = as_dermquest(undrawn(per_label=10))
    manifest.write_csv(tmp_path / "dermquest.csv")
    assert ";" in (tmp_path / "dermquest.csv").read_text()
    again = read_manifest_csv(tmp_path / "dermquest.csv")
    assert again.synthetic
    assert again.table["lesions"].tolist() == manifest.table["lesions"].tolist()
    assert again.table["location"].tolist() == manifest.table["location"].tolist()


def test_the_command_and_the_name_give_the_same(tmp_path, monkeypatch):
    out = tmp_path / "phantom"
    arguments = ["phantom", "--out", str(out), "--n-photos", "20", "--size", "64", "--dermquest"]
    monkeypatch.setattr(sys, "argv", arguments)
    phantom.main()
    written = load_manifest(out / "dermquest.csv")
    monkeypatch.setattr(registry, "write_phantom", lambda *_, **__: load_manifest(out))
    named = load_manifest("phantom-dermquest")
    assert named.lesion_labels == LESIONS
    assert named.table.equals(written.table)
    assert all(Path(path).is_file() for path in written.table["path"])


def test_another_data_set_is_refused():
    table = undrawn(per_label=1).table.assign(group="patient-7")
    other = Manifest("mine", table, LABELS, SITES, synthetic=True)
    with pytest.raises(DataError, match=r"mine: group 'patient-7' .* no row of the phantom"):
        as_dermquest(other)

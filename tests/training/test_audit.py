"""Each thing that can be wrong with a photo set is found, named, and told from what is right."""

import dataclasses
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from tests.training.test_duplicates import jpeg, skin_photo
from training.audit import Audit, Limits, audit_manifest, main
from training.cli import run
from training.data.balance import balance_of
from training.data.duplicates import byte_pairs
from training.data.findings import check_groups, check_pairs, check_split
from training.data.hygiene import inspect_photo, read_metadata
from training.data.manifest import Manifest, read_manifest_csv
from training.errors import CheckpointError, DataError

ROOT = Path(__file__).parents[2]


def write_set(folder: Path, **columns: list[str]) -> Path:
    """Twelve different photos of six patients, two labels; further columns or other values as given."""
    rows = {
        "path": [f"{index}.jpg" for index in range(12)],
        "lesions": ["naevus", "naevus", "melanoma", "melanoma"] * 3,
        "group": [f"p{index // 2}" for index in range(12)],
    } | columns
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(12):
        skin_photo(index).save(folder / f"{index}.jpg", quality=95)
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


def audit(folder: Path, **options: object) -> Audit:
    return audit_manifest(read_manifest_csv(folder / "manifest.csv"), progress=False, **options)


def codes(found: Audit) -> dict[str, str]:
    return {finding.code: finding.severity for finding in found.findings}


def copy_photo(folder: Path, source: int, target: int) -> None:
    """The picture of one photo, changed a little, in the file of another."""
    jpeg(Image.open(folder / f"{source}.jpg"), 60).save(folder / f"{target}.jpg", quality=80)


def test_a_sound_set_has_no_finding(tmp_path):
    found = audit(write_set(tmp_path))
    assert codes(found) == {}
    assert found.errors == ()
    assert found.balances["lesion"].counts == {"melanoma": 6, "naevus": 6}
    assert found.group_sizes == {2: 6}


@pytest.mark.parametrize(
    ("source", "target", "code", "severity"),
    [
        (0, 4, "duplicate-across-groups", "error"),
        (0, 2, "duplicate-across-labels", "error"),
        (0, 1, "duplicate-in-group", "note"),
    ],
)
def test_a_changed_copy_is_as_grave_as_what_it_confuses(tmp_path, source, target, code, severity):
    folder = write_set(tmp_path)
    copy_photo(folder, source, target)
    found = audit(folder)
    assert codes(found) == {code: severity}
    (finding,) = found.findings
    assert [(pair.first, pair.second) for pair in finding.pairs] == [(source, target)]
    assert finding.photos == (source, target)


def test_a_copied_file_of_one_patient_is_a_warning(tmp_path):
    folder = write_set(tmp_path)
    (folder / "1.jpg").write_bytes((folder / "0.jpg").read_bytes())
    assert codes(audit(folder)) == {"duplicate-exact": "warning"}


def test_a_copy_on_the_other_side_of_a_split_is_the_gravest(tmp_path):
    sides = ["train"] * 8 + ["validation"] * 4
    folder = write_set(tmp_path, split=sides)
    copy_photo(folder, 0, 9)
    assert codes(audit(folder))["duplicate-across-split"] == "error"
    given = audit(folder, split=(range(8), range(8, 12)))
    assert codes(given)["duplicate-across-split"] == "error"
    inside = audit(folder, split=([0, 9], [10]))
    assert "duplicate-across-split" not in codes(inside)


def test_a_given_split_that_parts_a_patient_or_lacks_a_label_is_an_error(tmp_path):
    found = audit(write_set(tmp_path), split=([0, 2, 3, 4], [1]))
    assert codes(found) == {"group-across-split": "error", "label-missing-from-split": "error"}
    spanning, lacking = found.findings
    assert (spanning.details, spanning.photos) == (("p0",), (0, 1))
    assert lacking.details == ("validation: melanoma",)


def test_labels_too_rare_empty_and_uneven_are_named(tmp_path):
    folder = write_set(tmp_path, lesions=["naevus"] * 11 + ["melanoma"])
    manifest = read_manifest_csv(folder / "manifest.csv")
    manifest = dataclasses.replace(manifest, lesion_labels=(*manifest.lesion_labels, "ulcer"))
    found = audit_manifest(manifest, progress=False)
    assert codes(found) == {"label-too-few": "error", "label-empty": "warning", "imbalance": "warning"}
    assert "11 times" in next(one.sentence for one in found.findings if one.code == "imbalance")
    assert codes(audit(folder, limits=Limits(max_ratio=11))) == {"label-too-few": "error"}


def test_a_label_that_only_one_source_has_is_a_shortcut(tmp_path):
    sources = [["clinic", "phone"][index // 2 % 2] if index < 8 else "phone" for index in range(12)]
    found = audit(write_set(tmp_path, source=sources))
    assert codes(found) == {"label-of-one-source": "warning"}
    assert found.findings[0].details == ("melanoma: phone",)


def test_patients_who_are_not_named_or_named_in_two_ways(tmp_path):
    unnamed = write_set(tmp_path / "a", group=[""] * 12)
    assert codes(audit(unnamed)) == {"groups-unknown": "warning"}
    groups = ["P-01", "p 01", *[f"p{index // 2}" for index in range(2, 12)]]
    (finding,) = check_groups(read_manifest_csv(write_set(tmp_path / "b", group=groups) / "manifest.csv"))
    assert (finding.code, finding.details) == ("groups-alike", ("P-01, p 01",))


def with_metadata(path: Path, *, position: bool = False, tags: dict[int, str] | None = None) -> None:
    image = Image.open(path)
    exif = image.getexif()
    if position:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (47.0, 22.0, 0.0), 3: "E", 4: (8.0, 32.0, 0.0)})
    for tag, value in (tags or {}).items():
        exif.get_ifd(ExifTags.IFD.Exif)[tag] = value
    image.save(path, exif=exif)


def test_what_a_file_gives_away(tmp_path):
    folder = write_set(tmp_path)
    with_metadata(folder / "0.jpg", position=True)
    with_metadata(
        folder / "1.jpg",
        tags={ExifTags.Base.CameraOwnerName: "A. Person", ExifTags.Base.BodySerialNumber: "17"},
    )
    with_metadata(folder / "2.jpg", tags={ExifTags.Base.DateTimeOriginal: "2024:05:01 10:00:00"})
    found = audit(folder)
    assert codes(found) == {"position": "error", "identifying": "warning", "date": "note"}
    assert [finding.photos for finding in found.findings] == [(0,), (1,), (2,)]
    assert found.findings[1].details == ("camera owner, camera serial number",)


def test_a_position_in_xmp_counts_and_broken_metadata_does_not():
    buffer = io.BytesIO()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a exif:GPSLatitude="47,22N"/></x:xmpmeta>'
    skin_photo(0).save(buffer, "JPEG", xmp=xmp)
    assert read_metadata(buffer.getvalue()) == (True, False, ())
    buffer = io.BytesIO()
    skin_photo(0).save(buffer, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_metadata(buffer.getvalue()) == (False, False, ())


def test_files_that_do_not_open_show_nothing_or_are_tiny(tmp_path):
    folder = write_set(tmp_path)
    (folder / "0.jpg").write_bytes((folder / "0.jpg").read_bytes()[:400])
    (folder / "1.jpg").unlink()
    Image.new("RGB", (200, 200), "tan").save(folder / "2.jpg")
    skin_photo(99, side=100).save(folder / "3.jpg")
    found = audit(folder)
    assert codes(found) == {"unreadable": "error", "flat": "warning", "tiny": "warning"}
    assert [finding.photos for finding in found.findings] == [(0, 1), (2,), (3,)]
    assert "100x100" in found.findings[2].details[0]


def test_masks_and_boxes_that_misfit(tmp_path):
    masks = [f"m{index}.png" for index in range(4)] + [""] * 8
    boxes = ["10 10 90 90", "10 10 900 90", "", "no box", *[""] * 8]
    folder = write_set(tmp_path, mask=masks, box=boxes)
    for index, (size, value) in enumerate([(200, 255), (100, 255), (200, 0)]):
        Image.new("L", (size, size), value).save(folder / f"m{index}.png")
    found = audit(folder)
    assert codes(found) == {"mask-misfit": "warning", "box-misfit": "warning", "mask-missing": "note"}
    misfit, box, missing = found.findings
    assert misfit.photos == (1, 2, 3)
    assert "100x100" in misfit.details[0]
    assert "marks no lesion" in misfit.details[1]
    assert "does not open" in misfit.details[2]
    assert box.photos == (1, 3)
    assert len(missing.photos) == 8


def test_a_photo_that_lies_on_its_side_has_an_upright_mask(tmp_path):
    path = tmp_path / "side.jpg"
    image = skin_photo(0).crop((0, 0, 200, 120))
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = 6
    image.save(path, exif=exif)
    Image.new("L", (120, 200), 255).save(tmp_path / "mask.png")
    assert inspect_photo(path, tmp_path / "mask.png").mask_problem == ""


@pytest.mark.parametrize(
    ("counts", "ratio", "effective", "evenness"),
    [
        ({"a": 5, "b": 5, "c": 5}, 1, 3, 1),
        ({"a": 7}, 1, 1, 1),
        ({"a": 4, "b": 4, "c": 0}, 1, 2, 1),
        ({}, 1, 0, 1),
    ],
)
def test_balance_of_even_counts(counts, ratio, effective, evenness):
    balance = balance_of(counts)
    assert (balance.ratio, balance.effective_number, balance.evenness) == pytest.approx(
        (ratio, effective, evenness)
    )


def test_balance_of_uneven_counts_agrees_with_scipy():
    from scipy.stats import entropy

    balance = balance_of({"a": 90, "b": 9, "c": 1})
    assert balance.ratio == 90
    assert balance.effective_number == pytest.approx(np.exp(entropy([90, 9, 1])))
    assert balance.evenness == pytest.approx(entropy([90, 9, 1], base=3))


def test_the_page_holds_everything_and_fetches_nothing(tmp_path, capsys):
    folder = write_set(tmp_path / "set")
    copy_photo(folder, 0, 4)
    (folder / "7.jpg").write_bytes(b"no photo")
    status = run(lambda: main(["--data", str(folder), "--out", str(tmp_path / "out")]))
    assert status == 1
    printed = capsys.readouterr().out
    assert "error: 1 pair of photos" in printed
    assert "0.jpg and 4.jpg" in printed
    page = (tmp_path / "out" / "audit.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "does not open" in page
    assert not re.search(r"(src|href)\s*=\s*.?http", page)
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert found["errors"] == 2
    assert str(tmp_path) not in json.dumps(found)
    pair = next(one for one in found["findings"] if one["pairs"])["pairs"][0]
    assert [photo["photo"] for photo in pair["photos"]] == ["0.jpg", "4.jpg"]


def test_a_sound_set_exits_with_0_and_the_drawn_split_can_be_checked(tmp_path, capsys):
    folder = write_set(tmp_path, lesions=["naevus", "melanoma"] * 6)
    assert run(lambda: main(["--data", str(folder)])) == 0
    assert "No split was checked" in capsys.readouterr().out
    assert run(lambda: main(["--data", str(folder), "--hold-out"])) == 0
    printed = capsys.readouterr().out
    assert "0 errors" in printed
    assert "No split was checked" not in printed


def test_figures_are_pictures(tmp_path):
    found = audit(write_set(tmp_path, location=["arm", "leg"] * 6, group=["a", *"bcdef" * 2, "g"]))
    assert {"lesion", "location", "groups"} == set(found.figures)
    assert all(png.startswith(b"\x89PNG") for png in found.figures.values())


def test_what_a_network_finds_alike_is_a_warning_and_its_reach_is_measured(tmp_path, tiny_run):
    from training.alike import FEWEST_PHOTOS

    rows = []
    for index in range(FEWEST_PHOTOS):
        skin_photo(index, side=100).save(tmp_path / f"{index}.jpg")
        rows.append({"path": f"{index}.jpg", "lesions": ("a", "b")[index % 2], "group": f"patient {index}"})
    manifest = Manifest.from_rows("set", rows, root=tmp_path)
    found = audit_manifest(manifest, network=tiny_run, limits=Limits(min_side=32, cosine=0.2), progress=False)
    assert codes(found) == {"alike-by-network": "warning"}
    assert found.network["copies"] == 64
    assert 0 <= found.network["found"] <= 64
    assert all(pair.cosine >= 0.2 for pair in found.findings[0].pairs)
    few = audit_manifest(
        manifest.subset(range(20)), network=tiny_run, limits=Limits(min_side=32), progress=False
    )
    assert few.network is None
    assert "128 photos" in few.skipped[-1]
    with pytest.raises(CheckpointError, match="is not there"):
        audit_manifest(manifest, network=tmp_path / "nowhere", progress=False)


def test_limits_that_mean_nothing_are_refused():
    with pytest.raises(DataError, match="correlation"):
        Limits(correlation=1.5)
    with pytest.raises(DataError, match="at least 1"):
        Limits(min_side=0)


def test_pairs_without_a_side_do_not_cross_the_split(tmp_path):
    manifest = read_manifest_csv(write_set(tmp_path) / "manifest.csv")
    pairs = byte_pairs(["a", *[""] * 3, "a", *[""] * 7])
    (finding,) = check_pairs(manifest, pairs, np.array(["training"] + [""] * 11))
    assert finding.code == "duplicate-across-groups"
    assert check_split(manifest, np.full(12, "")) == []


def test_no_torch_without_a_network():
    code = "import sys, training.audit; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0

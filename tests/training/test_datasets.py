"""Everyone's layout becomes the same table, or one clear sentence."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from training.data.datasets.folders import read_class_folders
from training.data.datasets.ham10000 import read_ham10000
from training.data.datasets.pad_ufes_20 import read_pad_ufes_20
from training.data.datasets.registry import display_name, load_manifest
from training.data.manifest import MISSING, Manifest, read_manifest_csv
from training.errors import DataError

REAL_DATA = Path(os.environ.get("DERMCAPTURE_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def put_photo(path: Path, size: tuple[int, int] = (40, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "tan").save(path)


@pytest.fixture
def pad(tmp_path: Path) -> Path:
    rows = ["PAT_1,10,1,ARM,NEV,PAT_1_10_1.png,2.0,FEMALE,40", "PAT_1,11,2,FACE,MEL,PAT_1_11_2.png,2.0,FEMALE,40",
            "PAT_2,12,3,NOSE,BCC,PAT_2_12_3.png,,MALE,70"]  # fmt: skip
    header = "patient_id,lesion_id,n,region,diagnostic,img_id,fitspatrick,gender,age"
    (tmp_path / "metadata.csv").write_text("\n".join([header, *rows]))
    put_photo(tmp_path / "imgs_part_1" / "PAT_1_10_1.png")
    put_photo(tmp_path / "imgs_part_2" / "PAT_1_11_2.png")
    put_photo(tmp_path / "imgs_part_3" / "PAT_2_12_3.jpg")
    put_photo(tmp_path / "masks" / "PAT_1_10_1.png")
    return tmp_path


def test_pad_ufes_20_in_the_publishers_layout(pad):
    manifest = load_manifest(pad)
    assert list(manifest.table["lesions"]) == [("NEV",), ("MEL",), ("BCC",)]
    assert list(manifest.table["group"]) == ["PAT_1", "PAT_1", "PAT_2"]
    assert list(manifest.table["skin_tone"]) == ["2.0", "2.0", ""]
    assert [Path(path).is_file() for path in manifest.table["path"]] == [True] * 3
    assert Path(manifest.table["path"][0]).parent.name == "imgs_part_1"
    assert manifest.table["mask"][0].endswith("masks/PAT_1_10_1.png")
    assert manifest.table["mask"][1] == ""
    assert manifest.lesion_labels == ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")


def test_a_partial_copy_is_used_and_said(pad, capsys):
    (pad / "imgs_part_1" / "PAT_1_10_1.png").unlink()
    (pad / "masks" / "PAT_1_10_1.png").rename(pad / "masks" / "PAT_1_10_1_mask.png")
    assert len(read_pad_ufes_20(pad)) == 2
    assert "1 of 3 photos" in capsys.readouterr().err


def test_ham10000_in_the_publishers_layout(tmp_path):
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    rows = ["HAM_1,ISIC_1,nv,histo,30.0,male,back", "HAM_1,ISIC_2,nv,histo,30.0,male,unknown"]
    (tmp_path / "HAM10000_metadata").write_text("\n".join([header, *rows]))
    put_photo(tmp_path / "HAM10000_images_part_1" / "ISIC_1.jpg")
    put_photo(tmp_path / "HAM10000_images_part_2" / "ISIC_2.jpg")
    manifest = load_manifest(tmp_path)
    assert list(manifest.table["group"]) == ["HAM_1", "HAM_1"]
    np.testing.assert_array_equal(manifest.location_targets(), [0, MISSING])
    assert display_name("nv") == "Melanocytic naevus"


def test_class_folders(tmp_path):
    for name in ("acne/1.jpg", "acne/deep/2.png", "wheal/3.JPG", ".hidden/4.jpg"):
        put_photo(tmp_path / name)
    manifest = load_manifest(tmp_path)
    assert manifest.counts() == {"acne": 2, "wheal": 1}
    assert manifest.table["group"].nunique() == 3


def test_csv_round_trip_keeps_every_cell(tmp_path):
    rows = [
        {
            "path": "a.jpg",
            "lesions": "crust;ulcer",
            "location": "leg",
            "group": "p1",
            "age": "40",
            "split": "train",
        },
        {
            "path": "b.jpg",
            "lesions": "wheal",
            "location": "",
            "group": "p2",
            "box": "1 2 3 4",
            "split": "test",
        },
    ]
    first = Manifest.from_rows("set", rows, root=tmp_path)
    first.write_csv(tmp_path / "manifest.csv")
    again = read_manifest_csv(tmp_path / "manifest.csv", name="set")
    pd.testing.assert_frame_equal(first.table, again.table)
    assert again.lesion_labels == ("crust", "ulcer", "wheal")
    np.testing.assert_array_equal(again.lesion_targets(), [[1, 1, 0], [0, 0, 1]])
    assert not again.single_label
    assert "a.jpg,crust;ulcer,leg" in (tmp_path / "manifest.csv").read_text()


def test_fingerprint_follows_the_content_and_not_the_place(tmp_path):
    for folder in ("one", "two"):
        put_photo(tmp_path / folder / "a.png")
        (tmp_path / folder / "manifest.csv").write_text("path,lesions\na.png,acne\n")
    one, two = (read_manifest_csv(tmp_path / folder / "manifest.csv") for folder in ("one", "two"))
    assert one.fingerprint() == two.fingerprint()
    put_photo(tmp_path / "two" / "a.png", (80, 40))
    assert one.fingerprint() != two.fingerprint()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\na.jpg,acne\n", "lacks the column 'lesions'"),
        ("path,lesions\n", "holds no photo"),
        ("", "not a CSV table"),
        ("path,lesions\na.jpg,\n", "is not a label"),
        ("path,lesions,group,split\na.jpg,x,p1,train\nb.jpg,x,p1,test\n", "group 'p1' stands in 2 splits"),
        ("path,lesions,split\na.jpg,x,training\n", "split 'training' is unknown"),
    ],
)
def test_a_bad_manifest_gets_one_sentence(tmp_path, text, words):
    (tmp_path / "photos.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        load_manifest(tmp_path / "photos.csv")


def test_an_unknown_label_is_named_with_the_valid_ones(tmp_path):
    with pytest.raises(DataError, match=r"lesion 'mole' is not a label; valid are acne, wheal"):
        Manifest.from_rows(
            "x", [{"path": "a", "lesions": "mole"}], root=tmp_path, lesion_labels=["acne", "wheal"]
        )


def test_missing_columns_and_photos_of_published_sets(pad):
    (pad / "metadata.csv").write_text("patient_id,diagnostic\n1,NEV\n")
    with pytest.raises(DataError, match="lacks the column 'img_id'"):
        read_pad_ufes_20(pad)
    (pad / "metadata.csv").write_text("patient_id,diagnostic,img_id,region\n1,NEV,no.png,ARM\n")
    with pytest.raises(DataError, match="holds none of the 1 photos"):
        load_manifest(pad)
    (pad / "metadata.csv").write_text("patient_id,diagnostic,img_id,region\n1,WART,PAT_1_10_1.png,ARM\n")
    with pytest.raises(DataError, match="diagnostic 'WART' is not known"):
        load_manifest(pad)


def test_a_path_that_is_not_there_names_what_is_valid(tmp_path):
    with pytest.raises(DataError, match="no such file or folder; valid are 'phantom'"):
        load_manifest(tmp_path / "nothing")
    with pytest.raises(DataError, match="at least two sub-folders"):
        read_class_folders(tmp_path)


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real photos are not here (set DERMCAPTURE_REAL_DATA)")
def test_real_data_sets_read_whole():
    pad = load_manifest(REAL_DATA / "pad_ufes_20")
    assert (len(pad), pad.table["group"].nunique(), len(pad.location_labels)) == (583, 454, 14)
    ham = read_ham10000(REAL_DATA / "ham10000")
    assert (len(ham), ham.table["group"].nunique(), len(ham.location_labels)) == (7966, 5916, 14)
    assert (ham.table["mask"] != "").all()

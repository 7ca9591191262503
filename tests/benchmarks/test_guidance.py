"""The guidance benchmark counts what it degrades, and measures against the mask."""

import json

import cv2
import numpy as np
import pytest

from benchmarks.guidance import cropped_to_edge, degradations, main, mask_box, measure
from tests.capture_app.test_quality import SIZE, draw_lesion
from training.data.manifest import read_manifest_csv
from training.errors import DataError


@pytest.fixture
def photos(tmp_path):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (SIZE // 2, SIZE // 2), int(0.16 * SIZE), 255, -1)
    rows = ["path,lesions,mask"]
    for seed in range(2):
        cv2.imwrite(str(tmp_path / f"{seed}.png"), draw_lesion(seed=seed)[..., ::-1])
        cv2.imwrite(str(tmp_path / f"{seed}-mask.png"), mask)
        rows.append(f"{seed}.png,tumour,{seed}-mask.png")
    (tmp_path / "photos.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "photos.csv"


def test_clean_photos_pass_degraded_ones_do_not_and_the_lesion_is_where_the_mask_says(photos):
    result = measure(read_manifest_csv(photos), progress=False)
    rows = {row["condition"]: row for row in result["rows"]}
    assert rows["as they are"]["passed"] == 1
    assert rows["darkened, values x 0.2"]["light_amiss"] == 1
    assert rows["blurred, sigma 0.8% of the side"]["focus_amiss"] == 1
    assert rows["lesion cut by the left edge"]["framing_amiss"] == 1
    assert result["lesion_found"]["both"] == 1


def test_the_result_says_where_it_comes_from(photos, tmp_path, capsys):
    out = tmp_path / "guidance.json"
    assert main([str(photos), "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["data"]["fingerprint"] == read_manifest_csv(photos).fingerprint()
    assert str(tmp_path) not in out.read_text()
    assert "as they are" in capsys.readouterr().out


def test_photos_without_masks_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), draw_lesion())
    (tmp_path / "photos.csv").write_text("path,lesions\na.png,tumour\n")
    with pytest.raises(DataError, match="no lesion mask"):
        measure(read_manifest_csv(tmp_path / "photos.csv"), progress=False)


def test_degradations_keep_the_photo_and_its_size():
    image = draw_lesion()
    kept = image.copy()
    for degrade in degradations().values():
        assert degrade(image).shape == image.shape
    assert np.array_equal(image, kept)


def test_the_mask_box_is_exclusive_at_its_end():
    mask = np.zeros((9, 9), np.uint8)
    assert mask_box(mask) is None
    mask[2:5, 3:8] = 255
    assert mask_box(mask) == (3, 2, 8, 5)
    assert cropped_to_edge(np.zeros((9, 9, 3), np.uint8), (7, 2, 9, 5)) is None

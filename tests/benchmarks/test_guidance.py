"""The guidance benchmark: defects do what they say, limits let clean photos pass, figures count what was seen."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.metrics import roc_auc_score

from benchmarks import guidance_locator
from benchmarks.guidance import main, measure
from benchmarks.guidance_defects import DEFECTS, Defect, defects, draw_phantom, spoil
from benchmarks.guidance_limits import (
    ALLOWANCES,
    ALLOWED,
    TrainingPart,
    limits_table,
    tightened,
    what_each_allowance_costs,
)
from benchmarks.guidance_locator import Locator, train_locator, training_phantom, write_weights
from benchmarks.guidance_parts import MaskedPhoto, masked_photos, on_training_side
from benchmarks.guidance_scores import is_framed, roc_area, summarise, tables
from benchmarks.guidance_step import loss_of
from benchmarks.guidance_vary import Sheet, vary
from capture_app.frame import Frame
from capture_app.locate import read_scene
from capture_app.locator import lesion_probability, open_network, opponent_planes
from capture_app.quality import limits, measures_of
from tests.capture_app.test_quality import SIZE, draw_lesion
from training.data.manifest import read_manifest_csv
from training.errors import DataError


def write_photos(folder: Path) -> Path:
    """A manifest of four drawn photos with masks, one a patient."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (SIZE // 2, SIZE // 2), int(0.16 * SIZE), 255, -1)
    rows = ["path,lesions,mask,group"]
    for seed in range(4):
        cv2.imwrite(str(folder / f"{seed}.png"), draw_lesion(seed=seed)[..., ::-1])
        cv2.imwrite(str(folder / f"{seed}-mask.png"), mask)
        rows.append(f"{seed}.png,tumour,{seed}-mask.png,patient {seed}")
    (folder / "photos.csv").write_text("\n".join(rows) + "\n")
    return folder / "photos.csv"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def photo(photos: Path) -> MaskedPhoto:
    return next(masked_photos(read_manifest_csv(photos)))


def test_a_slip_of_the_hand_that_drew_a_mask_is_not_the_lesion(tmp_path: Path):
    table = write_photos(tmp_path)
    clean = next(masked_photos(read_manifest_csv(table)))
    mask = cv2.imread(str(tmp_path / "0-mask.png"))
    cv2.circle(mask, (SIZE - 8, 8), SIZE // 60, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "0-mask.png"), mask)
    assert np.array_equal(next(masked_photos(read_manifest_csv(table))).mask, clean.mask)
    cv2.circle(mask, (SIZE - 60, 60), SIZE // 20, (255, 255, 255), -1)
    cv2.imwrite(str(tmp_path / "0-mask.png"), mask)
    two_spots = next(masked_photos(read_manifest_csv(table)))
    assert two_spots.mask.sum() > 1.05 * clean.mask.sum()
    assert two_spots.box[1] < clean.box[1]
    assert two_spots.box[2] < two_spots.mask.shape[1] - 16


@pytest.mark.parametrize("defect", [defect for defect in defects() if defect.kind != "off-centring"], ids=str)
def test_a_defect_moves_the_measure_of_its_fault_the_bad_way(photo: MaskedPhoto, defect: Defect):
    fault = DEFECTS[defect.kind][0]
    sign = 1 if limits()[fault].worse == "above" else -1
    spoilt = spoil(photo, defect, 0)
    assert spoilt is not None
    assert spoilt.shape == photo.rgb.shape
    clean = measures_of(read_scene(photo.rgb))[fault]
    assert sign * measures_of(read_scene(spoilt))[fault] > sign * clean
    assert np.array_equal(spoil(photo, defect, 0), spoilt)


def test_aiming_beside_needs_room_and_then_moves_the_lesion_as_far_as_it_says(photo: MaskedPhoto):
    painted = replace(photo, rgb=np.repeat(photo.mask[..., None], 3, axis=2).astype(np.uint8) * 255)
    moved = []
    for seed in range(6):
        seen = spoil(painted, Defect("off-centring", 0.25), seed)
        assert seen is not None
        x0, y0, x1, y1 = replace(photo, mask=seen[..., 0] > 127).box
        side = seen.shape[0]
        moved.append(max(abs(x0 + x1 - side), abs(y0 + y1 - side)) / 2 / side)
    assert moved == pytest.approx([0.25] * 6, abs=0.01)
    found = [spoil(photo, Defect("off-centring", 0.25), seed) for seed in range(6)]
    measured = [measures_of(read_scene(rgb))["off_centre"] for rgb in found if rgb is not None]
    assert len(measured) == 6
    assert min(measured) > limits()["off_centre"].advise
    large = MaskedPhoto(photo.rgb, np.ones_like(photo.mask), "p", "")
    assert spoil(large, Defect("distance", 1.5), 0) is None


def test_a_phantom_is_the_same_each_time_and_its_mask_says_where_it_lies():
    clean, aside = draw_phantom(3, 4, None), draw_phantom(3, 4, Defect("off-centring", 0.3))
    assert np.array_equal(clean.rgb, draw_phantom(3, 4, None).rgb)
    assert is_framed(clean)
    assert not is_framed(aside)


def test_patients_keep_their_side_and_a_third_is_kept_for_measuring():
    sides = [on_training_side(f"PAT_{n}") for n in range(3000)]
    assert np.mean(sides) == pytest.approx(2 / 3, abs=0.03)
    assert on_training_side("PAT_1") == on_training_side("PAT_1")


def test_limits_let_clean_photos_pass_and_stop_where_none_lies(photos: Path):
    own = list(masked_photos(read_manifest_csv(photos)))
    looks = measure(own, 6, "training", None, kinds=[Defect("darkness", 3.0)], progress=False)
    part = TrainingPart.of(looks)
    table = json.loads(limits_table(part))
    costs = what_each_allowance_costs(part)
    assert [row["allowed"] for row in costs] == list(ALLOWANCES)
    assert all(row[source]["spoilt told"] == 1 for row in costs for source in looks)
    for row in costs:
        assert row["photos"]["false alarms, dark skin"] is None  # Nobody's skin is known.
        light, dark = (row["phantoms"][f"false alarms, {skin} skin"] for skin in ("light", "dark"))
        of_six_tones = 6 * (1 - row["phantoms"]["clean passed"])
        assert round(of_six_tones - 2 * light - 3 * dark, 6) in (0, 1)  # The third tone is neither.
    printed = tables({**summarise(looks), "allowances": costs})
    heads = next(line for line in printed.splitlines() if line.startswith("| allowed to fail"))
    assert "false alarms, dark skin, phantoms" in heads
    assert "false alarms, dark skin, photos" not in heads
    assert table["set_on"] == {"photos": 4, "phantoms": 6}
    for fault, row in table["limits"].items():
        if fault in ("moving", "cut_off", "too_close"):
            continue
        sign = 1 if row["worse"] == "above" else -1
        for some in looks.values():
            clean = [sign * look.measures[fault] for look in some if look.defect is None]
            assert max(clean) <= sign * row["advise"] + 0.01 * abs(row["advise"])
        if row["block"] is not None:
            assert sign * row["block"] >= sign * row["advise"]
    dark = [look.measures["too_dark"] for own in looks.values() for look in own if look.defect is not None]
    assert min(dark) > table["limits"]["too_dark"]["advise"]


def test_the_room_for_false_alarms_goes_where_it_tells_most():
    """One fault is told apart by itself; another overlaps; of the third nothing is ever spoilt."""
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(1000, 3))
    spoilt = clean + np.repeat([[50, 0, 0], [0, 2.5, 0]], 500, axis=0)
    alone = np.quantile(clean[:, 1], 1 - ALLOWED)
    for copies in (1, 2):
        edges = tightened([clean] * copies, [spoilt] * copies, ALLOWED)
        assert edges[0] == clean[:, 0].max()
        assert edges[1] == pytest.approx(alone, abs=0.02)
        assert edges[2] == clean[:, 2].max()
        assert (clean > edges).any(axis=1).mean() <= ALLOWED


def test_figures_count_what_was_looked_at(photos: Path):
    own = list(masked_photos(read_manifest_csv(photos)))
    looks = measure(
        own, 2, "test", None, kinds=[Defect("darkness", 3.0), Defect("blur", 0.01)], progress=False
    )
    record = summarise(looks)
    of_photos = record["sources"]["photos"]
    assert of_photos["unspoilt"] == of_photos["of them well framed, and so clean"] == 4
    assert of_photos["defects"]["darkness"]["area"] == 1
    assert of_photos["defects"]["darkness"]["spoilt"] == 4
    assert of_photos["defects"]["glare"]["area"] is None
    assert of_photos["defects"]["darkness"]["told"]["value"] == 1
    assert of_photos["spoilt photos advised on or stopped"]["n"] == 8
    assert of_photos["lesion found: centre and box"]["value"] == 1
    assert "photos whose answer changed" not in of_photos
    printed = tables(record)
    assert "| darkness | 1.000" in printed
    assert "none fits" in printed


def test_the_area_by_ranks_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    for size in (2, 9, 300):
        scores, truth = rng.integers(0, 6, size).astype(float), rng.random(size) < 0.4
        truth[:2] = False, True
        assert roc_area(scores, truth) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert np.isnan(roc_area(np.ones(3), np.ones(3, bool)))


def test_the_result_says_where_it_comes_from(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "guidance.json"
    assert main([str(photos), "--phantoms", "1", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["data"]["fingerprint"] == read_manifest_csv(photos).fingerprint()
    assert str(tmp_path) not in out.read_text()
    assert "ROC area" in capsys.readouterr().out
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_photos_without_masks_are_refused(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), draw_lesion())
    (tmp_path / "photos.csv").write_text("path,lesions\na.png,tumour\n")
    with pytest.raises(DataError, match="too few photos with a lesion mask"):
        main([str(tmp_path / "photos.csv")])


def test_onnxruntime_runs_the_locator_that_torch_trained():
    torch.manual_seed(0)
    network = Locator()
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean = torch.randn_like(norm.running_mean) * 0.1
            norm.running_var = torch.rand_like(norm.running_var) + 0.5
    network.eval()
    frame = Frame(np.random.default_rng(0).integers(0, 256, (240, 321, 3), np.uint8))
    planes = torch.from_numpy(opponent_planes(frame.fine, frame.cells))[None]
    with torch.inference_mode():
        looks = [network(planes.flip(axes)).sigmoid().flip(axes) for axes in ([], [-1], [-2], [-1, -2])]
    found = lesion_probability(frame, open_network(network.arrays()))
    assert found.shape == frame.cells.shape[:2]
    assert np.allclose(found, torch.stack(looks).mean(0)[0].numpy(), atol=1e-5)


def test_training_the_locator_repeats_itself_and_its_file_holds_it(photo: MaskedPhoto, tmp_path: Path):
    first, second = (train_locator([photo], steps=2, seed=3, phantoms=2, progress=False) for _ in range(2))
    write_weights(first, {"what": "a test"}, tmp_path / "locator.safetensors")
    stored = load_file(tmp_path / "locator.safetensors")
    assert stored.keys() == second.arrays().keys()
    for name, array in second.arrays().items():
        assert stored[name].dtype == np.float16
        assert np.allclose(stored[name], array, rtol=1e-3, atol=1e-7)


def test_an_interrupted_training_of_the_locator_goes_on_to_the_same_weights(
    photo: MaskedPhoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    checkpoint, calls = tmp_path / "locator.checkpoint.pt", []

    def interrupted(*args: torch.Tensor) -> torch.Tensor:
        calls.append(len(calls))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return loss_of(*args)

    def train(steps: int, path: Path | None) -> Locator:
        return train_locator([photo], steps=steps, seed=3, phantoms=2, checkpoint=path, progress=False)

    monkeypatch.setattr(guidance_locator, "SAVE_STEPS", 1)
    monkeypatch.setattr(guidance_locator, "loss_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(4, checkpoint)
    resumed = train(4, checkpoint)
    assert len(calls) == 3 + 2  # The third step, which failed, and the fourth.
    with pytest.raises(DataError, match=r"another training.*delete it"):
        train(5, checkpoint)
    for name, array in train(4, None).arrays().items():
        assert np.array_equal(resumed.arrays()[name], array)


def test_a_photo_is_varied_from_near_to_far_and_its_mask_goes_with_the_lesion(photo: MaskedPhoto):
    rng, sheet, extents = np.random.default_rng(0), Sheet.of(photo), []
    for _ in range(60):
        planes, mask = vary(sheet, rng, [sheet])
        assert planes.shape == (3, 120, 120)
        assert mask.shape == (60, 60)
        assert 0 <= mask.min() < mask.max() <= 1
        columns = np.flatnonzero((mask > 0.5).any(axis=0))
        extents.append((columns[-1] + 1 - columns[0]) / 60)
    assert min(extents) < 0.12
    assert max(extents) > 0.4


def test_the_painted_skin_has_no_lesion_and_keeps_the_rest(photo: MaskedPhoto):
    sheet = Sheet.of(photo)
    with_lesion, without = sheet.photo[0].astype(int), sheet.skin[0].astype(int)
    inside = with_lesion[..., 3] > 127
    assert with_lesion[inside][:, 0].mean() < 140
    assert without[inside][:, 0].mean() == pytest.approx(205, abs=8)
    far_off = cv2.dilate(inside.astype(np.uint8), np.ones((31, 31))) == 0
    assert np.array_equal(with_lesion[far_off][:, :3], without[far_off][:, :3])


def test_training_phantoms_are_drawn_from_near_and_far():
    extents = []
    for index in range(12):
        x0, y0, x1, y1 = training_phantom(index).box
        extents.append(max(x1 - x0, y1 - y0) / 384)
    assert min(extents) < 0.2
    assert max(extents) > 0.25


def test_the_loss_asks_for_the_mask_and_for_its_box():
    mask = torch.zeros(1, 30, 30)
    mask[:, 10:20, 8:16] = 1
    right = 20 * mask - 10
    spur, hole = right.clone(), right.clone()
    spur[:, 15, 16:21] = 10
    hole[:, 13:14, 9:14] = -10
    assert loss_of(right, mask) < 0.01
    assert loss_of(spur, mask) > loss_of(hole, mask) > loss_of(right, mask)

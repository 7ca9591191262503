"""The correction benchmark: known amounts, paired gains, each photo by the network that held it out."""

import cv2
import numpy as np
import pytest

from benchmarks.correction import read_at, score_photo
from benchmarks.correction_conditions import CLEAN, CONDITIONS, curve, expose, stored, widen
from benchmarks.correction_methods import AS_IS, BALANCES, METHODS, correct, measure_reference
from benchmarks.correction_plots import plot_gains, plot_strip
from benchmarks.correction_report import format_table
from benchmarks.correction_scores import gain_where_changed, summarise
from tests.capture_app.test_quality import draw_lesion

RAMP = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)


@pytest.fixture(scope="module")
def reference():
    return measure_reference([draw_lesion(seed=seed) for seed in range(3)], progress=False)


def test_a_stop_is_a_doubling_of_light_and_white_is_cut_off():
    brighter = expose(RAMP, (1, 1, 1))[0, :, 0]
    assert brighter[[-1, 200]] == pytest.approx(255, abs=0.01)
    assert brighter[100] == pytest.approx(
        137.9, abs=0.5
    )  # 0.1274 of linear light, doubled, by sRGB's formula
    assert np.abs(expose(RAMP, (0, 0, 0)) - RAMP).max() < 0.01
    assert np.abs(curve(RAMP, 1.0) - RAMP).max() < 0.01


def test_every_condition_keeps_the_photo_repeats_itself_and_changes_all_but_the_clean_one():
    photo = draw_lesion()
    kept = photo.copy()
    for condition in CONDITIONS.values():
        worse, again = (condition.make(photo, np.random.default_rng(1)) for _ in range(2))
        assert worse.dtype == np.uint8
        assert np.array_equal(worse, again)
        assert (condition is CLEAN) == (worse is photo)
    assert np.array_equal(photo, kept)


def test_storing_adds_little():
    photo = draw_lesion()
    assert np.abs(stored(photo.astype(float), np.random.default_rng(0)).astype(int) - photo).mean() < 4


@pytest.mark.parametrize(
    ("factor", "offset"), [(1.0, (0, 0)), (2.0, (0, 0)), (2.0, (-0.2, 0.25)), (1.5, (0.1, 0))]
)
def test_a_wider_view_holds_the_photo_untouched_where_it_was_asked_to(factor, offset):
    photo = draw_lesion()
    height, width = photo.shape[:2]
    wide = widen(photo, factor, offset)
    assert wide.shape == (round(height * factor), round(width * factor), 3)
    x0 = round((wide.shape[1] - width) / 2 + offset[0] * wide.shape[1])
    y0 = round((wide.shape[0] - height) / 2 + offset[1] * wide.shape[0])
    assert np.array_equal(wide[y0 : y0 + height, x0 : x0 + width], photo)


def test_a_photo_cannot_be_moved_out_of_the_wider_view():
    with pytest.raises(ValueError, match="leaves it"):
        widen(draw_lesion(), 1.5, (0.3, 0))


@pytest.mark.parametrize("name", list(BALANCES))
def test_a_white_balance_undoes_a_cast(name, reference):
    photo = draw_lesion()
    tinted = np.clip(expose(photo, (0.4, 0, -0.4)), 0, 255).round().astype(np.uint8)
    own = measure_reference([photo], progress=False)
    undone = correct(tinted, own)[name]
    assert np.abs(undone.astype(int) - photo).mean() < 0.5 * np.abs(tinted.astype(int) - photo).mean()


def test_what_a_method_leaves_alone_is_the_same_photo_and_is_scored_once(reference):
    photo = draw_lesion()
    sent = []

    def predict(images):
        sent.extend(images)
        return np.array([[image.mean() / 255, 1 - image.mean() / 255] for image in images])

    scores, changed = score_photo(predict, photo, 0, reference, [CLEAN, CONDITIONS["4 stops darker"]])
    assert scores.shape == (2, len(METHODS), 2)
    unchanged = ~changed
    assert unchanged[:, METHODS.index(AS_IS)].all()
    assert not changed[0, METHODS.index("gamma, suggested")]
    assert changed[1, METHODS.index("gamma, suggested")]
    assert (scores[:, :1] == scores)[unchanged].all()
    assert len(sent) == len({id(image) for image in sent}) < 2 * len(METHODS)


def effects(gain: float, n: int = 40):
    """Two conditions of one family besides the clean one; the second method adds `gain` to the true label."""
    rng = np.random.default_rng(0)
    actual = rng.integers(0, 2, n)
    own = rng.uniform(0.2, 0.6, (n, 3, 1)).repeat(2, 2)
    own[:, 1:, 1] += gain
    scores = np.where(np.arange(2) == actual[:, None, None, None], own[..., None], 0.5)
    changed = np.zeros((n, 3, 2), bool)
    changed[:, 1:, 1] = True
    return summarise(
        scores,
        changed,
        actual,
        np.arange(n) // 2,
        conditions=("clean", "a", "b"),
        families=("clean", "dark", "dark"),
        methods=(AS_IS, "better"),
    )


@pytest.mark.parametrize(("gain", "verdict"), [(0.2, "helps"), (-0.2, "harms"), (0.0, "cannot be told")])
def test_a_gain_is_found_with_its_sign_and_pooled_over_its_family(gain, verdict):
    found = {(effect.condition, effect.method): effect for effect in effects(gain)}
    assert found["dark, mean of all", "better"].gain["true_probability"][0] == pytest.approx(gain)
    assert found["dark, mean of all", "better"].verdict == found["a", "better"].verdict == verdict
    assert found["clean", "better"].gain["accuracy"] == (0, 0, 0)
    assert found["clean", "better"].level["same_answer"] == 1
    assert found["a", "better"].changed_share == 1
    assert ("clean, mean of all", "better") not in found


def test_the_table_has_a_row_a_correction_and_the_pictures_are_drawn(reference):
    table = format_table(effects(0.2), (AS_IS, "better"))
    assert table.count("| better |") == 4
    assert "+20.0 (+20.0 to +20.0)" in table
    assert plot_strip(draw_lesion(), reference).startswith(b"\x89PNG")


def test_the_gains_are_drawn_for_the_methods_that_matter():
    n, c = 12, 3
    rng = np.random.default_rng(0)
    found = summarise(
        rng.uniform(0, 1, (n, c, len(METHODS), 2)),
        np.ones((n, c, len(METHODS)), bool),
        np.arange(n) % 2,
        np.arange(n),
        conditions=("clean", "a", "b"),
        families=("clean", "dark", "dark"),
        methods=METHODS,
    )
    assert plot_gains(found, n).startswith(b"\x89PNG")


def test_a_large_photo_is_reduced_and_a_small_one_left(tmp_path):
    for size in (200, 900):
        path = tmp_path / f"{size}.png"
        cv2.imwrite(str(path), np.full((size, size, 3), 90, np.uint8))
        assert min(read_at(str(path)).shape[:2]) == min(size, 300)


def test_the_gain_where_offered_is_of_the_changed_photos_alone():
    scores = np.full((4, 2, 2, 2), 0.5)
    scores[0, 0, :, 0] = 0.4, 0.9
    scores[1, 1, :, 0] = 0.4, 0.6
    scores[3, 1, 1, 0] = 0.0
    changed = np.zeros((4, 2), bool)
    changed[0, 0] = changed[1, 1] = True
    found = gain_where_changed(scores, changed, np.zeros(4, int), np.array(["a", "b", "c", "d"]), 1)
    assert (found["photos"], found["patients"]) == (2, 2)
    assert found["accuracy"][0] == 1
    assert found["true_probability"] == pytest.approx((0.35, 0.2, 0.5))

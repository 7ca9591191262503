"""The README's rows of a reproduction: every number from the results file, and one sentence for a wrong file."""

import json

import pytest

from benchmarks.reproduced import main
from training.errors import UserError


def measured(value, low, high):
    return {"value": value, "low": low, "high": high}


RESULTS = {
    "about": {
        "paper": "Mishra et al. 2019",
        "data": {"name": "made", "fingerprint": "abc", "photos": 12},
        "scale": "small",
        "networks": 4,
        "training_seconds": 90,
        "machine": {"gpu": None, "cpu": "a processor", "date": "2026-01-02T03:04:05+00:00"},
    },
    "table_2": {
        "rows": [{"accuracy": measured(0.4, 0.3, 0.5)}, {"accuracy": measured(0.55, 0.4, 0.7)}],
        "differ": True,
    },
    "table_4": {
        "gap": measured(0.2, 0.1, 0.3),
        "rows": {"resampled": {"macro_recall_difference": measured(0.05, -0.01, 0.1)}},
    },
    "figure_14": {"curves": []},
    "figure_15": {
        "curves": [
            {
                "name": "gamma",
                "condition": "as they are",
                "verdict": "inside the noise",
                "accuracy_change": measured(0.01, -0.02, 0.03),
            }
        ]
    },
    "recipe_taken_apart": {
        "words": {"recipe": "the recipe", "plain": "plain training"},
        "rows": [
            {
                "arm": "recipe",
                "balanced_accuracy": measured(0.5, 0.4, 0.6),
                "balanced_accuracy_difference": None,
            },
            {
                "arm": "plain",
                "balanced_accuracy": measured(0.6, 0.5, 0.7),
                "balanced_accuracy_difference": measured(0.1, 0.04, 0.16),
            },
        ],
    },
}


def test_rows_are_printed_and_numbers_kept(tmp_path, capsys):
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    main([str(tmp_path), "--out", str(tmp_path / "kept.json")])
    shown = capsys.readouterr().out
    assert "12 photos, scale small, 4 networks in 1.5 minutes on a processor, 2026-01-02" in shown
    assert "| 40.0 to 55.0 %; they differ clearly |" in shown
    assert "accuracy exceeds macro recall by +20.0 points (+10.0 to +30.0)" in shown
    assert "inside the noise: accuracy +1.0 points (-2.0 to +3.0)" in shown
    assert "plain training | balanced accuracy 60.0 %, less the recipe's +10.0 points" in shown
    assert json.loads((tmp_path / "kept.json").read_text()) == RESULTS


def test_several_reproductions_stand_side_by_side(tmp_path, capsys):
    other = json.loads(json.dumps(RESULTS))
    other["about"]["data"]["name"] = "other"
    other["recipe_taken_apart"] = None
    other["table_2"]["differ"] = False
    for name, results in (("made", RESULTS), ("other", other)):
        (tmp_path / name).write_text(json.dumps(results))
    main([str(tmp_path / "made"), str(tmp_path / "other")])
    shown = capsys.readouterr().out
    assert "| the paper | made | other |" in shown
    assert "they differ clearly | 40.0 to 55.0 %; they do not differ by more than noise |" in shown
    assert "| the recipe | balanced accuracy 50.0 % |  |" in shown
    with pytest.raises(UserError, match="with --out just one"):
        main([str(tmp_path / "made"), str(tmp_path / "other"), "--out", str(tmp_path / "kept.json")])
    other["about"]["paper"] = "Liao & Luo 2017"
    (tmp_path / "other").write_text(json.dumps(other))
    with pytest.raises(UserError, match="name reproductions of one paper"):
        main([str(tmp_path / "made"), str(tmp_path / "other")])


def test_what_is_no_reproduction_gets_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"results\.json is not there"):
        main([str(tmp_path)])
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(UserError, match=r"is not what .* wrote"):
        main([str(tmp_path)])


def clear(value, low, high, told):
    return measured(value, low, high) | {"clear": told}


def test_the_second_papers_rows_have_both_maps_and_every_difference(tmp_path, capsys):
    maps = {"lesion": measured(0.5, 0.4, 0.6), "mtl": measured(0.55, 0.45, 0.65)}
    results = {
        "about": RESULTS["about"] | {"paper": "Liao & Luo 2017"},
        "table_1": {
            "arms": ["lesion", "mtl"],
            "words": {"lesion": "ResNet", "mtl": "MTL"},
            "map_class": maps,
            "map_image": maps,
            "paper": {"map_class": {"lesion": 0.726, "mtl": 0.757}},
            "differences": [{"words": "MTL less ResNet", "map_class": clear(0.05, 0.01, 0.09, True)}],
        },
        "figure_3": {"differences": [{"words": "MTL less site", "top_1": clear(0.01, -0.02, 0.04, False)}]},
        "gains": {"rows": [{}, {}, {}], "rank_correlation": {"highest": measured(0.5, -0.5, 1.0)}},
        "coupling": {"change": measured(0.03, 0.01, 0.05)},
        "verdict": {"word": "holds"},
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    main([str(tmp_path), "--out", str(tmp_path / "kept.json")])
    printed = capsys.readouterr().out
    for row in (
        "| ResNet: mAP-class 0.726 | mAP-class 0.500 (0.400 to 0.600), mAP-image 0.500 |",
        "| MTL less ResNet | mAP-class +5.0 points (+1.0 to +9.0); told from noise |",
        "| Fig. 3, top-1 body site: MTL less site | +1.0 points (-2.0 to +4.0); not told from noise |",
        "rank correlation +0.50 (-0.50 to +1.00) over 3 lesions",
        "| MTL's gain, strongest coupling less weakest | mAP-class +3.0 points (+1.0 to +5.0) |",
        "| does the body site help to name the lesion? | holds |",
    ):
        assert row in printed
    assert json.loads((tmp_path / "kept.json").read_text()) == results

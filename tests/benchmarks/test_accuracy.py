"""The results table says what the cards say."""

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.accuracy import gather, main, table
from training.errors import UserError
from training.models.card import Label, ModelCard, Preprocessing

CARD = ModelCard(
    name="made",
    architecture="resnet18",
    lesion_labels=(Label("a", "A"),),
    preprocessing=Preprocessing(32, decode_min_side=40),
    activation="sigmoid",
    recipe={
        "name": "tiny",
        "architecture": "resnet18",
        "input_size": 32,
        "weights": "some/partial.safetensors",
    },
    data={
        "name": "set",
        "fingerprint": "abc",
        "training_photos": 9,
        "validation_photos": 3,
        "validation_groups": 3,
    },
    metrics={
        "balanced_accuracy": 0.61,
        "balanced_accuracy_interval": [0.5, 0.7],
        "accuracy": 0.66,
        "majority_class": {"label": "a", "accuracy": 0.4, "balanced_accuracy": 0.25},
    },
)


def write(folder: Path, card: ModelCard) -> Path:
    folder.mkdir()
    (folder / "card.json").write_text(card.to_json())
    return folder


def test_rows_are_the_cards_figures(tmp_path, capsys):
    one = write(tmp_path / "one", CARD)
    other = write(tmp_path / "other", dataclasses.replace(CARD, recipe=CARD.recipe | {"weights": "random"}))
    main([str(one), str(other), "--out", str(tmp_path / "out.json")])
    printed = capsys.readouterr().out
    assert "| partial | **0.610** (0.500 to 0.700) | 0.660 |" in printed
    assert "| random | **0.610**" in printed
    assert "| always “a” | none | 0.250 | 0.400 |" in printed
    stored = json.loads((tmp_path / "out.json").read_text())
    assert table(stored) in printed
    assert stored["machine"]["cores"] >= 1


def test_unlike_runs_are_not_compared(tmp_path):
    one = write(tmp_path / "one", CARD)
    other = write(tmp_path / "other", dataclasses.replace(CARD, data=CARD.data | {"fingerprint": "xyz"}))
    with pytest.raises(UserError, match="compare like with like"):
        gather((one, other))
    with pytest.raises(UserError, match=r"has no card\.json"):
        gather((tmp_path,))

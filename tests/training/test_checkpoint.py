import dataclasses
from pathlib import Path

import pytest
import torch

from tests.tiny_model import make_run, tiny_card
from training.errors import CheckpointError
from training.models import checkpoint as module
from training.models.card import Label
from training.models.checkpoint import CARD_FILE, STATE_FILE, WEIGHTS_FILE, load_checkpoint, save_checkpoint


@pytest.fixture
def own_run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", tiny_card(two_heads=True))


def test_what_was_saved_is_loaded(own_run: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(own_run)
    save_checkpoint(tmp_path / "again", loaded.network, loaded.card)
    again = load_checkpoint(tmp_path / "again")
    assert again.card == loaded.card == tiny_card(two_heads=True)
    assert not again.network.training
    first, second = loaded.network.state_dict(), again.network.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_files_of_a_saved_run_are_equal_for_equal_weights(own_run: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(own_run)
    save_checkpoint(tmp_path / "again", loaded.network, loaded.card)
    for name in (WEIGHTS_FILE, CARD_FILE):
        assert (tmp_path / "again" / name).read_bytes() == (own_run / name).read_bytes()


def test_a_write_that_fails_leaves_the_old_run_alone(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in own_run.iterdir()}
    loaded = load_checkpoint(own_run)

    def full_disk(weights: dict[str, torch.Tensor], path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(module, "save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(own_run, loaded.network, dataclasses.replace(loaded.card, name="newer"))
    assert {path.name: path.read_bytes() for path in own_run.iterdir()} == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere is not there; name the folder"):
        load_checkpoint(tmp_path / "nowhere")


def test_a_file_where_a_folder_is_needed(own_run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"card\.json is a file; name the folder"):
        load_checkpoint(own_run / CARD_FILE)


@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE])
def test_a_run_that_lacks_a_file(own_run: Path, name: str) -> None:
    (own_run / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {name}"):
        load_checkpoint(own_run)


def test_an_unfinished_run_names_the_way_to_finish_it(own_run: Path) -> None:
    (own_run / STATE_FILE).write_bytes(b"never opened")
    with pytest.raises(CheckpointError, match=f"--resume {own_run}"):
        load_checkpoint(own_run)


@pytest.mark.parametrize("kept", [0, 5, 4096, -1])
def test_truncated_weights(own_run: Path, kept: int) -> None:
    path = own_run / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="not a safetensors file or is cut short"):
        load_checkpoint(own_run)


def test_weights_of_another_card_are_named(own_run: Path) -> None:
    card = tiny_card()
    card = dataclasses.replace(card, lesion_labels=(*card.lesion_labels, Label("crust", "Crust")))
    (own_run / CARD_FILE).write_text(card.to_json())
    with pytest.raises(CheckpointError, match=r"location_head\.weight is not expected.*and 1 more") as caught:
        load_checkpoint(own_run)
    assert "lesion_head.weight is (3, 512) where (4, 512) is needed" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not valid JSON"),
        ('{"schema_version": 99}', "schema version is 99"),
        ('{"schema_version": 1}', "lacks or misspells"),
    ],
)
def test_a_card_that_cannot_be_read(own_run: Path, text: str, sentence: str) -> None:
    (own_run / CARD_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=sentence):
        load_checkpoint(own_run)


def test_a_card_of_an_unknown_architecture(own_run: Path) -> None:
    card = dataclasses.replace(tiny_card(two_heads=True), architecture="resnet19")
    (own_run / CARD_FILE).write_text(card.to_json())
    with pytest.raises(CheckpointError, match="'resnet19'; valid are resnet18"):
        load_checkpoint(own_run)

"""A trained network and its card: a run's folder, written whole and read without running code from it.

    network = load_checkpoint("runs/demo").network

The folder holds `weights.safetensors` (the state of a `LesionNetwork`), `card.json`, `history.json`, and
`state.pt` only while the run is unfinished.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from training.cli import whole_file, write_text
from training.errors import CheckpointError, ModelFileError, RecipeError
from training.models.card import ModelCard
from training.models.networks import LesionNetwork, build_network

WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.json"
HISTORY_FILE = "history.json"
STATE_FILE = "state.pt"

MOST_KEYS_NAMED = 3


@dataclass(frozen=True)
class Checkpoint:
    """What a finished run left."""

    network: LesionNetwork
    """On the CPU, in evaluation mode."""
    card: ModelCard
    folder: Path


def load_checkpoint(folder: str | PathLike[str]) -> Checkpoint:
    """Read a finished run's network and card.

    Raises:
        CheckpointError: the folder is not there, not a run's, unfinished, damaged, or its weights do not fit
            its card.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise CheckpointError(
            f"{folder} {what}; name the folder that python -m training.fit wrote with --out."
        )
    if (folder / STATE_FILE).exists():
        raise CheckpointError(
            f"{folder} holds an unfinished run; finish it with python -m training.fit --resume {folder}"
        )
    for name in (CARD_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{folder} has no {name}, so it is not the folder of a finished run; "
                "name the one that python -m training.fit wrote with --out."
            )
    card = _read_card(folder / CARD_FILE)
    weights = _read_weights(folder / WEIGHTS_FILE)
    try:
        network = build_network(card.architecture, len(card.lesion_labels), len(card.location_labels))
    except RecipeError as error:
        raise CheckpointError(f"{folder / CARD_FILE}: {error}") from error
    _check_fit(network, weights, folder)
    network.load_state_dict(weights)
    return Checkpoint(network.eval(), card, folder)


def save_checkpoint(folder: str | PathLike[str], network: LesionNetwork, card: ModelCard) -> None:
    """Write the network's weights, then the card: each file whole or not at all."""
    folder = Path(folder)
    weights = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    with whole_file(folder / WEIGHTS_FILE) as temporary:
        save_file(weights, temporary)
    write_text(folder / CARD_FILE, card.to_json())


def _read_card(path: Path) -> ModelCard:
    try:
        return ModelCard.from_json(path.read_text(encoding="utf-8"))
    except ModelFileError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8 text; train again or copy it again.") from error


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a safetensors file or is cut short ({error}); copy it again or train again."
        ) from error


def _check_fit(network: LesionNetwork, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Every tensor that the card's network has, in its shape, and no other."""
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    if wanted == found:
        return
    misfits = [f"{key} is missing" for key in wanted if key not in found]
    misfits += [f"{key} is not expected" for key in found if key not in wanted]
    misfits += [
        f"{key} is {found[key]} where {wanted[key]} is needed"
        for key in wanted
        if key in found and found[key] != wanted[key]
    ]
    more = "" if len(misfits) <= MOST_KEYS_NAMED else f", and {len(misfits) - MOST_KEYS_NAMED} more"
    raise CheckpointError(
        f"{folder / WEIGHTS_FILE} does not fit {CARD_FILE}: {', '.join(misfits[:MOST_KEYS_NAMED])}{more}; "
        "both files must come from one run."
    )

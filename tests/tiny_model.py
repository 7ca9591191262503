"""Makes a network with random weights, small enough for tests: a run's folder, as training would leave it."""

from pathlib import Path

import torch

from export.graph import write_graph
from training.models.card import Activation, Label, ModelCard, Preprocessing
from training.models.checkpoint import load_checkpoint, save_checkpoint
from training.models.networks import build_network

LESIONS = (Label("acne", "Acne"), Label("ulcer", "Ulcer"), Label("wheal", "Wheal"))
LOCATIONS = (Label("face", "Face"), Label("hand", "Hand"), Label("scalp", "Scalp"), Label("trunk", "Trunk"))


def tiny_card(
    *,
    two_heads: bool = False,
    activation: Activation = "sigmoid",
    temperature: float = 1.0,
    crop_fraction: float = 0.875,
) -> ModelCard:
    return ModelCard(
        name="tiny",
        architecture="resnet18",
        lesion_labels=LESIONS,
        location_labels=LOCATIONS if two_heads else (),
        preprocessing=Preprocessing(input_size=64, decode_min_side=80, crop_fraction=crop_fraction),
        activation=activation,
        temperature=temperature,
        synthetic=True,
    )


def make_run(folder: Path, card: ModelCard, seed: int = 0) -> Path:
    """A finished run of `card.architecture`, its weights drawn from `seed`, its heads far from undecided."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(card.architecture, len(card.lesion_labels), len(card.location_labels))
        with torch.no_grad():
            for head in (network.lesion_head, network.location_head):
                if head is not None:
                    head.weight.normal_(std=0.05)
                    head.bias.normal_()
    save_checkpoint(folder, network, card)
    return folder


def write_model(run: Path) -> Path:
    """`run` exported to model.onnx beside the run's folder."""
    path = run.parent / "model.onnx"
    write_graph(load_checkpoint(run), path)
    return path

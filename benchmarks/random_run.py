"""A run with random weights and its files, one a target: enough to measure speed, and nothing else.

    run = write_random_run(Path("build/random/run"), "resnet50", input_size=224)
    files = write_targets(run, Path("build/random"))

Nothing is compared with the checkpoint: what 8 bits make of random weights says nothing of a trained network.
"""

import dataclasses
from pathlib import Path

import onnx
import torch
from torch import nn

from benchmarks.latency_variants import drawn_photos
from export.graph import write_graph
from export.half import out_of_range, to_half
from export.quantize import Quantiser
from export.targets import TARGETS
from export.trunk import write_card
from training.models.card import Label, ModelCard, Preprocessing
from training.models.checkpoint import load_checkpoint, save_checkpoint
from training.models.networks import LesionNetwork, build_network

LESIONS, LOCATIONS = 6, 8
N_PHOTOS = 8
"""Drawn ones, that set batch normalisation and calibrate 8 bits."""


def write_random_run(folder: Path, architecture: str, input_size: int) -> Path:
    """A finished run of two heads, as training would leave it, its weights drawn by torch's own rules.

    Raises:
        RecipeError: there is no such architecture.
        ModelFileError: the input is too small.
    """
    card = ModelCard(
        name=f"random {architecture}",
        architecture=architecture,
        lesion_labels=tuple(Label(f"lesion{i}", f"Lesion {i}") for i in range(LESIONS)),
        location_labels=tuple(Label(f"site{i}", f"Site {i}") for i in range(LOCATIONS)),
        preprocessing=Preprocessing(
            input_size=input_size, decode_min_side=-(-input_size * 8 // 7), crop_fraction=0.875
        ),
        activation="softmax",
        synthetic=True,
        weights_note="Random: measures speed, answers nothing.",
        intended_use="Measuring speed.",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(architecture, LESIONS, LOCATIONS)
        _settle(network, torch.randn(N_PHOTOS, 3, input_size, input_size))
    save_checkpoint(folder, network, card)
    return folder


def _settle(network: LesionNetwork, images: torch.Tensor) -> None:
    """Give batch normalisation the statistics of `images`, so that activations keep their size."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    network.train()
    with torch.no_grad():
        network(images)
    network.eval()


def write_targets(run: Path, folder: Path) -> list[Path]:
    """Every target's file, none of them compared with the run."""
    checkpoint = load_checkpoint(run)
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "plain.onnx"
    write_graph(checkpoint, plain)
    side = checkpoint.card.preprocessing.decode_min_side
    photos = drawn_photos(N_PHOTOS, (side, side))
    files = []
    for target in TARGETS:
        model, path = onnx.load(plain), folder / target.file_name
        card = dataclasses.replace(
            checkpoint.card, export={"target": target.name, "precision": target.precision}
        )
        if target.precision == "int8":
            Quantiser(model, photos).write(path, card)
        else:
            if target.precision == "fp16":
                model = to_half(model, kept=out_of_range(model, photos))
            write_card(model, card)
            onnx.save(model, path)
        files.append(path)
    plain.unlink()
    return files

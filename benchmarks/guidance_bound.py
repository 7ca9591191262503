"""How well can the lesion be found on these photos at all? By a network that has seen far more, for comparison.

    python -m benchmarks.guidance_bound path/to/pad_ufes_20 --weights path/to/resnet18.safetensors

ResNet-18 with ImageNet's weights to its third stage and a small decoder, far too slow for a preview, learns from
the photos with masks that the locator learns from, and is measured on the same others by the same rule. What it
misses too is a matter of the masks or of too few photos, not of the locator's size. Half an hour of one core.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import tyro
from torch import nn
from torch.nn import functional
from torchvision import tv_tensors
from torchvision.transforms import v2
from tqdm import tqdm

from benchmarks.guidance_locator import TELL_S, loss_of
from benchmarks.guidance_parts import MaskedPhoto, masked_photos, on_training_side
from benchmarks.guidance_scores import located
from capture_app.locate import lesion_region
from training.cli import run, whole_file
from training.data.datasets.registry import load_manifest
from training.errors import DataError
from training.evaluation.metrics import interval
from training.machine import machine
from training.models.networks import build_network
from training.models.weights import load_weights

SIDE_PX = 240
BATCH, RATES, WEIGHT_DECAY = 8, (2e-4, 2e-3), 1e-2
"""The rates of the stages that are taught further, and of what starts at random."""
CHANNELS, SKIP_CHANNELS, DROPPED = 96, 64, 0.2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's."""
DRAWS = 1000

VARIED = v2.Compose(
    [
        v2.Pad(SIDE_PX // 2, padding_mode="reflect"),
        v2.RandomHorizontalFlip(),
        v2.RandomAffine(180, translate=(0.12, 0.12), scale=(0.6, 1.6), shear=8),
        v2.CenterCrop(SIDE_PX),
        v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.03),
    ]
)


class Finder(nn.Module):
    """(N, 3, 240, 240) normalised RGB to (N, 60, 60) logits."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        trunk: Any = build_network("resnet18", 1)
        load_weights(trunk, "resnet18", str(weights), random_stages=("layer4",))
        self.still = nn.Sequential(trunk.conv1, trunk.bn1, nn.ReLU(), nn.MaxPool2d(3, 2, 1), trunk.layer1)
        self.second, self.third = trunk.layer2, trunk.layer3
        self.context = _mixed(256, CHANNELS, dilation=2)
        self.dropout = nn.Dropout2d(DROPPED)
        self.gate = nn.Linear(CHANNELS, CHANNELS)
        self.skip_second, self.skip_first = nn.Conv2d(128, CHANNELS, 1), nn.Conv2d(64, SKIP_CHANNELS, 1)
        self.join_second, self.join_first = (
            _mixed(CHANNELS, SKIP_CHANNELS),
            _mixed(SKIP_CHANNELS, SKIP_CHANNELS),
        )
        self.out = nn.Conv2d(SKIP_CHANNELS, 1, 1)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            first = self.still(photos)
        second = self.second(first)
        third = self.third(second)
        up = self.context(self.dropout(third))
        up = up * torch.sigmoid(self.gate(up.mean((2, 3))))[:, :, None, None]
        up = self.join_second(self.skip_second(second) + _enlarged(up, second))
        up = self.join_first(self.skip_first(first) + _enlarged(up, first))
        logits: torch.Tensor = self.out(up)[:, 0]
        return logits

    def train(self, mode: bool = True) -> "Finder":
        """The trunk's batch norms keep ImageNet's statistics."""
        super().train(mode)
        for part in (self.still, self.second, self.third):
            part.eval()
        return self


def _mixed(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def _enlarged(planes: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(planes, size=like.shape[2:], mode="bilinear")


def train_finder(photos: Sequence[MaskedPhoto], weights: Path, *, steps: int, seed: int) -> Finder:
    """The same photos, weights, steps and seed give the same network."""
    torch.manual_seed(seed)
    network = Finder(weights).train()
    taught_on = [*network.second.parameters(), *network.third.parameters()]
    trunk = ("still.", "second.", "third.")
    new = [parameter for name, parameter in network.named_parameters() if not name.startswith(trunk)]
    groups = [{"params": own, "lr": rate} for own, rate in zip((taught_on, new), RATES, strict=True)]
    optimiser = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, list(RATES), steps)
    bar = tqdm(range(steps), unit="step", mininterval=TELL_S)
    for _ in bar:
        chosen = torch.randint(len(photos), (BATCH,)).tolist()
        seen, masks = zip(*(_varied(photos[index]) for index in chosen), strict=True)
        loss = loss_of(network(torch.stack(seen)), torch.stack(masks))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return network.eval()


def _varied(photo: MaskedPhoto) -> tuple[torch.Tensor, torch.Tensor]:
    """(3, 240, 240) normalised RGB and (120, 120) in [0, 1]: turned, moved, enlarged, recoloured by chance."""
    rgb, mask = VARIED(*_as_taken(photo))
    return _normalised(rgb), functional.avg_pool2d(mask.float(), 2)[0]


def _as_taken(photo: MaskedPhoto) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """(3, 240, 240) and (1, 240, 240) uint8: the photo, and its mask, 0 or 1."""
    small = (SIDE_PX, SIDE_PX)
    rgb = cv2.resize(photo.rgb, small, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(photo.mask.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST)
    return tv_tensors.Image(torch.from_numpy(rgb).permute(2, 0, 1)), tv_tensors.Mask(
        torch.from_numpy(mask[None])
    )


def _normalised(rgb: torch.Tensor) -> torch.Tensor:
    return v2.functional.normalize(rgb.float() / 255, list(MEAN), list(STD))


def finds(network: Finder, photo: MaskedPhoto) -> bool:
    """Whether the lesion's centre and box are found, by the rule of `benchmarks.guidance`."""
    with torch.inference_mode():
        probability = network(_normalised(_as_taken(photo)[0])[None]).sigmoid()[0].numpy()
    region, _ = lesion_region(probability)
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    side = photo.rgb.shape[0]
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) * side / len(region)
    return all(located(box, photo.box, side))


@dataclass(frozen=True)
class Arguments:
    """Measure how well a network that has seen far more than the locator finds the lesion on the same photos."""

    data: Annotated[str, tyro.conf.Positional]
    """A data set with lesion masks: a folder such as pad_ufes_20, or a manifest's CSV."""
    weights: Path
    """ResNet-18's ImageNet weights in torchvision's key names, .safetensors; layer4 is not needed."""
    steps: int = 1300
    """Of 8 photos each."""
    seed: int = 0
    out: Path = Path("benchmarks/results/guidance_bound.json")
    """Where the figures are written."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.guidance_bound", args=argv)
    if arguments.steps < 1:
        raise DataError(f"--steps is {arguments.steps}; at least 1 is needed.")
    manifest = load_manifest(arguments.data)
    photos = list(masked_photos(manifest))
    parts = {
        "training": [photo for photo in photos if on_training_side(photo.group)],
        "test": [photo for photo in photos if not on_training_side(photo.group)],
    }
    for name, own in parts.items():
        if not own:
            raise DataError(f"no photo with a lesion mask is on the {name} side; give a larger data set.")
    network = train_finder(parts["training"], arguments.weights, steps=arguments.steps, seed=arguments.seed)
    figures: dict[str, Any] = {
        "data": {"name": manifest.name, "fingerprint": manifest.fingerprint()},
        "weights": arguments.weights.name,
        "steps": arguments.steps,
        "seed": arguments.seed,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "machine": machine("torch"),
        "found": {},
    }
    for name, own in parts.items():
        found = np.array([finds(network, photo) for photo in tqdm(own, unit="photo", mininterval=TELL_S)])
        groups = np.array([photo.group for photo in own])
        low, high = interval(np.mean, found, groups=groups, draws=DRAWS)
        figures["found"][name] = {"photos": len(own), "share": float(found.mean()), "interval": [low, high]}
        print(
            f"{name}: centre and box found on {found.mean():.1%} ({low:.1%} to {high:.1%}) of {len(own)} photos"
        )
    with whole_file(arguments.out) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

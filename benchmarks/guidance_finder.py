"""A network that finds the lesion, has seen far more than the locator and teaches it; too slow for a preview.

    finder = train_finder(photos, Path("resnet18.safetensors"), steps=1300, seed=0)
    finds(finder, photo), softened(finder, photo)

ResNet-18 with ImageNet's weights to its third stage and a small decoder. Half an hour of one core.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torchvision import tv_tensors
from torchvision.transforms import v2
from tqdm import tqdm

from benchmarks.guidance_parts import MaskedPhoto
from benchmarks.guidance_scores import located
from benchmarks.guidance_step import Checkpoint, fingerprint, learn, loss_of
from capture_app.locate import lesion_region
from training.models.networks import build_network
from training.models.weights import load_weights

SIDE_PX = 240
FINDER_STEPS = 1300
BATCH, RATES, WEIGHT_DECAY = 8, (2e-4, 2e-3), 1e-2
"""The rates of the stages that are taught further, and of what starts at random."""
CHANNELS, SKIP_CHANNELS, DROPPED = 96, 64, 0.2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's."""
LOOKS = tuple(itertools.product((False, True), ((), (-1,), (-2,), (-1, -2))))
"""Turned over the diagonal or not, and then mirrored along these axes."""
TELL_S = 5
"""Between two looks at the progress bar."""
SAVE_STEPS = 100
"""Between two checkpoints."""
OWN_SHARE, FAINT = 0.5, 0.25
"""Of the finder in a softened mask, and the answer below which it is left out."""

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


def train_finder(
    photos: Sequence[MaskedPhoto], weights: Path, *, steps: int, seed: int, checkpoint: Path | None = None
) -> Finder:
    """The same photos, weights, steps and seed give the same network.

    Args:
        checkpoint: written every `SAVE_STEPS` and at the end, and gone on from where it is there.

    Raises:
        DataError: the checkpoint is another training's.
        RecipeError: the weights cannot be read.
    """
    torch.manual_seed(seed)
    network = Finder(weights).train()
    taught_on = [*network.second.parameters(), *network.third.parameters()]
    trunk = ("still.", "second.", "third.")
    new = [parameter for name, parameter in network.named_parameters() if not name.startswith(trunk)]
    groups = [{"params": own, "lr": rate} for own, rate in zip((taught_on, new), RATES, strict=True)]
    optimiser = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, list(RATES), steps)
    parts: dict[str, Any] = {"network": network, "optimiser": optimiser, "schedule": schedule}
    asked = {"photos": fingerprint(photos), "weights": weights.name, "steps": steps, "seed": seed}
    kept = Checkpoint(checkpoint, asked)
    begin = kept.resume(parts)
    bar = tqdm(range(begin, steps), unit="step", initial=begin, total=steps, mininterval=TELL_S)
    for step in bar:
        if step > begin and step % SAVE_STEPS == 0:
            kept.keep(parts, step)
        chosen = torch.randint(len(photos), (BATCH,)).tolist()
        seen, masks = zip(*(_varied(photos[index]) for index in chosen), strict=True)
        loss = loss_of(network(torch.stack(seen)), torch.stack(masks))
        learn(loss, optimiser, schedule)
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    if begin < steps:
        kept.keep(parts, steps)
    return network.eval()


def _varied(photo: MaskedPhoto) -> tuple[torch.Tensor, torch.Tensor]:
    """(3, 240, 240) normalised RGB and (60, 60) in [0, 1]: turned, moved, enlarged, recoloured by chance."""
    rgb, mask = VARIED(*_as_taken(photo))
    return _normalised(rgb), functional.avg_pool2d(mask.float(), 4)[0]


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
    side = photo.rgb.shape[0]
    box = np.array(lesion_region(probability).box) * side / len(probability)
    return all(located(box, photo.box, side))


def softened(network: Finder, photo: MaskedPhoto) -> np.ndarray:
    """(side, side) float32 in [0, 1]: the photo's mask, mixed by `OWN_SHARE` with what the network says of it, the
    mean of eight turned and mirrored looks."""
    planes = _normalised(_as_taken(photo)[0])
    with torch.inference_mode():
        said = torch.stack([_looked_at(network, planes, *how) for how in LOOKS]).mean(0).numpy()
    said = cv2.resize(said, photo.mask.shape, interpolation=cv2.INTER_LINEAR)
    own: np.ndarray = OWN_SHARE * np.where(said < FAINT, 0, said) + (1 - OWN_SHARE) * photo.mask
    return own.astype(np.float32)


def _looked_at(
    network: Finder, planes: torch.Tensor, turned: bool, mirrored: tuple[int, ...]
) -> torch.Tensor:
    """(60, 60) in [0, 1], as the photo lies."""
    seen = (planes.transpose(-1, -2) if turned else planes).flip(mirrored)
    said = network(seen[None]).sigmoid()[0].flip(mirrored)
    return said.T if turned else said

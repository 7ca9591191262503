"""The networks: a torchvision trunk, its features, and one or two sibling linear heads on them.

    network = build_network("resnet18", n_lesions=10, n_locations=0)

Sources: He et al. 2016 and Krizhevsky et al. 2012 for the trunks; Liao & Luo 2017, Fig. 2, for the two heads on
one feature vector.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
import torchvision
from torch import nn

from training.errors import RecipeError

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
ALEXNET = "alexnet"
ARCHITECTURES = (*RESNETS, ALEXNET)
STAGES = ("layer1", "layer2", "layer3", "layer4")
"""Of a ResNet."""


class Logits(NamedTuple):
    """What the heads say.

    lesion: (N, P) float. location: (N, Q) float, or None for a network with one head.
    """

    lesion: torch.Tensor
    location: torch.Tensor | None


class LesionNetwork(nn.Module, ABC):
    """A trunk whose last linear layer is replaced by a lesion head and, if asked for, a location head.

    Keys of the trunk are torchvision's own, so that its weight files load by name.
    """

    imagenet_head: ClassVar[str]
    """What the keys of the replaced layer begin with."""
    smallest_input: ClassVar[int]
    """Side of the smallest square, in pixels, of which the trunk leaves something."""
    stem: ClassVar[tuple[str, ...]]
    """Names of the modules with parameters that come before the blocks."""

    def __init__(self, n_features: int, n_lesions: int, n_locations: int) -> None:
        super().__init__()
        self.lesion_head = nn.Linear(n_features, n_lesions)
        self.location_head = nn.Linear(n_features, n_locations) if n_locations else None

    @property
    @abstractmethod
    def blocks(self) -> tuple[str, ...]:
        """Dotted names of the trunk's parts after the stem, in order: where layer groups can be cut."""

    @abstractmethod
    def embed(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) normalised RGB to (N, C) features."""

    def heads(self, features: torch.Tensor) -> Logits:
        """(N, C) features to logits."""
        location = None if self.location_head is None else self.location_head(features)
        return Logits(self.lesion_head(features), location)

    def forward(self, image: torch.Tensor) -> Logits:
        """(N, 3, H, W) normalised RGB to logits."""
        return self.heads(self.embed(image))


class LesionResNet(LesionNetwork):
    """A ResNet: its features are the global average of its feature map, so every label has an activation map."""

    imagenet_head = "fc."
    smallest_input = 1
    stem = ("conv1", "bn1")

    def __init__(self, trunk: torchvision.models.ResNet, n_lesions: int, n_locations: int = 0) -> None:
        super().__init__(trunk.fc.in_features, n_lesions, n_locations)
        self.conv1, self.bn1, self.relu, self.maxpool = trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool
        self.layer1, self.layer2 = trunk.layer1, trunk.layer2
        self.layer3, self.layer4 = trunk.layer3, trunk.layer4

    @property
    def blocks(self) -> tuple[str, ...]:
        return tuple(f"{stage}.{index}" for stage in STAGES for index in range(len(getattr(self, stage))))

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) normalised RGB to the last stage's (N, C, H/32, W/32)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def embed(self, image: torch.Tensor) -> torch.Tensor:
        return pool(self.feature_map(image))


class LesionAlexNet(LesionNetwork):
    """An AlexNet: its features are what the second of its fully connected layers (fc7) answers, after the ReLU.

    In training mode half of the inputs of fc6 and fc7 are dropped, as torchvision has it.
    """

    imagenet_head = "classifier.6."
    smallest_input = 63
    stem = ()

    def __init__(self, trunk: torchvision.models.AlexNet, n_lesions: int, n_locations: int = 0) -> None:
        super().__init__(trunk.classifier[-1].in_features, n_lesions, n_locations)
        self.features, self.avgpool, self.classifier = trunk.features, trunk.avgpool, trunk.classifier[:-1]

    @property
    def blocks(self) -> tuple[str, ...]:
        return tuple(
            f"{part}.{index}"
            for part in ("features", "classifier")
            for index, layer in enumerate(getattr(self, part))
            if isinstance(layer, nn.Conv2d | nn.Linear)
        )

    def embed(self, image: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.avgpool(self.features(image)).flatten(1))


def pool(feature_map: torch.Tensor) -> torch.Tensor:
    """Global average pooling: (N, C, h, w) to (N, C)."""
    return feature_map.mean(dim=(2, 3))


def build_network(architecture: str, n_lesions: int, n_locations: int = 0) -> LesionNetwork:
    """A network with random weights, drawn from torch's global generator.

    Raises:
        RecipeError: the architecture is not one of `ARCHITECTURES`.
    """
    if architecture == ALEXNET:
        return LesionAlexNet(torchvision.models.alexnet(weights=None), n_lesions, n_locations)
    if architecture not in RESNETS:
        raise RecipeError(f"architecture is '{architecture}'; valid are {', '.join(ARCHITECTURES)}.")
    constructor: Callable[..., torchvision.models.ResNet] = getattr(torchvision.models, architecture)
    return LesionResNet(constructor(weights=None), n_lesions, n_locations)

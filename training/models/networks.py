"""The networks: a torchvision ResNet's trunk, global average pooling, and one or two sibling linear heads.

    network = build_network("resnet18", n_lesions=10, n_locations=0)

Source: He et al. 2016 for the trunk; Liao & Luo 2017, Fig. 2, for the two heads on one feature vector.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torchvision
from torch import nn

from training.errors import RecipeError

ARCHITECTURES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
STAGES = ("layer1", "layer2", "layer3", "layer4")


class Logits(NamedTuple):
    """What the heads say.

    lesion: (N, P) float. location: (N, Q) float, or None for a network with one head.
    """

    lesion: torch.Tensor
    location: torch.Tensor | None


class LesionNetwork(nn.Module):
    """A ResNet whose last linear layer is replaced by a lesion head and, if asked for, a location head.

    Keys of the trunk are torchvision's own (`conv1`, `bn1`, `layer1` to `layer4`), so that its weight files
    load by name.
    """

    def __init__(self, trunk: torchvision.models.ResNet, n_lesions: int, n_locations: int = 0) -> None:
        super().__init__()
        n_features = trunk.fc.in_features
        self.conv1, self.bn1, self.relu, self.maxpool = trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool
        self.layer1, self.layer2 = trunk.layer1, trunk.layer2
        self.layer3, self.layer4 = trunk.layer3, trunk.layer4
        self.lesion_head = nn.Linear(n_features, n_lesions)
        self.location_head = nn.Linear(n_features, n_locations) if n_locations else None

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) normalised RGB to the last stage's (N, C, H/32, W/32)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def heads(self, features: torch.Tensor) -> Logits:
        """(N, C) features to logits."""
        location = None if self.location_head is None else self.location_head(features)
        return Logits(self.lesion_head(features), location)

    def forward(self, image: torch.Tensor) -> Logits:
        """(N, 3, H, W) normalised RGB to logits."""
        return self.heads(pool(self.feature_map(image)))


def pool(feature_map: torch.Tensor) -> torch.Tensor:
    """Global average pooling: (N, C, h, w) to (N, C)."""
    return feature_map.mean(dim=(2, 3))


def build_network(architecture: str, n_lesions: int, n_locations: int = 0) -> LesionNetwork:
    """A network with random weights, drawn from torch's global generator.

    Raises:
        RecipeError: the architecture is not one of `ARCHITECTURES`.
    """
    if architecture not in ARCHITECTURES:
        raise RecipeError(f"architecture is '{architecture}'; valid are {', '.join(ARCHITECTURES)}.")
    constructor: Callable[..., torchvision.models.ResNet] = getattr(torchvision.models, architecture)
    return LesionNetwork(constructor(weights=None), n_lesions, n_locations)

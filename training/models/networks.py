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
from torch.nn import functional

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
    last_stage: ClassVar[str]
    """Name of the module whose output is the feature map."""

    def __init__(self, n_features: int, n_lesions: int, n_locations: int) -> None:
        super().__init__()
        self.lesion_head = nn.Linear(n_features, n_lesions)
        self.location_head = nn.Linear(n_features, n_locations) if n_locations else None

    @property
    @abstractmethod
    def blocks(self) -> tuple[str, ...]:
        """Dotted names of the trunk's parts after the stem, in order: where layer groups can be cut."""

    @abstractmethod
    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) normalised RGB to the last convolutional stage's (N, C, h, w)."""

    @abstractmethod
    def features_of(self, feature_map: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) to the (N, D) features that the heads read."""

    @abstractmethod
    def class_activation_maps(self, feature_map: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """h * w times Grad-CAM on the feature map, before its ReLU (Selvaraju et al. 2017, Eq. 1 and 2).

        In one forward computation, without gradients, for all lesion labels at once; the network is in evaluation
        mode.

        Args:
            feature_map: (N, C, h, w) float.
            features: (N, D) float, what `features_of` made of it.

        Returns:
            (N, P, h, w) float, in units of the logit.
        """

    def embed(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) normalised RGB to (N, D) features."""
        return self.features_of(self.feature_map(image))

    def heads(self, features: torch.Tensor) -> Logits:
        """(N, D) features to logits."""
        location = None if self.location_head is None else self.location_head(features)
        return Logits(self.lesion_head(features), location)

    def forward(self, image: torch.Tensor) -> Logits:
        """(N, 3, H, W) normalised RGB to logits."""
        return self.heads(self.embed(image))


class LesionResNet(LesionNetwork):
    """A ResNet: its features are the global average of its feature map.

    Grad-CAM is then the class activation map of Zhou et al. 2016: its mean over h and w plus the head's bias is
    the logit.
    """

    imagenet_head = "fc."
    smallest_input = 1
    stem = ("conv1", "bn1")
    last_stage = "layer4"

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

    def features_of(self, feature_map: torch.Tensor) -> torch.Tensor:
        return pool(feature_map)

    def class_activation_maps(self, feature_map: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(feature_map, self.lesion_head.weight[:, :, None, None])


class LesionAlexNet(LesionNetwork):
    """An AlexNet: its features are what the second of its fully connected layers (fc7) answers, after the ReLU.

    In training mode half of the inputs of fc6 and fc7 are dropped, as torchvision has it.

    Two layers with ReLUs stand between the feature map and the logits, so a label has no class activation map
    that adds up to its logit. It has Grad-CAM: with the ReLUs on or off as this photo set them, the way from the
    feature map to the logits is linear, and its matrices multiplied from the logits' end are the gradient.
    """

    imagenet_head = "classifier.6."
    smallest_input = 63
    stem = ()
    last_stage = "features"

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

    def feature_map(self, image: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) normalised RGB to the last pooling's (N, 256, h, w): 6 x 6 of 224 pixels, 1 x 1 of 64."""
        return self.features(image)

    def features_of(self, feature_map: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.avgpool(feature_map).flatten(1))

    def class_activation_maps(self, feature_map: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        fc6, fc7 = (layer for layer in self.classifier if isinstance(layer, nn.Linear))
        behind_fc6 = fc6(self.avgpool(feature_map).flatten(1))
        slopes = self.lesion_head.weight * (features > 0)[:, None]
        slopes = slopes @ fc7.weight * (behind_fc6 > 0)[:, None]
        # Each place of the pooled map is an average of places, so that the gradient's sum over both is the same.
        by_channel = fc6.weight.unflatten(1, (feature_map.shape[1], -1)).sum(2)
        return torch.einsum("npc,nchw->nphw", slopes @ by_channel, feature_map)


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

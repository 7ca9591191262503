"""What a phase trains on: photos through the whole network, or features that a frozen trunk gave once.

    source = FrozenTrunk.of(network, training, validation, view, recipe, arithmetic)

Mishra et al. 2019, Sec. 3: in the first step the activations are computed once and only the head is trained, so
that an epoch costs next to nothing. Photos are then seen as they are, without augmentation.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from tqdm import tqdm

from training.data.loading import Batch, EpochOrder, Samples, draw_shares, evaluation_loader, training_loader
from training.engine import Arithmetic, Forward
from training.models.card import Preprocessing
from training.models.networks import LesionNetwork, Logits
from training.recipe import Recipe


class Source(Protocol):
    """Batches for training and validation, and the part of the network that they go through."""

    @property
    def forward(self) -> Forward:
        """From a batch's first tensor to logits."""

    @property
    def n_steps(self) -> int:
        """Batches an epoch."""

    def batches(self, epoch: int) -> Iterable[Batch]:
        """The training batches of an epoch."""

    def validation_batches(self) -> Iterable[Batch]:
        """The validation part once, in order."""


@dataclass(frozen=True)
class WholeNetwork:
    """Augmented photos through the network."""

    network: LesionNetwork
    training: Samples
    validation: Samples
    view: Preprocessing
    recipe: Recipe
    arithmetic: Arithmetic

    @property
    def forward(self) -> Forward:
        return self.network

    @property
    def n_steps(self) -> int:
        return len(self.batches(0))

    def batches(self, epoch: int) -> torch.utils.data.DataLoader[Batch]:
        return training_loader(self.training, self.view, self.recipe, epoch, self.arithmetic.device)

    def validation_batches(self) -> Iterable[Batch]:
        return evaluation_loader(self.validation, self.view, self.recipe.batch_size, self.arithmetic.device)


@dataclass(frozen=True)
class FrozenTrunk:
    """Features computed once, through the heads."""

    heads: Forward
    training: Batch
    validation: Batch
    recipe: Recipe

    @classmethod
    def of(cls, whole: WholeNetwork, *, progress: bool = True) -> "FrozenTrunk":
        """Run every photo through the trunk in evaluation mode, which is how a frozen trunk also trains."""
        network, arithmetic = whole.network, whole.arithmetic
        network.eval()

        @torch.inference_mode()
        def features(samples: Samples, title: str) -> Batch:
            batches = evaluation_loader(samples, whole.view, whole.recipe.batch_size, arithmetic.device)
            embedded = [
                network.embed(arithmetic.photos(images)).cpu()
                for images, *_ in tqdm(batches, title, unit="batch", leave=False, disable=not progress)
            ]
            lesions = torch.from_numpy(samples.lesion_targets)
            return torch.cat(embedded), lesions, torch.from_numpy(samples.location_targets)

        def heads(embedded: torch.Tensor) -> Logits:
            return network.heads(embedded)

        training = features(whole.training, "features of the training photos")
        validation = features(whole.validation, "features of the validation photos")
        return cls(heads, training, validation, whole.recipe)

    @property
    def forward(self) -> Forward:
        return self.heads

    @property
    def batch_size(self) -> int:
        return min(self.recipe.batch_size, len(self.training[0]))

    @property
    def n_steps(self) -> int:
        return -(-len(self.training[0]) // self.batch_size)

    def batches(self, epoch: int) -> Iterator[Batch]:
        shares = draw_shares(self.training[1].numpy(), self.recipe.resample)
        order = EpochOrder(shares, self.batch_size, self.recipe.seed, epoch)
        rows = torch.tensor([index for _, index in order])
        for chosen in rows.split(self.batch_size):
            images, lesions, locations = (tensor[chosen].clone() for tensor in self.training)
            yield images, lesions, locations

    def validation_batches(self) -> Iterator[Batch]:
        yield self.validation

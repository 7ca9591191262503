"""From decoded photos to batches: what a training step and an evaluation read.

    loader = training_loader(samples, epoch=3, recipe=recipe)

Every random draw depends on (seed, epoch, row) alone, so a run is the same with any number of workers, and one
that was resumed equals one that was not.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from training.data.cache import PhotoCache
from training.data.manifest import Manifest
from training.data.transforms import augment, draw_params
from training.models.card import Preprocessing
from training.models.preprocess import preprocess
from training.recipe import Recipe

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""(N, 3, S, S) float32 normalised RGB; (N, P) float32 lesion targets; (N,) int64 location targets."""
ORDER_STREAM, PHOTO_STREAM = 0, 1


@dataclass(frozen=True)
class Samples:
    """The photos of a manifest, decoded, with their targets.

    rows: which rows of the manifest (and so of the cache) these are.
    """

    photos: PhotoCache
    rows: np.ndarray
    lesion_targets: np.ndarray
    location_targets: np.ndarray

    @classmethod
    def of(cls, manifest: Manifest, photos: PhotoCache, rows: np.ndarray) -> "Samples":
        """The photos at `rows` that could be decoded."""
        rows = np.array([row for row in rows if row not in photos.left_out], np.int64)
        return cls(photos, rows, manifest.lesion_targets()[rows], manifest.location_targets()[rows])

    def __len__(self) -> int:
        return len(self.rows)


class TrainingPhotos(Dataset[Batch]):
    """Augmented photos by (epoch, index)."""

    def __init__(self, samples: Samples, view: Preprocessing, recipe: Recipe) -> None:
        self.samples, self.augmentation, self.seed = samples, recipe.augmentation, recipe.seed
        self.size = recipe.train_size or recipe.input_size
        self.mean = torch.tensor(view.mean).view(3, 1, 1) * 255
        self.std = torch.tensor(view.std).view(3, 1, 1) * 255

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        epoch, index = key
        image_rgb = self.samples.photos[self.samples.rows[index]]
        rng = np.random.default_rng([self.seed, PHOTO_STREAM, epoch, index])
        height, width, _ = image_rgb.shape
        params = draw_params(rng, height, width, self.augmentation, self.size)
        image = augment(_tensor(image_rgb).permute(2, 0, 1), params, self.size)
        return (image - self.mean) / self.std, *_targets(self.samples, index)


class EvaluationPhotos(Dataset[Batch]):
    """Photos as a deployed model sees them (`training.models.preprocess`)."""

    def __init__(self, samples: Samples, view: Preprocessing) -> None:
        self.samples, self.view = samples, view

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Batch:
        image_rgb = self.samples.photos[self.samples.rows[index]]
        return preprocess(_tensor(image_rgb)[None], self.view)[0], *_targets(self.samples, index)


def draw_shares(lesion_targets: np.ndarray, power: float) -> np.ndarray:
    """How often each photo is drawn an epoch, on average: (N, P) 0/1 targets to (N,) float64 that sum to N.

    Proportional to label frequency ** -power, the mean over a photo's labels: 0 draws each photo once, 1 each
    label equally often.
    """
    rarity = np.maximum(lesion_targets.sum(0), 1).astype(np.float64) ** -power
    shares = (lesion_targets @ rarity) / lesion_targets.sum(1)
    return shares * len(shares) / shares.sum()


class EpochOrder(Sampler[tuple[int, int]]):
    """A shuffled order a (seed, epoch); the last, incomplete batch is filled up from the start of the order.

    Photo i stands in it floor(shares[i]) or ceil(shares[i]) times, shares[i] on average (systematic sampling),
    so without resampling every photo is seen in every epoch; and no batch is so small that batch norm suffers.
    """

    def __init__(self, shares: np.ndarray, batch_size: int, seed: int, epoch: int) -> None:
        rng = np.random.default_rng([seed, ORDER_STREAM, epoch])
        order = rng.permutation(len(shares))
        if (shares != 1).any():
            ends = np.floor(np.cumsum(shares[order]) + rng.random()).astype(np.int64)
            order = rng.permutation(np.repeat(order, np.diff(ends, prepend=0)))
        n_drawn = -(-len(shares) // batch_size) * batch_size
        self.keys = [(epoch, int(index)) for index in np.resize(order, n_drawn)]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.keys)


def training_loader(
    samples: Samples, view: Preprocessing, recipe: Recipe, epoch: int, device: torch.device
) -> DataLoader[Batch]:
    """The augmented batches of one epoch."""
    photos = TrainingPhotos(samples, view, recipe)
    batch_size = min(recipe.batch_size, len(samples))
    shares = draw_shares(samples.lesion_targets, recipe.resample)
    order = EpochOrder(shares, batch_size, recipe.seed, epoch)
    return DataLoader(
        photos, batch_size, sampler=order, num_workers=_workers(device), pin_memory=_pin(device)
    )


def evaluation_loader(
    samples: Samples, view: Preprocessing, batch_size: int, device: torch.device
) -> DataLoader[Batch]:
    """The photos once, in order."""
    photos = EvaluationPhotos(samples, view)
    return DataLoader(photos, batch_size, num_workers=_workers(device), pin_memory=_pin(device))


def _workers(device: torch.device) -> int:
    """On a GPU other processes prepare the batches; on the CPU they would take the cores from the network."""
    return min(8, os.cpu_count() or 1) if _pin(device) else 0


def _pin(device: torch.device) -> bool:
    return device.type == "cuda"


def _tensor(image_rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(image_rgb))  # A copy: the cache's memory is read-only.


def _targets(samples: Samples, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(samples.lesion_targets[index]), torch.tensor(samples.location_targets[index])

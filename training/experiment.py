"""A recipe and a data set put together: all that a run starts from.

experiment = prepare(recipe, "phantom", Arithmetic.choose(), cache=Path("data/cache"))
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from training.data.cache import PhotoCache
from training.data.datasets.registry import load_manifest
from training.data.loading import Samples, draw_shares
from training.data.manifest import Manifest
from training.data.splits import hold_out
from training.engine import Arithmetic
from training.errors import RecipeError
from training.models.card import Preprocessing
from training.models.losses import (
    Criterion,
    balanced_label_weights,
    location_prior_logits,
    prior_logits,
)
from training.models.networks import LesionNetwork, build_network
from training.models.param_groups import LayerGroup, layer_groups
from training.models.weights import load_weights
from training.recipe import Recipe
from training.sources import WholeNetwork


@dataclass(frozen=True)
class Experiment:
    """What does not change while a network trains, and the network itself."""

    recipe: Recipe
    data: str
    """As it was named after `--data`."""
    manifest: Manifest
    left_out: dict[int, str]
    """The sentence for each photo that no decoder opens, by row."""
    whole: WholeNetwork
    groups: tuple[LayerGroup, ...]
    criterion: Criterion
    weights_note: str

    @property
    def network(self) -> LesionNetwork:
        return self.whole.network

    @property
    def arithmetic(self) -> Arithmetic:
        return self.whole.arithmetic

    def describe(self) -> str:
        """What the person who waits should know, in a line or two."""
        lines = (
            f"{self.manifest.name}: {len(self.whole.training)} photos to train on, "
            f"{len(self.whole.validation)} to validate on; {self.recipe.architecture} at "
            f"{self.recipe.input_size} pixels in {self.arithmetic.precision} on {self.arithmetic.device}. "
            f"{self.weights_note}"
        )
        shown = self.whole.validation.lesion_targets.sum(0)
        unseen = [name for name, n in zip(self.manifest.lesion_labels, shown, strict=True) if not n]
        if unseen:
            lines += (
                f"\nNo held-out photo shows '{unseen[0]}': its recall stays unknown and balanced accuracy leaves "
                "it out; take another --fold or a larger --validation-share."
            )
        return lines


def prepare(
    recipe: Recipe,
    data: str,
    arithmetic: Arithmetic,
    *,
    cache: Path,
    progress: bool = True,
    manifest: Manifest | None = None,
) -> Experiment:
    """Read the data, split it, decode its photos, and make the network as it is before training.

    Args:
        manifest: the data, where the caller has them in hand (a part of what `data` names, say).

    Raises:
        DataError: the data cannot be read, split or decoded.
        RecipeError: the recipe does not fit the data, or the weights the network.
    """
    manifest = load_manifest(data) if manifest is None else manifest
    _check_tasks(recipe, manifest)
    train_rows, validation_rows = hold_out(
        manifest, validation_share=recipe.validation_share, fold=recipe.fold, seed=recipe.seed
    )
    network, weights_note = _network(recipe, manifest)
    photos = PhotoCache.build(manifest, min_side=recipe.decode_min_side, folder=cache, progress=progress)
    view = Preprocessing(
        recipe.input_size, decode_min_side=recipe.decode_min_side, crop_fraction=recipe.crop_fraction
    )
    training = Samples.of(manifest, photos, train_rows)
    validation = Samples.of(manifest, photos, validation_rows)
    targets = torch.from_numpy(training.lesion_targets)
    weights = balanced_label_weights(targets, recipe.class_balance)
    with torch.no_grad():
        shares = torch.from_numpy(draw_shares(training.lesion_targets, recipe.resample)).float()
        network.lesion_head.bias.copy_(prior_logits(targets, recipe.loss, weights, shares))
        if network.location_head is not None:
            sites = torch.from_numpy(training.location_targets)
            network.location_head.bias.copy_(location_prior_logits(sites, len(manifest.location_labels)))
    network.to(arithmetic.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Experiment(
        recipe,
        data,
        manifest,
        photos.left_out,
        WholeNetwork(network, training, validation, view, recipe, arithmetic),
        layer_groups(network, recipe.layer_groups),
        Criterion(recipe.loss, weights).to(arithmetic.device),
        weights_note,
    )


def _check_tasks(recipe: Recipe, manifest: Manifest) -> None:
    if "location" in recipe.tasks and not manifest.location_labels:
        raise RecipeError(
            f"recipe '{recipe.name}' learns body sites and {manifest.name} names none; take --tasks lesion, "
            "or add the column 'location'."
        )
    if recipe.loss == "cross-entropy" and not manifest.single_label:
        raise RecipeError(
            f"{manifest.name} has photos with several lesions, which 'cross-entropy' cannot learn; take "
            "--loss binary-cross-entropy."
        )


def _network(recipe: Recipe, manifest: Manifest) -> tuple[LesionNetwork, str]:
    """The network before training, drawn from the recipe's seed alone, and where its weights come from."""
    n_locations = len(manifest.location_labels) if "location" in recipe.tasks else 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build_network(recipe.architecture, len(manifest.lesion_labels), n_locations)
    for name in ("input_size", "train_size"):
        if 0 < getattr(recipe, name) < network.smallest_input:
            raise RecipeError(
                f"{name} is {getattr(recipe, name)}; at least {network.smallest_input} is valid for "
                f"{recipe.architecture}."
            )
    note = load_weights(network, recipe.architecture, recipe.weights, recipe.random_stages)
    return network, note

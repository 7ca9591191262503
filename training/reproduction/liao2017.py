"""Liao & Luo 2017, run again: which arms are trained at which scale, on which folds.

    experiment = Experiment.make(manifest, SCALES["small"], out=Path("out"))

The paper's arms are AlexNet, a network for the lesions alone, one for the body site alone, and one for both
(MTL); the fifth, an ensemble, needs no training. Ours is a sixth: MTL on body sites shuffled within the training
folds, which tells the site's help from a second task's; and, on the phantom, both networks over the coupling of
lesion and site. `training.reproduction.liao2017_results` makes the paper's tables and figures of what they leave.
"""

import dataclasses
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from training.data.datasets.phantom import write_phantom
from training.data.datasets.phantom_dermquest import as_dermquest
from training.data.datasets.registry import load_manifest
from training.data.label_map import PAPER, LabelMap, LabelMapReport, apply_label_map
from training.data.manifest import Manifest
from training.data.splits import about, check_no_fixed_split, k_folds
from training.errors import DataError
from training.recipe import Recipe, load_recipe
from training.reproduction.arms import Plan

N_FOLDS = 5
ARMS = {
    "alexnet": "AlexNet, lesions alone",
    "lesion": "ResNet, lesions alone",
    "site": "ResNet, body site alone",
    "mtl": "MTL: lesions and body site",
    "shuffled": "MTL on shuffled body sites",
}


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    name: str
    recipe: str
    """The networks for the lesions alone and for the site alone; with `-mtl` and `-alexnet`, the others."""
    most_photos: int | None
    """Larger sets are cut to about so many, whole patients at a time; None takes all."""
    phantom_photos: int
    seeds: tuple[int, ...]
    """Every fold is trained once with each."""
    couplings: tuple[float, ...]
    """Of lesion and body site, in the phantoms of the last figure."""
    coupling_photos: int
    """Of each of those phantoms."""
    coupling_folds: int
    """How many of the five folds are trained there."""


SCALES = {
    "full": Scale(
        "full",
        "liao2017",
        most_photos=None,
        phantom_photos=6000,
        seeds=(0,),
        couplings=(0.0, 0.25, 0.5, 0.75, 1.0),
        coupling_photos=3000,
        coupling_folds=5,
    ),
    "small": Scale(
        "small",
        "liao2017-small",
        most_photos=700,
        phantom_photos=700,
        seeds=(0,),
        couplings=(0.0, 0.5, 1.0),
        coupling_photos=400,
        coupling_folds=2,
    ),
}
"""`full`: the paper's setting, for a GPU; `small`: every step, within 90 minutes on two CPU cores."""


@dataclass(frozen=True)
class Experiment:
    """All that is to be trained, and which arm stands for what: names of arms in the plan."""

    scale: Scale
    manifest: Manifest = field(repr=False)
    plan: Plan = field(repr=False)
    folds: tuple[np.ndarray, ...] = field(repr=False)
    """Rows held out, a fold each; the same for every arm."""
    arms: dict[str, list[list[str]]]
    """Of each of `ARMS`: by seed, the arm of each fold."""
    couplings: dict[float, dict[str, list[str]]]
    """By coupling: the arms `lesion` and `mtl`, one a fold; empty on any set but the phantom."""

    @classmethod
    def make(
        cls,
        manifest: Manifest,
        scale: Scale,
        *,
        out: Path,
        weights: str | None = None,
        random_stages: tuple[str, ...] = (),
    ) -> "Experiment":
        """Lay the arms out; trains nothing.

        Args:
            out: where further phantoms are drawn.
            weights: what the networks start from, in place of the recipes' own; a file is for the ResNet, and
                AlexNet then starts at random.
            random_stages: stages that the file lacks.

        Raises:
            DataError: fewer than two lesions or body sites, a fixed split, or fewer groups than folds.
        """
        _check(manifest)
        plan = Plan()
        recipes = _recipes(scale, weights, random_stages)
        folds = tuple(k_folds(manifest, N_FOLDS, seed=0))
        parts = [_held_out(manifest, held) for held in folds]
        views = [
            {
                "site": sites_as_labels(part),
                "shuffled": shuffle_sites(part, np.random.default_rng([fold, 0])),
            }
            for fold, part in enumerate(parts)
        ]
        arms = {
            arm: [
                [
                    plan.add(
                        f"{arm}-fold{fold}-seed{seed}",
                        replace(recipes[arm], seed=seed),
                        views[fold].get(arm, part),
                    )
                    for fold, part in enumerate(parts)
                ]
                for seed in scale.seeds
            ]
            for arm in ARMS
        }
        drawn = manifest.synthetic and manifest.name.startswith("phantom")
        couplings = {
            coupling: _coupling_arms(plan, recipes, scale, coupling, out)
            for coupling in (scale.couplings if drawn else ())
        }
        return cls(scale, manifest, plan, folds, arms, couplings)


def take_photos(
    data: str, scale: Scale, out: Path, label_map: LabelMap = PAPER
) -> tuple[Manifest, int, LabelMapReport]:
    """The photos of the experiment, cut to the scale's size by whole groups and their labels refined; how many
    there
    were before; what became of the labels. `phantom` is drawn with the paper's 25 lesions and 23 body sites."""
    if data == "phantom":
        folder = out / "data" / "phantom"
        manifest = as_dermquest(write_phantom(folder, n_photos=scale.phantom_photos))
        available = len(manifest)
    else:
        manifest = load_manifest(data)
        available = len(manifest)
        manifest = about(manifest, scale.most_photos)
    manifest, report = apply_label_map(manifest, label_map)
    return manifest, available, report


def sites_as_labels(manifest: Manifest) -> Manifest:
    """The photos whose body site is known, with it as their one label: softmax over these is Eq. 6 and 7 alone."""
    known = manifest.subset(np.flatnonzero(manifest.table["location"] != ""))
    table = known.table.copy()
    table["lesions"] = [(site,) for site in table["location"]]
    return dataclasses.replace(known, table=table, lesion_labels=manifest.location_labels)


def shuffle_sites(manifest: Manifest, rng: np.random.Generator) -> Manifest:
    """The known body sites of the photos to train on dealt anew among them; those of the held-out ones stay."""
    table = manifest.table.copy()
    rows = np.flatnonzero((table["split"] == "train") & (table["location"] != ""))
    sites = table["location"].to_numpy().copy()
    sites[rows] = sites[rng.permutation(rows)]
    table["location"] = sites
    return dataclasses.replace(manifest, table=table)


def _recipes(scale: Scale, weights: str | None, random_stages: tuple[str, ...]) -> dict[str, Recipe]:
    lesion, mtl, alexnet = (load_recipe(scale.recipe + ending) for ending in ("", "-mtl", "-alexnet"))
    if weights is not None:
        lesion, mtl = (
            replace(recipe, weights=weights, random_stages=random_stages) for recipe in (lesion, mtl)
        )
        alexnet = replace(alexnet, weights="random" if weights.endswith(".safetensors") else weights)
    site = replace(lesion, loss="cross-entropy")
    return {"alexnet": alexnet, "lesion": lesion, "site": site, "mtl": mtl, "shuffled": mtl}


def _held_out(manifest: Manifest, held: np.ndarray) -> Manifest:
    """The manifest with a fold as its fixed split, so that every arm and view of it has the same."""
    split = np.full(len(manifest), "train", dtype=object)
    split[held] = "validation"
    return dataclasses.replace(manifest, table=manifest.table.assign(split=split))


def _coupling_arms(
    plan: Plan, recipes: dict[str, Recipe], scale: Scale, coupling: float, out: Path
) -> dict[str, list[str]]:
    folder = out / "data" / f"coupling-{coupling:g}"
    phantom = write_phantom(folder, n_photos=scale.coupling_photos, site_coupling=coupling)
    folds = k_folds(phantom, N_FOLDS, seed=0)[: scale.coupling_folds]
    parts = [_held_out(phantom, held) for held in folds]
    return {
        arm: [
            plan.add(f"coupling{coupling:g}-{arm}-fold{fold}", recipes[arm], part)
            for fold, part in enumerate(parts)
        ]
        for arm in ("lesion", "mtl")
    }


def _check(manifest: Manifest) -> None:
    check_no_fixed_split(manifest)
    for kind, labels in (("lesion", manifest.lesion_labels), ("body site", manifest.location_labels)):
        if len(labels) < 2:
            raise DataError(
                f"{manifest.name} is left with {len(labels)} {kind} label(s), and this experiment needs two at "
                "least; add photos, or give a --label-map with a smaller min_photos."
            )

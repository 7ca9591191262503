"""Mishra et al. 2019, run again: which arms are trained at which scale, on which photos.

    experiment = Experiment.make(manifest, SCALES["small"], out=Path("out"))

Sec. 3 gives the recipe and its four depths, Sec. 5.1 the uneven training set. The arms that take the recipe apart
are ours. `training.reproduction.mishra2019_results` makes the paper's tables and figures of what they leave.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from training.data.datasets.phantom import TABLE_1_COUNTS, write_phantom
from training.data.datasets.registry import load_manifest
from training.data.manifest import Manifest
from training.data.splits import about, check_no_fixed_split, hold_out
from training.errors import DataError
from training.recipe import Phase, Recipe, load_recipe
from training.reproduction.arms import Plan
from training.reproduction.imbalance import drawn_parts, imbalanced_parts, outpatient_shares

PLAIN_RATE = 0.01
"""The textbook rate of SGD with momentum, for the arms that do without the range test."""
OUTPATIENT_SEED = 1
"""Of the phantom's training sets in Sec. 5.1: other people than in the main set."""


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    name: str
    depths: dict[str, str]
    """Table 2's rows: the recipe of each architecture."""
    most_photos: int | None
    """Larger sets are cut to about so many, whole patients at a time; None takes all."""
    repeats: tuple[tuple[int, int], ...]
    """(fold, seed) of every arm that takes the recipe apart."""
    depth_repeats: tuple[tuple[int, int], ...]
    """(fold, seed) of every depth."""
    taken_apart: str
    """The architecture of the arms that take the recipe apart, and of Sec. 5.1."""
    outpatient_photos: int
    """Of the phantom's training sets in Sec. 5.1."""

    def recipe(self, architecture: str) -> Recipe:
        return replace(load_recipe(self.depths[architecture]), architecture=architecture)


SCALES = {
    "full": Scale(
        "full",
        {f"resnet{depth}": f"mishra2019-resnet{depth}" for depth in (34, 50, 101, 152)},
        most_photos=None,
        repeats=((0, 0), (1, 0), (2, 0), (0, 1)),
        depth_repeats=((0, 0), (1, 0), (2, 0)),
        taken_apart="resnet50",
        outpatient_photos=1410,
    ),
    "small": Scale(
        "small",
        {f"resnet{depth}": "mishra2019-small" for depth in (18, 34, 50, 101)},
        most_photos=600,
        repeats=((0, 0), (1, 0)),
        depth_repeats=((0, 0),),
        taken_apart="resnet18",
        outpatient_photos=400,
    ),
}
"""`full`: the paper's setting, for a GPU; `small`: every step, within 20 minutes on two CPU cores."""

PARTS = {
    "recipe": "the recipe",
    "plain": "plain training: one cycle, one rate, everything unfrozen, class-balanced cross-entropy",
    "no-range-test": f"a rate of {PLAIN_RATE:g} in place of the range test's",
    "no-restarts": "one cosine a phase in place of the restarts",
    "no-frozen-phase": "nothing frozen in the first phase",
    "no-discriminative-rates": "one rate for the whole network in the second phase",
    "cross-entropy": "softmax cross-entropy in place of binary cross-entropy",
}
"""The arms that take the recipe apart: each differs in what its words say, and has as many epochs."""


def without(recipe: Recipe, part: str) -> Recipe:
    """The recipe with one of its parts taken out; see `PARTS`."""
    first, second = recipe.phases
    if part == "recipe":
        return recipe
    if part == "plain":
        whole = Phase("whole network", cycles=1, cycle_len=recipe.epochs)
        return replace(
            recipe, phases=(whole,), learning_rate=PLAIN_RATE, loss="cross-entropy", class_balance=1.0
        )
    if part == "no-range-test":
        return replace(recipe, learning_rate=PLAIN_RATE)
    if part == "no-restarts":
        phases = tuple(
            replace(phase, cycles=1, cycle_len=phase.epochs, cycle_mult=1) for phase in recipe.phases
        )
        return replace(recipe, phases=phases)
    if part == "no-frozen-phase":
        return replace(recipe, phases=(replace(first, lr_scale=second.lr_scale), second))
    if part == "no-discriminative-rates":
        return replace(recipe, phases=(first, replace(second, lr_scale=(1.0, 1.0, 1.0))))
    if part == "cross-entropy":
        return replace(recipe, loss="cross-entropy")
    raise ValueError(f"the recipe has no part '{part}'; it has {', '.join(PARTS)}")


def with_something_to_learn_from(recipe: Recipe) -> Recipe:
    """The recipe, whose first phase also trains the last third of a network that starts, or ends, at random.

    A head alone on random features learns next to nothing, and the range test no rate.
    """
    if recipe.weights != "random" and not recipe.random_stages:
        return recipe
    first = replace(recipe.phases[0], name="last third", lr_scale=(0.0, 0.0, 1.0))
    return replace(recipe, phases=(first, *recipe.phases[1:]))


@dataclass(frozen=True)
class Experiment:
    """All that is to be trained, and which arm stands for what: names of arms in the plan."""

    scale: Scale
    manifest: Manifest = field(repr=False)
    plan: Plan = field(repr=False)
    depths: dict[str, list[str]]
    """Table 2: the arms of each architecture, one a repeat."""
    parts: dict[str, list[str]]
    """The recipe taken apart: the arms of each of `PARTS`, one a repeat."""
    sets: dict[str, str]
    """Sec. 5.1: the arm trained on the `even`, the `outpatient` and the `resampled` set."""
    shares: np.ndarray
    """(P,) of outpatients, a label each."""

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
            out: where a phantom's further photos are drawn.
            weights: what the networks start from, in place of the recipes' own. A file fits one architecture: the
                depths, which must start alike to be compared, then start at random.
            random_stages: stages that the file lacks.

        Raises:
            DataError: photos with several lesions, too few photos of a label, or a fixed split, which has no
            folds.
        """
        _check(manifest)
        plan = Plan()

        def recipe(architecture: str) -> Recipe:
            own = scale.recipe(architecture)
            if weights is not None and (architecture == scale.taken_apart or _fits_any(weights)):
                own = replace(own, weights=weights, random_stages=random_stages)
            return with_something_to_learn_from(own)

        depths: dict[str, list[str]] = {}
        for architecture in scale.depths:
            own = recipe(architecture)
            if weights is not None and not _fits_any(weights):
                own = with_something_to_learn_from(replace(scale.recipe(architecture), weights="random"))
            depths[architecture] = [
                plan.add(_name(architecture, fold, seed), replace(own, fold=fold, seed=seed), manifest)
                for fold, seed in scale.depth_repeats
            ]
        base = recipe(scale.taken_apart)
        base = replace(base, phases=tuple(replace(phase, patience=0) for phase in base.phases))
        parts = {
            part: [
                plan.add(
                    _name(part, fold, seed), replace(without(base, part), fold=fold, seed=seed), manifest
                )
                for fold, seed in scale.repeats
            ]
            for part in PARTS
        }
        training, validation = hold_out(manifest)
        if manifest.name == "phantom" and manifest.synthetic:
            even, outpatient = drawn_parts(
                manifest,
                validation,
                folder=out / "data",
                n_photos=scale.outpatient_photos,
                seed=OUTPATIENT_SEED,
            )
        else:
            even, outpatient = imbalanced_parts(manifest, training, validation, seed=0)
        plainly = replace(base, class_balance=0.0)
        sets = {
            "even": plan.add("set-even", plainly, even),
            "outpatient": plan.add("set-outpatient", plainly, outpatient),
            "resampled": plan.add("set-resampled", replace(plainly, resample=1.0), outpatient),
        }
        return cls(scale, manifest, plan, depths, parts, sets, outpatient_shares(manifest))


def take_photos(data: str, scale: Scale, out: Path) -> tuple[Manifest, int]:
    """The photos of the experiment, cut to the scale's size by whole groups, and how many there were before.

    The phantom is drawn with the counts of Table 1, or with their proportions at a smaller scale.
    """
    if data == "phantom":
        total = sum(TABLE_1_COUNTS.values())
        n_photos = total if scale.most_photos is None else min(total, scale.most_photos)
        return write_phantom(out / "data" / "phantom", n_photos=n_photos), n_photos
    manifest = load_manifest(data)
    return about(manifest, scale.most_photos), len(manifest)


def _check(manifest: Manifest) -> None:
    if not manifest.single_label:
        raise DataError(
            f"{manifest.name} has photos with several lesions, and the paper's have one each; name the most "
            "important lesion of each photo alone."
        )
    check_no_fixed_split(manifest)
    lesions = manifest.table["lesions"].map(lambda own: own[0])
    for label in manifest.lesion_labels:
        n_groups = manifest.table["group"][lesions == label].nunique()
        if n_groups < 2:
            raise DataError(
                f"{manifest.name}: label '{label}' has photos of {n_groups} patients or lesions, and both sides "
                "of the split need one at least; add photos of it, or merge it with another label."
            )


def _fits_any(weights: str) -> bool:
    return not weights.endswith(".safetensors")


def _name(arm: str, fold: int, seed: int) -> str:
    return f"{arm}-fold{fold}-seed{seed}"

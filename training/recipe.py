"""An experiment as data: a TOML file that becomes a frozen dataclass.

    recipe = load_recipe("mishra2019-resnet18")

Files lie in `training/recipes/`; `base = "NAME"` starts from another one. A path to a TOML file of one's own
works in place of a name, and every field can be overridden on the command line.
"""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from training.errors import RecipeError

RECIPES_DIR = Path(__file__).parent / "recipes"

Loss = Literal["binary-cross-entropy", "cross-entropy"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
LayerGroups = Literal["thirds", "fastai"]
Schedule = Literal["warm-restarts", "plateau"]
Keep = Literal["best", "last"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one set of layer groups and one kind of schedule."""

    name: str = "whole network"
    """Shown in plots and progress bars."""
    lr_scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Of the early, middle and late layer group, times the base learning rate; 0 freezes a group. The heads
    always train at 1."""
    cycles: int = 3
    """Warm restarts: how many cosine cycles are run."""
    cycle_len: int = 1
    """Length of the first cycle, in epochs."""
    cycle_mult: int = 1
    """Each cycle is this many times as long as the one before."""
    patience: int = 0
    """End the phase at a cycle's end when validation has not improved for this many epochs; 0 never."""
    schedule: Schedule = "warm-restarts"
    """`warm-restarts`: cosine annealing in cycles. `plateau`: one rate, lowered whenever the training loss stays
    where it is; the phase's length is still given by its cycles."""
    plateau_epochs: int = 5
    """Lower the rate after more epochs in a row than this without a lower training loss."""
    plateau_factor: float = 0.1
    """Times which the rate is then taken."""

    def __post_init__(self) -> None:
        for name in ("cycles", "cycle_len", "cycle_mult"):
            if getattr(self, name) < 1:
                raise RecipeError(
                    f"phase '{self.name}': {name} is {getattr(self, name)}; at least 1 is valid."
                )
        if min(self.lr_scale) < 0 or self.patience < 0:
            raise RecipeError(f"phase '{self.name}': lr_scale and patience must not be negative.")
        if self.plateau_epochs < 0 or not 0 < self.plateau_factor < 1:
            raise RecipeError(
                f"phase '{self.name}': plateau_epochs is {self.plateau_epochs} (valid: 0 or more) and "
                f"plateau_factor {self.plateau_factor} (valid: between 0 and 1)."
            )

    @property
    def epochs(self) -> int:
        return sum(self.cycle_len * self.cycle_mult**cycle for cycle in range(self.cycles))


@dataclass(frozen=True)
class Augmentation:
    """Random changes to a training photo (Mishra et al. 2019, Sec. 3: cropping, flips both ways, zoom)."""

    min_area: float = 0.5
    """Smallest share of the photo that a random crop takes; 1 takes the whole photo."""
    max_stretch: float = 1.2
    """Largest ratio of a crop's sides."""
    horizontal_flip: bool = True
    vertical_flip: bool = True
    brightness: float = 0.1
    """Largest change of all channels, as a share."""
    colour: float = 0.05
    """Largest change of each channel on its own, as a share: white balance."""
    shorter_side: tuple[int, int] = (0, 0)
    """Scale jitter in place of min_area and max_stretch: the photo's shorter side is scaled to a length drawn from
    this range, in pixels, and a square of the training size is cut from it (Simonyan & Zisserman 2014, Sec.
    3.1)."""

    def __post_init__(self) -> None:
        if not 0 < self.min_area <= 1 or self.max_stretch < 1:
            raise RecipeError(
                f"augmentation: min_area is {self.min_area} (valid: above 0, up to 1) and max_stretch "
                f"{self.max_stretch} (valid: 1 or more)."
            )
        low, high = self.shorter_side
        if not 0 <= low <= high:
            raise RecipeError(
                f"augmentation: shorter_side is {low} to {high}; give the smaller length first."
            )


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run but the data and the place."""

    name: str
    description: str = ""
    architecture: str = "resnet50"
    """A torchvision ResNet (resnet18, resnet34, resnet50, resnet101 or resnet152), or its alexnet."""
    weights: str = "random"
    """`random`, `IMAGENET1K_V1` or `IMAGENET1K_V2` (torchvision's, cached or downloaded), or a .safetensors
    file in torchvision's key names."""
    random_stages: tuple[str, ...] = ()
    """Stages that a weights file lacks and that may stay random, such as `layer4`. Never silently."""
    tasks: tuple[str, ...] = ("lesion",)
    """`lesion`, or `lesion` and `location` for the second head of Liao & Luo 2017."""
    loss: Loss = "binary-cross-entropy"
    """One-versus-all over the labels (both papers), or softmax cross-entropy, for photos with one label."""
    class_balance: float = 0.0
    """Weight photos by (1 / label frequency) to this power in the loss: 0 not at all, 1 fully balanced."""
    resample: float = 0.0
    """Draw photos in an epoch by (1 / label frequency) to this power: 0 each once, 1 every label equally often."""
    layer_groups: LayerGroups = "thirds"
    """Where the network is cut into early, middle and late: by thirds of its blocks (the paper's
    words), or stem + layer1-2 | layer3-4 | heads (fastai 0.7, which the paper's code followed)."""
    phases: tuple[Phase, ...] = (Phase(),)
    input_size: int = 224
    """Side of the square that the network sees when scoring, in pixels."""
    train_size: int = 0
    """Side of the training crops, in pixels; 0 is input_size. A random crop enlarges what it shows, so training on
    somewhat smaller squares costs less and loses nothing (Touvron et al. 2019)."""
    crop_fraction: float = 1.0
    """Share of the shorter side that the central square takes when scoring."""
    batch_size: int = 64
    learning_rate: float = 0.0
    """The base rate; 0 chooses it by the LR range test."""
    range_test_steps: int = 100
    """Length of the LR range test, in steps."""
    head_lr_scale: tuple[float, float] = (1.0, 1.0)
    """Of the heads' weights and of their biases, times the base learning rate; 10 and 20 in Liao & Luo 2017."""
    momentum: float = 0.9
    weight_decay: float = 1e-4
    augmentation: Augmentation = Augmentation()
    validation_share: float = 1 / 6
    """Held out by group; the paper's 5:1."""
    fold: int = 0
    """Which of the round(1 / validation_share) folds is held out."""
    seed: int = 0
    keep: Keep = "best"
    """Whose weights are kept: those of the epoch that the held-out photos like `best`, or those of the `last`,
    which were chosen without a look at them."""
    precision: Precision = "auto"
    """`auto`: bf16 mixed precision on CUDA, fp32 on the CPU. `bf16` is faster on CPUs that have it; `fp16`, with
    loss scaling, is for older GPUs."""

    def __post_init__(self) -> None:
        unknown = [task for task in self.tasks if task not in ("lesion", "location")]
        if unknown or "lesion" not in self.tasks:
            raise RecipeError(f"tasks is {self.tasks}; valid are ('lesion',) and ('lesion', 'location').")
        if not self.phases:
            raise RecipeError(f"recipe '{self.name}' has no phase; at least one is needed.")
        for name, low in (("input_size", 32), ("batch_size", 2), ("range_test_steps", 10)):
            if getattr(self, name) < low:
                raise RecipeError(f"{name} is {getattr(self, name)}; at least {low} is valid.")
        if not 0 < self.validation_share <= 0.5:
            raise RecipeError(f"validation_share is {self.validation_share}; valid is above 0, up to 0.5.")
        for name in ("class_balance", "resample"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; valid is from 0 (not at all) to 1.")
        if not 0 < self.crop_fraction <= 1:
            raise RecipeError(f"crop_fraction is {self.crop_fraction}; valid is above 0, up to 1.")
        smallest = self.augmentation.shorter_side[0]
        if smallest and smallest < (self.train_size or self.input_size):
            raise RecipeError(
                f"augmentation: shorter_side starts at {smallest} pixels, and the network trains on squares of "
                f"{self.train_size or self.input_size}; start at that, or above."
            )
        if min(self.head_lr_scale) <= 0:
            raise RecipeError(
                f"head_lr_scale is {self.head_lr_scale}; the heads always train: above 0 is valid."
            )
        if self.keep == "last" and any(phase.patience for phase in self.phases):
            raise RecipeError(
                "keep is 'last' and a phase has a patience, which asks the held-out photos when to end; take "
                "keep 'best', or patience 0."
            )
        if self.learning_rate < 0 or self.weight_decay < 0 or not 0 <= self.momentum < 1:
            raise RecipeError("learning_rate and weight_decay must not be negative; momentum lies in [0, 1).")

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    @property
    def decode_min_side(self) -> int:
        """The shorter side, in pixels, that photos keep or exceed, so that a random crop still fills the input."""
        return max(round(1.25 * self.input_size / self.crop_fraction), self.augmentation.shorter_side[1])


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in RECIPES_DIR.glob("*.toml"))


def recipe_argument(arguments: list[str], default: str) -> str:
    """The value of `--recipe`, which a command line needs before the options that it gives their defaults."""
    for position, argument in enumerate(arguments):
        if argument.startswith("--recipe="):
            return argument.removeprefix("--recipe=")
        if argument == "--recipe" and position + 1 < len(arguments):
            return arguments[position + 1]
    return default


def load_recipe(name: str) -> Recipe:
    """A recipe by its name, or by the path of a TOML file.

    Raises:
        RecipeError: no such recipe, not TOML, or a key that no recipe has.
    """
    values = _read(name)
    try:
        return from_dict(values)
    except TypeError as error:
        raise RecipeError(f"recipe '{name}': {error}.") from error


def from_dict(values: dict[str, Any]) -> Recipe:
    """The inverse of `dataclasses.asdict`, for values read from TOML or JSON."""
    values = _tuples(values)
    phases = tuple(Phase(**_known(Phase, phase)) for phase in values.pop("phases", ()))
    augmentation = Augmentation(**_known(Augmentation, values.pop("augmentation", {})))
    recipe = Recipe(**_known(Recipe, values), augmentation=augmentation)
    return dataclasses.replace(recipe, phases=phases) if phases else recipe


def _read(name: str) -> dict[str, Any]:
    path = RECIPES_DIR / f"{name}.toml" if not name.endswith(".toml") else Path(name)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(
            f"there is no recipe '{name}'; valid are {', '.join(recipe_names())}, or a path to a .toml file."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {path} is not valid TOML: {error}.") from error
    base = values.pop("base", None)
    inherited = _read(base) if base else {}
    augmentation = inherited.get("augmentation", {}) | values.pop("augmentation", {})
    return inherited | {"name": path.stem} | values | ({"augmentation": augmentation} if augmentation else {})


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    valid = [field.name for field in dataclasses.fields(kind)]
    unknown = [key for key in values if key not in valid]
    if unknown:
        raise RecipeError(f"a recipe has no key '{unknown[0]}'; valid are {', '.join(valid)}.")
    return values


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value

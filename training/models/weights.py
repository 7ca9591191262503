"""Starting weights: random, torchvision's, or a file, loaded by name and never partly in silence.

load_weights(network, "resnet18", "partial.safetensors", random_stages=("layer4",))
"""

from pathlib import Path

import safetensors
import safetensors.torch
import torch
import torchvision

from training.errors import RecipeError
from training.models.networks import LesionNetwork

HEAD_PREFIXES = ("lesion_head.", "location_head.")
"""Keys that are passed over, as those of the ImageNet head are, which has no use here: heads start at random."""
TORCHVISION_WEIGHTS = ("IMAGENET1K_V1", "IMAGENET1K_V2")


def load_weights(
    network: LesionNetwork, architecture: str, weights: str, random_stages: tuple[str, ...] = ()
) -> str:
    """Fill a network's trunk.

    Args:
        weights: `random`, a name of torchvision's (from its cache, or downloaded), or a .safetensors file in
            torchvision's key names.
        random_stages: stages, or other parts of the trunk, that the file may lack; they keep their random weights.

    Returns:
        One sentence for the report on where the weights come from.

    Raises:
        RecipeError: no such weights, or they do not fit the network; the first keys that do not are named.
    """
    if weights == "random":
        return "Every layer starts from random weights."
    if weights in TORCHVISION_WEIGHTS:
        state = _torchvision_state(architecture, weights)
    else:
        state = _file_state(Path(weights))
    passed_over = (network.imagenet_head, *HEAD_PREFIXES)
    state = {key: value for key, value in state.items() if not key.startswith(passed_over)}
    _check_fit(network, state, weights, random_stages)
    network.load_state_dict(state, strict=False)
    stays_random = f"; {', '.join(random_stages)} and the heads start at random" if random_stages else ""
    return f"The trunk starts from {Path(weights).name}{stays_random}."


def _torchvision_state(architecture: str, weights: str) -> dict[str, torch.Tensor]:
    try:
        entry = torchvision.models.get_model_weights(architecture)[weights]
    except KeyError:
        raise RecipeError(f"weights '{weights}': torchvision has none for {architecture}.") from None
    try:
        return dict(entry.get_state_dict(progress=True, check_hash=True))
    except OSError as error:
        raise RecipeError(
            f"weights '{weights}' of {architecture} are not in torchvision's cache "
            f"({torch.hub.get_dir()}) and cannot be downloaded ({error}); connect once, give a .safetensors "
            "file, or take 'random'."
        ) from error


def _file_state(path: Path) -> dict[str, torch.Tensor]:
    try:
        return dict(safetensors.torch.load_file(path))
    except FileNotFoundError:
        raise RecipeError(
            f"weights '{path}': there is no such file; valid are 'random', "
            f"{', '.join(TORCHVISION_WEIGHTS)}, or a .safetensors file."
        ) from None
    except (safetensors.SafetensorError, OSError) as error:
        raise RecipeError(f"weights '{path}' is not a whole .safetensors file ({error}).") from error


def _check_fit(
    network: LesionNetwork, state: dict[str, torch.Tensor], weights: str, random_stages: tuple[str, ...]
) -> None:
    own = {key: value for key, value in network.state_dict().items() if not key.startswith(HEAD_PREFIXES)}
    allowed = tuple(f"{stage}." for stage in random_stages)
    missing = [
        key
        for key in own
        if key not in state and not key.startswith(allowed) and not key.endswith("num_batches_tracked")
    ]
    foreign = [key for key in state if key not in own]
    misshapen = [key for key in state if key in own and state[key].shape != own[key].shape]
    for keys, what in ((missing, "lack"), (foreign, "have beyond it"), (misshapen, "shape otherwise")):
        if keys:
            raise RecipeError(
                f"weights '{weights}' do not fit the network: they {what} {', '.join(keys[:3])}"
                f"{f' and {len(keys) - 3} more keys' if len(keys) > 3 else ''}; choose the architecture they "
                "are for, or name the stages that may stay random in random_stages."
            )

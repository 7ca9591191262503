"""A network's features of photos: of a finished run, or of a weights file that may lack late stages.

trunk = open_trunk(Path("runs/demo"))
features = trunk.features([image_rgb, other_rgb])
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.errors import CheckpointError, RecipeError
from training.models.card import Preprocessing
from training.models.checkpoint import load_checkpoint
from training.models.networks import STAGES, LesionResNet, build_network, pool
from training.models.preprocess import preprocess
from training.models.weights import load_weights

FILE_VIEW = Preprocessing(128, decode_min_side=128)
"""What a bare weights file is shown; a run's card says it itself."""


@dataclass(frozen=True)
class Trunk:
    """A network up to its heads, in evaluation mode on the CPU.

    embed: (N, 3, H, W) float32, normalised RGB, to (N, C) float32.
    note: half a sentence on what it is, for a report.
    """

    embed: Callable[[torch.Tensor], torch.Tensor]
    view: Preprocessing
    note: str

    @torch.inference_mode()
    def features(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """(N, C) float32 of N (H, W, 3) uint8 RGB photos of any size, of `view.decode_min_side` or more."""
        batch = torch.cat([preprocess(torch.tensor(image)[None], self.view) for image in images])
        return self.embed(batch).numpy()


def open_trunk(path: Path, architecture: str = "resnet18") -> Trunk:
    """The trunk of a run's folder, or of a ResNet's .safetensors file in torchvision's key names.

    Args:
        architecture: of a weights file; a run's card knows its own.

    Raises:
        CheckpointError: there is neither, or it is damaged.
        RecipeError: the weights do not fit the architecture.
    """
    if path.suffix != ".safetensors":
        checkpoint = load_checkpoint(path)
        card = checkpoint.card
        return Trunk(checkpoint.network.embed, card.preprocessing, f"{card.name} ({card.architecture})")
    stages = _whole_stages(path)
    network = build_network(architecture, n_lesions=1)
    if not isinstance(network, LesionResNet):
        raise RecipeError(
            f"architecture is '{architecture}', and {path} holds a ResNet's weights; name that ResNet."
        )
    load_weights(network, architecture, str(path), random_stages=STAGES[len(stages) :])
    stem = (network.conv1, network.bn1, network.relu, network.maxpool)
    layers = nn.Sequential(*stem, *(getattr(network, stage) for stage in stages)).eval()
    note = f"{path.name} ({architecture} up to {stages[-1]})"
    return Trunk(lambda batch: pool(layers(batch)), FILE_VIEW, note)


def _whole_stages(path: Path) -> tuple[str, ...]:
    """The stages that a weights file has, from the first on without a gap."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            present = {key.split(".")[0] for key in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is not there; name a run's folder or a .safetensors weights file."
        ) from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole .safetensors file ({error}); copy it again.") from error
    stages = []
    for stage in STAGES:
        if stage not in present:
            break
        stages.append(stage)
    if not stages:
        raise CheckpointError(
            f"{path} has none of {', '.join(STAGES)}; a ResNet in torchvision's key names is needed."
        )
    return tuple(stages)

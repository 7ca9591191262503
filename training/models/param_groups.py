"""Named layer groups: which parameters train, and at what share of the base learning rate.

    groups = param_groups(network, "thirds")

Mishra et al. 2019, Sec. 3: the first third of the network at 0.01 of the rate, the middle third at 0.1, the
last third at 1. Where the thirds are cut is data, made here from the network's blocks.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from training.errors import RecipeError
from training.models.networks import LesionNetwork, LesionResNet

TRUNK_GROUPS = ("early", "middle", "late")
HEADS = "heads"


@dataclass(frozen=True)
class LayerGroup:
    """A named part of a network: the modules that it consists of."""

    name: str
    modules: tuple[str, ...]
    """Dotted names within the network, such as `layer3.1`."""

    def parameters(self, network: nn.Module) -> list[nn.Parameter]:
        return [value for name in self.modules for value in network.get_submodule(name).parameters()]


def layer_groups(network: LesionNetwork, cut: str = "thirds") -> tuple[LayerGroup, ...]:
    """Part a network into early, middle, late and heads; every parameter stands in just one group.

    Args:
        cut: `thirds` parts the network's blocks into thirds, as near as whole blocks allow, the stem joining the
            first; `fastai` cuts as fastai 0.7 did: stem + layer1-2 | layer3-4 | the heads alone (late is empty).

    Raises:
        RecipeError: the cut is not known, or is one of stages that the network has not.
    """
    stem, blocks = network.stem, network.blocks
    if cut == "thirds":
        first, second = round(len(blocks) / 3), round(2 * len(blocks) / 3)
        parts = (stem + blocks[:first], blocks[first:second], blocks[second:])
    elif cut == "fastai":
        if not isinstance(network, LesionResNet):
            raise RecipeError(
                "layer_groups is 'fastai', which cuts between a ResNet's stages, and this architecture has none; "
                "take 'thirds'."
            )
        parts = (
            stem + tuple(name for name in blocks if name < "layer3"),
            tuple(name for name in blocks if name > "layer3"),
            (),
        )
    else:
        raise RecipeError(f"layer_groups is '{cut}'; valid are 'thirds' and 'fastai'.")
    heads = ("lesion_head",) if network.location_head is None else ("lesion_head", "location_head")
    return (*(LayerGroup(*part) for part in zip(TRUNK_GROUPS, parts, strict=True)), LayerGroup(HEADS, heads))


def optimizer_groups(
    network: LesionNetwork,
    groups: tuple[LayerGroup, ...],
    lr_scale: tuple[float, float, float],
    head_lr_scale: tuple[float, float] = (1.0, 1.0),
) -> list[dict[str, Any]]:
    """What an optimiser of torch takes: the groups that train, each with its `name` and its `lr_scale`.

    Args:
        lr_scale: of the early, middle and late group.
        head_lr_scale: of the heads' weights (`heads.weight`) and of their biases (`heads.bias`).
    """
    *trunk, heads = groups
    made = [
        {"name": group.name, "params": group.parameters(network), "lr_scale": scale}
        for group, scale in zip(trunk, lr_scale, strict=True)
        if scale > 0 and group.modules
    ]
    linear = [network.get_submodule(name) for name in heads.modules]
    for kind, scale in zip(("weight", "bias"), head_lr_scale, strict=True):
        parameters = [getattr(layer, kind) for layer in linear]
        made.append({"name": f"{heads.name}.{kind}", "params": parameters, "lr_scale": scale})
    return made


def freeze(network: LesionNetwork, groups: tuple[LayerGroup, ...], lr_scale: tuple[float, ...]) -> None:
    """Let only the groups with a positive `lr_scale` train.

    A frozen group's batch norm runs in evaluation mode: its statistics stay those of its weights. Call this
    after `network.train()`, which puts every layer back into training mode.
    """
    for group, scale in zip(groups, lr_scale, strict=True):
        for name in group.modules:
            module = network.get_submodule(name)
            module.train(scale > 0)
            module.requires_grad_(scale > 0)

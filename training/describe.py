"""A recipe in words: its phases, and the layer groups of its network with the rate that each trains at.

print(describe(load_recipe("mishra2019-resnet50")))
"""

from training.models.networks import build_network
from training.models.param_groups import HEADS, layer_groups
from training.recipe import Recipe

N_LABELS = 10
"""Of the network that is described; the labels of a data set decide on the real one."""


def describe(recipe: Recipe) -> str:
    """Lines for a terminal: what trains in which phase, and where the network is cut."""
    network = build_network(recipe.architecture, N_LABELS)
    lines = [
        f"{recipe.name}: {recipe.description}",
        f"  {recipe.architecture} at {recipe.input_size} pixels from {recipe.weights} weights, batch "
        f"{recipe.batch_size}, {recipe.loss}, seed {recipe.seed}",
        "  learning rate: "
        + (f"{recipe.learning_rate:g}" if recipe.learning_rate else "chosen by the LR range test"),
        "",
        f"  layer groups ({recipe.layer_groups}), and each phase's share of the learning rate",
    ]
    rows = [("group", "modules", "parameters", *(phase.name for phase in recipe.phases))]
    for index, group in enumerate(layer_groups(network, recipe.layer_groups)):
        count = sum(parameter.numel() for parameter in group.parameters(network))
        if count:
            if group.name == HEADS:
                shares = [" and ".join(f"{scale:g}" for scale in dict.fromkeys(recipe.head_lr_scale))] * len(
                    recipe.phases
                )
            else:
                scales = [phase.lr_scale[index] for phase in recipe.phases]
                shares = ["frozen" if scale == 0 else f"{scale:g}" for scale in scales]
            rows.append((group.name, _span(group.modules), f"{count:,}", *shares))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines += [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]
    lines.append("")
    for number, phase in enumerate(recipe.phases, 1):
        lengths = [phase.cycle_len * phase.cycle_mult**cycle for cycle in range(phase.cycles)]
        ends = f", ends when nothing has improved for {phase.patience} epochs" if phase.patience else ""
        if phase.schedule == "plateau":
            how = (
                f"{phase.epochs} epochs, the rate times {phase.plateau_factor:g} after more than "
                f"{phase.plateau_epochs} without a lower training loss"
            )
        else:
            how = f"cosine cycles of {', '.join(map(str, lengths))} epochs"
        lines.append(f"  phase {number}, {phase.name}: {how}{ends}")
    return "\n".join(lines)


def _span(modules: tuple[str, ...]) -> str:
    """`layer1.0 .. layer2.3`, or the names, where they are few."""
    return " ".join(modules) if len(modules) < 3 else f"{modules[0]} .. {modules[-1]}"

"""The network as it is deployed: preprocessing, calibrated probabilities and heatmaps in one ONNX graph.

    write_graph(load_checkpoint("runs/demo"), Path("model.onnx"))

For global average pooling followed by a linear layer, Grad-CAM on the last stage is the class activation map
of Zhou et al. 2016 up to a positive factor (Selvaraju et al. 2017, section 3.1), so the heatmap of every
label is one 1x1 convolution: no gradients, no second pass. AlexNet's is Grad-CAM too, by products of matrices.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from onnxscript.optimizer import optimize_ir
from torch import nn

from export.contract import IMAGE, output_names
from training.models.card import METADATA_KEY, ModelCard
from training.models.checkpoint import Checkpoint
from training.models.networks import LesionNetwork
from training.models.preprocess import preprocess

OPSET = 18
"""The first with an antialiased Resize, and the one that the exporter writes without a conversion."""
ANY_SIZE = 2**40
"""Of constants, in bytes, that the exporter may compute beforehand."""
EXAMPLE_SHAPE = (2, 97, 131, 3)
"""Of the photos that trace the graph: more than one, of unequal sides, so that no size is taken as fixed."""


class DeployableClassifier(nn.Module):
    """An untouched network between its preprocessing and its answers."""

    def __init__(self, network: LesionNetwork, card: ModelCard) -> None:
        super().__init__()
        self.network = network
        self.card = card

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(N, H, W, 3) uint8 RGB to the outputs of `export.contract`, in their order."""
        feature_map = self.network.feature_map(preprocess(image, self.card.preprocessing))
        features = self.network.features_of(feature_map)
        logits = self.network.heads(features)
        lesion = lesion_probabilities(logits.lesion, self.card)
        location = () if logits.location is None else (logits.location.softmax(dim=1),)
        return lesion, *location, self.network.class_activation_maps(feature_map, features), features


def lesion_probabilities(logits: torch.Tensor, card: ModelCard) -> torch.Tensor:
    """(N, P) lesion logits to calibrated probabilities, by the card's temperature and activation."""
    calibrated = logits / card.temperature
    return calibrated.sigmoid() if card.activation == "sigmoid" else calibrated.softmax(dim=1)


def write_graph(checkpoint: Checkpoint, path: Path) -> None:
    """Write the deployable graph, its weights and its card to one ONNX file at `path`."""
    module = DeployableClassifier(checkpoint.network, checkpoint.card).eval()
    sizes = {0: torch.export.Dim("n"), 1: torch.export.Dim("height"), 2: torch.export.Dim("width")}
    # The exporter reports its stages on standard output, which belongs to the command's own result.
    with contextlib.redirect_stdout(io.StringIO()):
        program = torch.onnx.export(
            module,
            (torch.zeros(EXAMPLE_SHAPE, dtype=torch.uint8),),
            input_names=[IMAGE],
            output_names=list(output_names(checkpoint.card)),
            dynamic_shapes=(sizes,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    # The exporter leaves sums over large weights in the graph, to be taken anew at every opening.
    optimize_ir(program.model, input_size_limit=ANY_SIZE, output_size_limit=ANY_SIZE)
    _strip_traces(program.model)
    program.model.metadata_props[METADATA_KEY] = checkpoint.card.to_json()
    program.save(path, external_data=False)


def _strip_traces(model: Any) -> None:
    """Drop the exporter's notes: stack traces and folders of the machine that wrote the file."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph:
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()

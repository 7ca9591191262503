"""A Grad-CAM library's way to a prediction with a heatmap: what the map in the exported graph is compared with.

bind = open_grad_cam(Subject("pytorch-grad-cam", "runs/demo", precision="fp32", threads=2))
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from torch import nn

from benchmarks.latency_torch import use_threads
from benchmarks.latency_variants import GRAD_CAM, Bind, Call, Subject
from training.models.checkpoint import load_checkpoint
from training.models.networks import LesionNetwork
from training.models.preprocess import preprocess


def open_grad_cam(subject: Subject) -> Bind:
    """A prediction, and the heatmap of its most probable label by gradients through the whole network."""
    checkpoint = load_checkpoint(subject.path)
    network, card = checkpoint.network, checkpoint.card
    cam = GradCAM(LesionLogits(network), [network.get_submodule(network.last_stage)])

    def bind(images: Sequence[np.ndarray]) -> Call:
        array = torch.from_numpy(np.stack(images))

        def call() -> object:
            use_threads(subject.threads)
            # Without targets the library takes each photo's most probable label, from the same forward pass.
            return cam(preprocess(array, card.preprocessing), targets=None), cam.outputs

        return call

    return bind


class LesionLogits(nn.Module):
    """The library explains a network that gives one tensor."""

    def __init__(self, network: LesionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(image).lesion


OPENERS: dict[str, Callable[[Subject], Bind]] = {GRAD_CAM: open_grad_cam}

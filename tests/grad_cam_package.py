"""pytorch-grad-cam as an oracle for networks of two heads.

maps = package_maps(network, images, labels)
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from benchmarks.latency_grad_cam import LesionLogits
from training.models.networks import LesionNetwork


def package_maps(network: LesionNetwork, images: torch.Tensor, labels: Sequence[int]) -> np.ndarray:
    """The package's Grad-CAM at the last stage, before its ReLU and its scaling.

    Args:
        network: a copy of it is used.
        images: (N, 3, H, W) float32, normalised RGB.
        labels: (N,) int.

    Returns:
        (N, h, w) float32.
    """
    module = LesionLogits(copy.deepcopy(network))
    layer = module.network.get_submodule(network.last_stage)
    with GradCAM(module, [layer]) as package:
        package(images, [ClassifierOutputTarget(label) for label in labels])
        hooks = package.activations_and_grads
        return package.get_cam_image(
            images, layer, [], hooks.activations[0].numpy(), hooks.gradients[0].numpy()
        )

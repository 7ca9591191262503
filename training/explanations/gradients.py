"""Where in a photo a label's evidence lies: Grad-CAM, and guided backpropagation to the pixels.

    heatmaps = grad_cam(network, images, labels)
    gradients = guided_backpropagation(network, images, labels)

Sources: Selvaraju et al. 2017, Eq. 1 and 2; Springenberg et al. 2014, Sec. 3.4. Both only look: parameters keep
their gradients and their `requires_grad`, modules their mode, and no hook is placed. What guided backpropagation
shows depends little on the label and the last layers (Adebayo et al. 2018): it shows detail, not reasons.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from training.models.networks import LesionNetwork

RELUS = (functional.relu, functional.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_)
"""Every function by which torchvision's residual blocks, or a custom trunk, may come to a ReLU."""


def grad_cam(
    network: LesionNetwork, images: torch.Tensor, labels: Sequence[int] | torch.Tensor
) -> torch.Tensor:
    """Grad-CAM at the last convolutional stage.

    The gradient of the label's logit, averaged over the places of a channel, weights that channel; the weighted
    sum is cut off at zero. It is not scaled to [0, 1]: maps of one photo, and of several, can be compared. Where
    the head is linear after global average pooling, as in a ResNet, h * w times the map is the positive part of
    the class activation map, in units of the logit.

    Args:
        images: (N, 3, H, W) float32, normalised RGB, on the network's device.
        labels: (N,) int, the lesion label to explain in each image.

    Returns:
        (N, h, w) float32, at least 0, of the feature map's h and w, on the network's device.

    Raises:
        ValueError: there is not one valid label an image.
    """
    with _evaluation(network):
        chosen = _chosen(network, images, labels)
        with torch.no_grad():
            trunk_map = network.feature_map(images)
        feature_map = (
            trunk_map.clone().requires_grad_()
        )  # A tensor made under inference mode takes no gradient.
        logits = network.heads(network.features_of(feature_map)).lesion.gather(1, chosen)
        (gradient,) = torch.autograd.grad(logits.sum(), feature_map)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * feature_map.detach()).sum(1).relu()


def guided_backpropagation(
    network: LesionNetwork, images: torch.Tensor, labels: Sequence[int] | torch.Tensor
) -> torch.Tensor:
    """The gradient of a label's logit with respect to the image, positive at every ReLU on the way back.

    Args:
        images: (N, 3, H, W) float32, normalised RGB, on the network's device.
        labels: (N,) int, the lesion label to explain in each image.

    Returns:
        (N, 3, H, W) float32, signed, in logits per unit of the normalised input, on the network's device.

    Raises:
        ValueError: there is not one valid label an image.
    """
    with _evaluation(network):
        chosen = _chosen(network, images, labels)
        leaf = images.detach().clone().requires_grad_()
        with _GuideRelus():
            logits = network(leaf).lesion.gather(1, chosen)
        (gradient,) = torch.autograd.grad(logits.sum(), leaf)
    return gradient


class _GuidedRelu(torch.autograd.Function):
    """A ReLU, never in place, whose gradient passes only where its input and the gradient are positive."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        output = values.clamp(min=0)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (output,) = ctx.saved_tensors
        return gradients[0].clamp(min=0) * (output > 0)


class _GuideRelus(TorchFunctionMode):
    """While it is on, in this thread, each call of a ReLU is a guided one.

    The call is exchanged, not the module: torchvision's blocks use one module several times, in place, where a
    backward hook would fail, and a network that is not touched needs no putting back.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in RELUS:
            return _GuidedRelu.apply(args[0] if args else kwargs["input"])
        return function(*args, **kwargs)


@contextmanager
def _evaluation(network: LesionNetwork) -> Iterator[None]:
    """Evaluation mode with gradients on, whatever the caller's; each module's own mode is put back."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _chosen(
    network: LesionNetwork, images: torch.Tensor, labels: Sequence[int] | torch.Tensor
) -> torch.Tensor:
    """(N, 1) int64 on the images' device, checked on the CPU: a bad index would end a CUDA process."""
    chosen = torch.as_tensor(labels, dtype=torch.int64).cpu()
    n_labels = network.lesion_head.out_features
    if chosen.shape != images.shape[:1] or bool(((chosen < 0) | (chosen >= n_labels)).any()):
        raise ValueError(
            f"labels are {chosen.tolist()}; needed is one for each of {len(images)} images, from 0 to "
            f"{n_labels - 1}"
        )
    return chosen[:, None].to(images.device)

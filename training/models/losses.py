"""What is minimised: a loss over the lesion labels and, with two heads, one over the body sites.

    loss = Criterion("binary-cross-entropy")(logits, lesion_targets, location_targets)

Source: Liao & Luo 2017, Eq. 3, 5 and 7 (Eq. 8, L2, is the optimiser's weight decay). Mishra et al. 2019, Sec. 3
name the same binary cross-entropy with logits.
"""

import torch
from torch import nn
from torch.nn import functional as F

from training.data.manifest import MISSING
from training.models.networks import Logits


def lesion_binary_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Eq. 5: (N, P) logits and 0/1 targets to (N,), summed over the labels."""
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1)


def lesion_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Softmax cross-entropy: (N, P) logits and one-hot targets to (N,)."""
    return F.cross_entropy(logits, targets, reduction="none")


def location_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Eq. 7: (N, Q) logits and (N,) int64 targets to the mean over the photos whose body site is known."""
    known = (targets != MISSING).sum().clamp(min=1)
    return F.cross_entropy(logits, targets, ignore_index=MISSING, reduction="sum") / known


class Criterion(nn.Module):
    """Eq. 3 without its last term: the mean lesion loss plus the mean location loss."""

    label_weights: torch.Tensor | None

    def __init__(self, lesion_loss: str, label_weights: torch.Tensor | None = None) -> None:
        """
        Args:
            lesion_loss: `binary-cross-entropy` or `cross-entropy`.
            label_weights: (P,) float; a photo weighs as much as its labels do on average. None: all weigh 1.
        """
        super().__init__()
        binary = lesion_loss == "binary-cross-entropy"
        self.lesion_loss = lesion_binary_cross_entropy if binary else lesion_cross_entropy
        self.register_buffer("label_weights", label_weights)

    def forward(
        self, logits: Logits, lesion_targets: torch.Tensor, location_targets: torch.Tensor
    ) -> torch.Tensor:
        """Logits, (N, P) float targets and (N,) int64 targets to one number; computed in float32."""
        per_photo = self.lesion_loss(logits.lesion.float(), lesion_targets)
        if self.label_weights is not None:
            per_photo = per_photo * (lesion_targets @ self.label_weights) / lesion_targets.sum(1)
        loss = per_photo.mean()
        if logits.location is not None:
            loss = loss + location_cross_entropy(logits.location.float(), location_targets)
        return loss


def prior_logits(
    targets: torch.Tensor,
    lesion_loss: str,
    label_weights: torch.Tensor | None = None,
    shares: torch.Tensor | None = None,
) -> torch.Tensor:
    """The lesion head's bias before training: (N, P) 0/1 targets to (P,), the best constant answer.

    A head that starts there learns from its first step what tells photos apart (Lin et al. 2017, Sec. 4.1).

    Args:
        shares: (N,) how often each photo is drawn, on average; all equally often if None.
    """
    weights = torch.ones(targets.shape[1]) if label_weights is None else label_weights
    photo_weights = (targets @ weights) / targets.sum(1)
    if shares is not None:
        photo_weights = photo_weights * shares
    share = (photo_weights @ targets / photo_weights.sum()).clamp(1e-3, 1 - 1e-3)
    return torch.logit(share) if lesion_loss == "binary-cross-entropy" else share.log()


def location_prior_logits(targets: torch.Tensor, n_locations: int) -> torch.Tensor:
    """The location head's bias before training: (N,) int64 targets, `MISSING` where unknown, to (Q,)."""
    counts = torch.bincount(targets[targets != MISSING], minlength=n_locations).float()
    return (counts / counts.sum().clamp(min=1)).clamp(1e-3, 1 - 1e-3).log()


def balanced_label_weights(targets: torch.Tensor, power: float) -> torch.Tensor | None:
    """(N, P) 0/1 targets to (P,) weights, proportional to label frequency ** -power; 1 on a photo's average.

    None for power 0. A label that no photo shows gets the weight of one that a single photo shows.
    """
    if power == 0:
        return None
    counts = targets.sum(0).clamp(min=1)
    weights = counts**-power
    return weights * counts.sum() / (weights * counts).sum()

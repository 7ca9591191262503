"""The misclassified photos that are worth a look, picked by rule, each explained and drawn.

    cases = explain_errors(network, card, manifest, photos, logits, pairs=5)
    Path("case.png").write_bytes(cases[0].figure_png)

Source: Mishra et al. 2019, Sec. 4 and Fig. 7 to 12, whose cases were chosen by hand; the rule here is `RULE`.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.errors import PhotoError
from training.evaluation.calibration import probabilities
from training.evaluation.confusions import confused_pairs
from training.evaluation.metrics import confusion_matrix
from training.explanations.figure import Panel, draw_case
from training.explanations.gradients import grad_cam, guided_backpropagation
from training.models.card import ModelCard, Preprocessing
from training.models.networks import LesionNetwork
from training.models.preprocess import preprocess

RULE = (
    "Pairs of labels are ranked by their errors, both ways added; ties go by the labels' order. For each of the "
    "worst pairs and each direction, the photo is shown whose wrong label leads the true one by the largest "
    "margin of logits; ties go by the manifest's order. At most one photo of a patient or lesion is shown in "
    "all, so that a direction may have none. Photos with several true labels are not counted."
)
SIDES_TOLERANCE = 0.02
"""By how much a mask's ratio of sides may differ from its photo's before it is held to be of another photo."""


class Photos(Protocol):
    """Decoded photos by row: a `PhotoCache`, or a list of arrays."""

    def __getitem__(self, row: int, /) -> np.ndarray:
        """(H, W, 3) uint8 RGB, decoded as the card says."""
        ...


@dataclass(frozen=True)
class Choice:
    """A photo to explain, and the two labels to explain it by, as indices."""

    row: int
    predicted: int
    against: int
    """What the answer is held against: the true label, or the runner-up where the answer is right."""


@dataclass(frozen=True)
class Evidence:
    """What the network has to say for one label of one photo."""

    label: str
    probability: float
    """Calibrated, as the card says."""
    logit: float
    greatest_heat: float
    """The greatest value of the Grad-CAM map times its number of places, in units of the logit."""
    heat_in_lesion: float | None
    """Share of the Grad-CAM map's mass, as drawn, that lies in the lesion mask; None without mask or mass."""


@dataclass(frozen=True)
class Case:
    """One photo explained."""

    name: str
    """The photo's file name."""
    group: str
    actual: tuple[str, ...]
    predicted: Evidence
    against: Evidence
    margin: float
    """The predicted label's logit less the other's."""
    lesion_share: float | None
    """Share of what the network saw that the lesion mask covers: what a uniform map would have in it."""
    gradient_similarity: float | None
    """Cosine of the two labels' guided backpropagation, 1 if they show the same; None if one is zero."""
    note: str
    """Why there is no number of the lesion mask, if the manifest names one; else empty."""
    figure_png: bytes = dataclasses.field(repr=False)

    @property
    def is_error(self) -> bool:
        return self.predicted.label not in self.actual

    def to_json(self) -> dict[str, Any]:
        """All but the picture."""
        values = dataclasses.asdict(self) | {"actual": list(self.actual)}
        del values["figure_png"]
        return values


def explain_errors(
    network: LesionNetwork,
    card: ModelCard,
    manifest: Manifest,
    photos: Photos,
    logits: np.ndarray,
    *,
    pairs: int = 5,
    progress: bool = True,
) -> list[Case]:
    """Explain the worst errors of the worst pairs of labels, chosen by `RULE`.

    Args:
        network: left as it is found; on any device.
        card: labels, preprocessing, activation and temperature.
        manifest: N rows, its labels in the card's order.
        photos: the rows' pixels: `photos[row]`.
        logits: (N, P) float, of the same rows.
        pairs: how many pairs, at most; two cases each, at most.

    Returns:
        The cases in the pairs' order, the photos of `label_1` first; empty if nothing was misclassified.
    """
    choices = choose_errors(
        logits, manifest.lesion_targets(), manifest.table["group"].to_numpy(), card_labels(card), pairs
    )
    return explain_choices(network, card, manifest, photos, logits, choices, progress=progress)


def choose_errors(
    logits: np.ndarray, targets: np.ndarray, groups: np.ndarray, labels: Sequence[str], pairs: int
) -> list[Choice]:
    """`RULE`: (N, P) logits and 0/1 targets and (N,) groups to the photos to show."""
    single = targets.sum(1) == 1
    actual, predicted = targets.argmax(1), logits.argmax(1)
    confusion = confusion_matrix(predicted[single], actual[single], len(labels))
    index = {label: position for position, label in enumerate(labels)}
    choices: list[Choice] = []
    shown: set[Any] = set()
    for pair in confused_pairs(confusion, labels)[:pairs]:
        first, second = index[pair.label_1], index[pair.label_2]
        for own, wrong in ((first, second), (second, first)):
            rows = np.flatnonzero(single & (actual == own) & (predicted == wrong))
            rows = np.array([row for row in rows if groups[row] not in shown], np.int64)
            if len(rows):
                row = int(rows[(logits[rows, wrong] - logits[rows, own]).argmax()])
                shown.add(groups[row])
                choices.append(Choice(row, wrong, own))
    return choices


def choose_rows(logits: np.ndarray, targets: np.ndarray, rows: Sequence[int]) -> list[Choice]:
    """Photos that a person named, each held against its likeliest true label, or the runner-up if it is right."""
    choices = []
    for row in rows:
        predicted = int(logits[row].argmax())
        others = np.flatnonzero(targets[row]) if not targets[row, predicted] else np.arange(logits.shape[1])
        others = others[others != predicted]
        if len(others):
            choices.append(Choice(row, predicted, int(others[logits[row, others].argmax()])))
    return choices


def explain_choices(
    network: LesionNetwork,
    card: ModelCard,
    manifest: Manifest,
    photos: Photos,
    logits: np.ndarray,
    choices: Sequence[Choice],
    *,
    progress: bool = True,
) -> list[Case]:
    """Explain and draw each chosen photo; arguments as of `explain_errors`."""
    stated = probabilities(logits, card.activation, card.temperature)
    return [
        _explain(network, card, manifest, photos[choice.row], logits[choice.row], stated[choice.row], choice)
        for choice in tqdm(choices, "explain photos", unit="photo", leave=False, disable=not progress)
    ]


def card_labels(card: ModelCard) -> tuple[str, ...]:
    """The lesion labels' names."""
    return tuple(label.name for label in card.lesion_labels)


def _explain(
    network: LesionNetwork,
    card: ModelCard,
    manifest: Manifest,
    image_rgb: np.ndarray,
    logits: np.ndarray,
    stated: np.ndarray,
    choice: Choice,
) -> Case:
    rule, row = card.preprocessing, manifest.table.iloc[choice.row]
    device = next(network.parameters()).device
    pair = [choice.predicted, choice.against]
    network_input = _seen(image_rgb, rule).to(device).expand(2, -1, -1, -1)
    cams = grad_cam(network, network_input, pair)
    cams = cams * cams[0].numel()
    heat = functional.interpolate(cams[:, None], size=network_input.shape[2:], mode="bicubic")
    heats = heat[:, 0].clamp(min=0).cpu().numpy()
    gradients = guided_backpropagation(network, network_input, pair).cpu()
    mask, note = _mask(row["mask"], image_rgb, rule) if row["mask"] else (None, "")
    evidence = [
        Evidence(
            card_labels(card)[label],
            float(stated[label]),
            float(logits[label]),
            float(cams[position].max()),
            None if mask is None else share_inside(heats[position], mask),
        )
        for position, label in enumerate(pair)
    ]
    predicted, against = evidence
    actual = tuple(row["lesions"])
    names = ("predicted", "true" if predicted.label not in actual else "runner-up")
    panels = [
        Panel(
            f"{names[position]}: {card.lesion_labels[label].display}",
            evidence[position].probability,
            heats[position],
            gradients[position].permute(1, 2, 0).numpy(),
        )
        for position, label in enumerate(pair)
    ]
    view_rgb = _seen(image_rgb, _pixels_only(rule))[0].permute(1, 2, 0).numpy()
    return Case(
        name=Path(row["path"]).name,
        group=str(row["group"]),
        actual=actual,
        predicted=predicted,
        against=against,
        margin=predicted.logit - against.logit,
        lesion_share=None if mask is None else float(mask.mean()),
        gradient_similarity=_cosine(gradients[0], gradients[1]),
        note=note,
        figure_png=draw_case(view_rgb, panels, mask),
    )


def share_inside(heat: np.ndarray, mask: np.ndarray) -> float | None:
    """The share of (S, S) non-negative heat that lies in an (S, S) mask of [0, 1]; None where there is no heat."""
    total = float(heat.sum())
    return float((heat * mask).sum()) / total if total > 0 else None


def _seen(image_rgb: np.ndarray, rule: Preprocessing) -> torch.Tensor:
    """(1, 3, S, S) float32: a photo as the network sees it."""
    return preprocess(torch.from_numpy(image_rgb.copy())[None], rule)


def _pixels_only(rule: Preprocessing) -> Preprocessing:
    """The same view in [0, 1], not normalised: to be looked at, or for a mask."""
    return dataclasses.replace(rule, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _mask(path: str, image_rgb: np.ndarray, rule: Preprocessing) -> tuple[np.ndarray | None, str]:
    """(S, S) float32 in [0, 1], the lesion's share of each pixel that the network saw; or why there is none."""
    try:
        mask = read_photo(path).image_rgb
    except PhotoError as error:
        return None, str(error)
    height, width = image_rgb.shape[:2]
    ratio = (mask.shape[1] / mask.shape[0]) / (width / height)
    if abs(ratio - 1) > SIDES_TOLERANCE:
        return None, (
            f"{Path(path).name} is {mask.shape[1]}x{mask.shape[0]} pixels, not of the photo's shape "
            f"({width}x{height} as decoded): the lesion mask was not used."
        )
    fitted = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    seen = _seen(fitted, _pixels_only(rule))[0].mean(0).numpy()
    if not seen.any():
        return None, f"{Path(path).name} has nothing white where the network looked: it was not used."
    return seen, ""


def _cosine(first: torch.Tensor, second: torch.Tensor) -> float | None:
    norms = float(first.norm() * second.norm())
    return float((first * second).sum()) / norms if norms > 0 else None

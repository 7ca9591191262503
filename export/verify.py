"""Does model.onnx say what its checkpoint says? Compared by number, on photos of many sizes.

    python -m export.verify build/model.onnx --against runs/demo --data photos/

Every export runs it; above the target's tolerances the file does not get its name. The reference is written
out plainly here, on the untouched network, so that a fault of the deployed module shows.
"""

import dataclasses
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import onnxruntime
import torch
import tyro
from tqdm import tqdm

from export.half import emulated
from export.parity import Answers, Parity, compare
from export.photos_of_run import LabelledPhotos, photos_to_compare
from export.runtime import Classifier, Prediction
from export.targets import TARGETS, Target, find_target
from training.cli import EXIT_FAILED, EXIT_OK, run
from training.errors import ModelFileError
from training.models.card import ModelCard
from training.models.checkpoint import Checkpoint, load_checkpoint
from training.models.preprocess import resize_and_normalise


def verify(
    model_path: str | PathLike[str],
    checkpoint: Checkpoint,
    photos: LabelledPhotos,
    target: Target = TARGETS[0],
) -> Parity:
    """Run file and checkpoint on the same photos and compare their answers.

    Half precision is run on CUDA where there is one, and emulated on the CPU (`export.half.emulated`) where not.

    Args:
        model_path: the exported file.
        checkpoint: what it was exported from.
        photos: of equal size they reach the file as one batch, the network singly.
        target: whose provider runs the file and whose limits decide.

    Raises:
        ModelFileError: the file cannot be opened, or its card is not the checkpoint's.
        ValueError: no photo is given.
    """
    if not photos.images:
        raise ValueError("at least one photo is needed to compare by")
    classifier, ran_on = _open(Path(model_path), target)
    if dataclasses.replace(classifier.card, export={}) != checkpoint.card:
        raise ModelFileError(
            f"{model_path} carries another card than {checkpoint.folder}: it was not exported from this run as "
            "it is now; export it again."
        )
    pairs = [
        (_answers_of_file(prediction, checkpoint.card), answers_of_network(checkpoint, image))
        for image, prediction in zip(
            tqdm(photos.images, desc="compare", unit="photo", leave=False, disable=None),
            classifier.predict(photos.images),
            strict=True,
        )
    ]
    return compare(
        pairs,
        photos,
        target,
        model_id=hashlib.sha256(Path(model_path).read_bytes()).hexdigest(),
        size=Path(model_path).stat().st_size / fp32_bytes(checkpoint),
        ran_on=ran_on,
    )


def fp32_bytes(checkpoint: Checkpoint) -> int:
    """What the checkpoint's weights take, four bytes each."""
    return sum(4 * value.numel() for value in checkpoint.network.parameters())


def runs_on_cuda() -> bool:
    """Whether this onnxruntime offers CUDA and a GPU is there to run it."""
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers() and torch.cuda.is_available()


def _open(path: Path, target: Target) -> tuple[Classifier, str]:
    if target.provider == "cpu" or runs_on_cuda():
        return Classifier(path, provider=target.provider), target.provider
    with tempfile.TemporaryDirectory() as folder:
        stand_in = Path(folder) / path.name
        onnx.save(emulated(onnx.load(path)), stand_in)
        return Classifier(stand_in, provider="cpu"), "emulation"


def answers_of_network(checkpoint: Checkpoint, image: np.ndarray) -> Answers:
    """The checkpoint's answers, from its network as it was trained; its maps by Grad-CAM's own way, gradients.

    Args:
        image: (H, W, 3) uint8, RGB.
    """
    card, network = checkpoint.card, checkpoint.network
    x0, y0, x1, y1 = card.preprocessing.view_box(*image.shape[:2])
    view = torch.from_numpy(image[y0:y1, x0:x1].copy())[None]
    with torch.no_grad():
        feature_map = network.feature_map(resize_and_normalise(view, card.preprocessing))
    features = network.features_of(feature_map.requires_grad_())
    logits = network.heads(features)
    slopes = torch.stack(
        [torch.autograd.grad(logit, feature_map, retain_graph=True)[0][0] for logit in logits.lesion[0]]
    )
    lesion = logits.lesion[0].detach().double() / card.temperature
    activations = feature_map[0].detach().double().numpy()
    return Answers(
        lesions=(lesion.sigmoid() if card.activation == "sigmoid" else lesion.softmax(dim=0)).numpy(),
        locations=np.empty(0)
        if logits.location is None
        else logits.location[0].detach().double().softmax(dim=0).numpy(),
        cam=np.einsum("pc,chw->phw", slopes.double().sum((2, 3)).numpy(), activations),
        features=features[0].detach().double().numpy(),
    )


def _answers_of_file(prediction: Prediction, card: ModelCard) -> Answers:
    lesions = {score.name: score.probability for score in prediction.lesions}
    locations = {score.name: score.probability for score in prediction.locations}
    return Answers(
        lesions=np.array([lesions[label.name] for label in card.lesion_labels]),
        locations=np.array([locations[label.name] for label in card.location_labels]),
        cam=prediction.lesion_cam.astype(np.float64),
        features=prediction.features.astype(np.float64),
    )


@dataclass(frozen=True)
class Arguments:
    """Compare exported models with the run they came from, by number, on photos."""

    models: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The ONNX files."""
    against: Path
    """The run's folder."""
    data: str | None = None
    """The data set that the run was trained on: its photos that calibration has not seen; or a photo, or a folder
    of photos (at most 64 of them); without it, drawn pictures."""
    target: str | None = None
    """The row of the table of targets whose limits decide; the one that stands in the file's card if not given."""
    json: bool = False
    """Print one JSON object a file, one a line."""

    def __post_init__(self) -> None:
        if not self.models:
            raise ModelFileError("no model is named; give one or more files that python -m export wrote.")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m export.verify", args=argv)
    checkpoint = load_checkpoint(arguments.against)
    photos, left_out = photos_to_compare(checkpoint.card, arguments.data)
    failed = False
    for model in arguments.models:
        target = find_target(
            arguments.target or Classifier(model, provider="cpu").card.export.get("target", TARGETS[0].name)
        )
        parity = verify(model, checkpoint, photos, target)
        failed |= not parity.passed
        print(json.dumps(parity.to_json()) if arguments.json else parity.sentence())
        for miss in parity.missed:
            print(f"  missed: {miss}", file=sys.stderr)
    if left_out:
        print(f"left out {len(left_out)}:", *left_out, sep="\n  ", file=sys.stderr)
    return EXIT_FAILED if failed or left_out else EXIT_OK


if __name__ == "__main__":
    sys.exit(run(main))

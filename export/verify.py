"""Does model.onnx say what its checkpoint says? Compared by number, on photos of many sizes.

    python -m export.verify build/model.onnx --against runs/demo --data photos/

Every export runs it; above the target's tolerances the file does not get its name. The reference is written
out plainly here, on the untouched network, so that a fault of the deployed module shows.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import tyro
from tqdm import tqdm

from export.photos import find_photos
from export.runtime import Classifier, Prediction
from export.targets import TARGETS, Target, find_target
from training.cli import EXIT_FAILED, EXIT_OK, run
from training.data.photo import read_photo
from training.errors import ModelFileError, PhotoError
from training.models.card import ModelCard, Preprocessing
from training.models.checkpoint import Checkpoint, load_checkpoint
from training.models.preprocess import resize_and_normalise

MOST_PHOTOS = 64
"""Of a folder, taken at even steps: parity needs variety, not volume."""


@dataclass(frozen=True)
class Answers:
    """What a model says of one photo, in the card's order of labels, as arrays of float64."""

    lesions: np.ndarray
    locations: np.ndarray
    cam: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Parity:
    """The greatest differences between a file and its checkpoint, beside what the target allows."""

    model_id: str
    target: str
    n_photos: int
    n_sizes: int
    lesion_probability: float
    """Absolute."""
    location_probability: float
    """Absolute; 0 for a model with one head."""
    cam: float
    """A share of the checkpoint's greatest magnitude in the photo."""
    features: float
    """A share of the checkpoint's greatest magnitude in the photo."""
    top_label_changes: int
    """Photos whose most probable lesion differs."""
    passed: bool

    def sentence(self) -> str:
        """The result on one line."""
        return (
            f"parity {'passed' if self.passed else 'MISSED'} ({self.target}, {self.n_photos} photos of "
            f"{self.n_sizes} sizes): greatest difference in lesion probability {self.lesion_probability:.1e}, "
            f"body-site probability {self.location_probability:.1e}, class activation map {self.cam:.1e} "
            f"and features {self.features:.1e} of their scale; {self.top_label_changes} top labels changed"
        )


def verify(
    model_path: str | PathLike[str],
    checkpoint: Checkpoint,
    images: Sequence[np.ndarray],
    target: Target = TARGETS[0],
) -> Parity:
    """Run file and checkpoint on the same photos and compare their answers.

    Args:
        model_path: the ONNX file.
        checkpoint: what it was exported from.
        images: each (H, W, 3) uint8, RGB; photos of equal size reach the file as one batch, the network singly.
        target: whose provider runs the file and whose tolerances decide.

    Raises:
        ModelFileError: the file cannot be opened, or its card is not the checkpoint's.
        ValueError: no photo is given.
    """
    if not images:
        raise ValueError("at least one photo is needed to compare by")
    classifier = Classifier(model_path, provider=target.provider)
    if classifier.card != checkpoint.card:
        raise ModelFileError(
            f"{model_path} carries another card than {checkpoint.folder}: it was not exported from this run as "
            "it is now; export it again."
        )
    pairs = [
        (_answers_of_file(prediction, checkpoint.card), answers_of_network(checkpoint, image))
        for image, prediction in zip(
            tqdm(images, desc="comparing", unit="photo", disable=None),
            classifier.predict(images),
            strict=True,
        )
    ]
    parity = Parity(
        model_id=classifier.model_id,
        target=target.name,
        n_photos=len(images),
        n_sizes=len({image.shape for image in images}),
        lesion_probability=max(_difference(a.lesions, b.lesions) for a, b in pairs),
        location_probability=max(_difference(a.locations, b.locations) for a, b in pairs),
        cam=max(_difference(a.cam, b.cam) / _magnitude(b.cam) for a, b in pairs),
        features=max(_difference(a.features, b.features) / _magnitude(b.features) for a, b in pairs),
        top_label_changes=sum(int(a.lesions.argmax() != b.lesions.argmax()) for a, b in pairs),
        passed=False,
    )
    return dataclasses.replace(parity, passed=_within(parity, target))


@torch.inference_mode()
def answers_of_network(checkpoint: Checkpoint, image: np.ndarray) -> Answers:
    """The checkpoint's answers, from its network as it was trained.

    Args:
        image: (H, W, 3) uint8, RGB.
    """
    card, network = checkpoint.card, checkpoint.resnet
    x0, y0, x1, y1 = card.preprocessing.view_box(*image.shape[:2])
    view = torch.from_numpy(np.ascontiguousarray(image[y0:y1, x0:x1]))[None]
    network_input = resize_and_normalise(view, card.preprocessing)
    feature_map = network.feature_map(network_input)[0].double().numpy()
    logits = network(network_input)
    lesion = logits.lesion[0].double() / card.temperature
    return Answers(
        lesions=(lesion.sigmoid() if card.activation == "sigmoid" else lesion.softmax(dim=0)).numpy(),
        locations=np.empty(0)
        if logits.location is None
        else logits.location[0].double().softmax(dim=0).numpy(),
        cam=np.einsum("pc,chw->phw", network.lesion_head.weight.double().numpy(), feature_map),
        features=feature_map.mean(axis=(1, 2)),
    )


def varied_images(preprocessing: Preprocessing, seed: int = 0) -> list[np.ndarray]:
    """Pictures to compare by: smooth colours under fine grain, in the sizes that go wrong first.

    Returns:
        Each (H, W, 3) uint8, RGB: exactly the input, the size of decoded photos, odd sides, portrait and
        landscape, long and narrow, larger than a phone's screen, as small as photos may be; some sizes occur
        once and some several times, so that batches of 1 to 4 are seen.
    """
    size, side = preprocessing.input_size, preprocessing.decode_min_side
    sizes_hw = [(size, size)] * 2 + [(side, side)] * 4 + [(side + 1, side * 4 // 3 + 1)] * 3
    sizes_hw += [
        (side * 4 // 3, side),
        (side, side * 3 + 1),
        (2 * side + 7, 2 * side - 4),
        (1531, 1147),
        (33, 47),
    ]
    generator = np.random.default_rng(seed)
    return [_varied_image(height, width, generator) for height, width in sizes_hw]


def _varied_image(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    coarse = generator.uniform(0, 255, (int(generator.integers(2, 9)), int(generator.integers(2, 9)), 3))
    smooth = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = generator.normal(0, generator.uniform(0, 30), smooth.shape)
    return (smooth + grain).clip(0, 255).astype(np.uint8)


def _answers_of_file(prediction: Prediction, card: ModelCard) -> Answers:
    lesions = {score.name: score.probability for score in prediction.lesions}
    locations = {score.name: score.probability for score in prediction.locations}
    return Answers(
        lesions=np.array([lesions[label.name] for label in card.lesion_labels]),
        locations=np.array([locations[label.name] for label in card.location_labels]),
        cam=prediction.lesion_cam.astype(np.float64),
        features=prediction.features.astype(np.float64),
    )


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """The greatest absolute difference; infinite where either is not a number."""
    return float(np.nan_to_num(np.abs(a - b), nan=np.inf).max(initial=0.0))


def _magnitude(values: np.ndarray) -> float:
    return float(np.abs(values).max()) or 1.0


def _within(parity: Parity, target: Target) -> bool:
    limits = target.tolerances
    return (
        max(parity.lesion_probability, parity.location_probability) <= limits.probability
        and parity.cam <= limits.cam
        and parity.features <= limits.features
    )


@dataclass(frozen=True)
class Arguments:
    """Compare an exported model with the run it came from, by number."""

    model: Annotated[Path, tyro.conf.Positional]
    """The ONNX file."""
    against: Path
    """The run's folder."""
    data: Path | None = None
    """A photo, or a folder of photos, to compare by (at most 64 of them); without it, drawn pictures."""
    target: str = TARGETS[0].name
    """The row of the table of targets whose tolerances decide."""
    json: bool = False
    """Print the result as JSON."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m export.verify", args=argv)
    target = find_target(arguments.target)
    checkpoint = load_checkpoint(arguments.against)
    preprocessing = checkpoint.card.preprocessing
    images, left_out = (
        (varied_images(preprocessing), [])
        if arguments.data is None
        else _read_photos(arguments.data, preprocessing.decode_min_side)
    )
    parity = verify(arguments.model, checkpoint, images, target)
    print(json.dumps(dataclasses.asdict(parity)) if arguments.json else parity.sentence())
    if left_out:
        print(f"left out {len(left_out)}:", *left_out, sep="\n  ", file=sys.stderr)
    return EXIT_OK if parity.passed and not left_out else EXIT_FAILED


def _read_photos(data: Path, min_side: int) -> tuple[list[np.ndarray], list[str]]:
    """Photos to compare by, and why others were left out."""
    photos, left_out = find_photos([data])
    images = []
    for path in photos[:: max(1, -(-len(photos) // MOST_PHOTOS))]:
        try:
            images.append(read_photo(path, min_side=min_side).image_rgb)
        except PhotoError as error:
            left_out.append(str(error))
    if not images:
        raise PhotoError(f"there is no photo to compare by: {left_out[0]}")
    return images, left_out


if __name__ == "__main__":
    sys.exit(run(main))

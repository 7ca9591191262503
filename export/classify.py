"""Photos or folders in, ranked labels out.

    python -m export.classify build/model.onnx lesion.jpg clinic/ --heatmaps heatmaps/

A photo that cannot be read does not stop the others: it is named at the end, and the exit code is 1.
Torch-free.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import tyro
from tqdm import tqdm

from export.heatmap import heat_scale, render_overlay
from export.photos import HEATMAP_SUFFIX, find_photos
from export.runtime import MAX_BATCH, Classifier, Prediction, Provider, Score
from training.cli import EXIT_FAILED, EXIT_OK, run, whole_file
from training.data.photo import Photo, read_photo
from training.errors import PhotoError
from training.models.card import ModelCard

TOP_IN_TEXT = 3
HEATMAP_JPEG_QUALITY = 92


@dataclass(frozen=True, eq=False)
class Classified:
    """A photo and what the model says of it."""

    path: Path
    photo: Photo
    prediction: Prediction


@dataclass(frozen=True)
class LeftOut:
    """A photo that could not be read, and why."""

    path: Path
    reason: str


def classify_photos(classifier: Classifier, photos: Sequence[Path]) -> Iterator[Classified | LeftOut]:
    """Read and classify photos in order, a batch at a time, so that any number of them fits into memory."""
    min_side = classifier.card.preprocessing.decode_min_side
    for start in range(0, len(photos), MAX_BATCH):
        batch = [_read(path, min_side) for path in photos[start : start + MAX_BATCH]]
        images = [item[1].image_rgb for item in batch if not isinstance(item, LeftOut)]
        predictions = iter(classifier.predict(images))
        for item in batch:
            yield item if isinstance(item, LeftOut) else Classified(*item, next(predictions))


def _read(path: Path, min_side: int) -> tuple[Path, Photo] | LeftOut:
    try:
        return path, read_photo(path, min_side=min_side)
    except PhotoError as error:
        return LeftOut(path, str(error))


def heatmap_paths(photos: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """A file in `folder` for each photo's heatmap: two photos never share one, and none is a photo's own."""
    taken = {photo.resolve() for photo in photos}
    paths = {}
    for photo in photos:
        path, number = folder / f"{photo.stem}{HEATMAP_SUFFIX}", 1
        while path.resolve() in taken:
            number += 1
            path = folder / f"{photo.stem}-{number}{HEATMAP_SUFFIX}"
        taken.add(path.resolve())
        paths[photo] = path
    return paths


def write_heatmap(path: Path, photo: Photo, prediction: Prediction) -> None:
    """Write the overlay of the most probable lesion as a JPEG, whole or not at all."""
    cam = prediction.cam_of(prediction.lesions[0].name)
    overlay = render_overlay(photo.image_rgb, cam, prediction.view_box, heat_scale(prediction.lesion_cam))
    encoded = cv2.imencode(".jpg", overlay[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, HEATMAP_JPEG_QUALITY))[1]
    with whole_file(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def notice(card: ModelCard) -> str:
    """What a person must know before they read a prediction."""
    drawn = (
        f" The model '{card.name}' has learned from drawings, never from a person's skin: what it says of a "
        "photo means nothing."
        if card.synthetic
        else ""
    )
    return f"Research software, not a diagnosis. {card.intended_use}{drawn}"


@dataclass(frozen=True)
class Arguments:
    """Classify photos with an exported model, and show where it looked."""

    model: Annotated[Path, tyro.conf.Positional]
    """The ONNX file that python -m export wrote."""
    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Photos, or folders of them, searched with all below."""
    json: bool = False
    """Print one JSON object a photo, one a line, in place of text."""
    heatmaps: Path | None = None
    """A folder for overlays of the most probable label, NAME.heatmap.jpg; made if it is not there."""
    top: int | None = None
    """At most this many labels a photo; 3 in text and all in JSON if it is not given."""
    min_probability: float = 0.0
    """Leave out labels below this probability, 0 to 1."""
    provider: Provider = "auto"
    """What to run on; auto takes CUDA where it really runs."""
    threads: int | None = None
    """CPU threads; one a physical core if it is not given."""

    def __post_init__(self) -> None:
        if not self.photos:
            raise PhotoError("no photo is named; give photos or folders of them after the model.")
        if self.top is not None and self.top < 1:
            raise PhotoError(f"--top is {self.top}; at least 1 label is needed.")
        if not 0 <= self.min_probability <= 1:
            raise PhotoError(f"--min-probability is {self.min_probability}; it must lie in [0, 1].")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m export.classify", args=argv)
    classifier = Classifier(arguments.model, provider=arguments.provider, threads=arguments.threads)
    print(notice(classifier.card), file=sys.stderr)
    photos, left_out = find_photos(arguments.photos)
    heatmaps = {} if arguments.heatmaps is None else heatmap_paths(photos, arguments.heatmaps)
    render = _as_json if arguments.json else _as_text
    progress = tqdm(
        classify_photos(classifier, photos),
        total=len(photos),
        unit="photo",
        disable=True if len(photos) < 2 else None,
    )
    for item in progress:
        if isinstance(item, LeftOut):
            left_out.append(item.reason)
            continue
        heatmap = heatmaps.get(item.path)
        if heatmap is not None:
            write_heatmap(heatmap, item.photo, item.prediction)
        tqdm.write(render(item, arguments, classifier.card, heatmap), file=sys.stdout)
    if left_out:
        print(f"left out {len(left_out)}:", *left_out, sep="\n  ", file=sys.stderr)
    return EXIT_FAILED if left_out else EXIT_OK


def _chosen(scores: tuple[Score, ...], arguments: Arguments) -> list[Score]:
    top = arguments.top if arguments.top is not None else None if arguments.json else TOP_IN_TEXT
    return [score for score in scores[:top] if score.probability >= arguments.min_probability]


def _as_json(item: Classified, arguments: Arguments, card: ModelCard, heatmap: Path | None) -> str:
    record: dict[str, Any] = {
        "path": str(item.path),
        "lesions": [asdict(score) for score in _chosen(item.prediction.lesions, arguments)],
        "locations": [asdict(score) for score in _chosen(item.prediction.locations, arguments)],
        "model_id": item.prediction.model_id,
        "synthetic": card.synthetic,
        "notes": list(item.photo.notes),
    }
    if heatmap is not None:
        record["heatmap"] = str(heatmap)
    return json.dumps(record)


def _as_text(item: Classified, arguments: Arguments, card: ModelCard, heatmap: Path | None) -> str:
    width = max(len(label.display) for label in (*card.lesion_labels, *card.location_labels))
    lines = [str(item.path)]
    for title, scores in (("lesion", item.prediction.lesions), ("body site", item.prediction.locations)):
        lines += [
            f"  {title:9}  {score.display:{width}}  {score.probability:6.1%}"
            for score in _chosen(scores, arguments)
        ]
    if heatmap is not None:
        lines.append(f"  heatmap    {heatmap}")
    lines += [f"  note       {note}" for note in item.photo.notes]
    return "\n".join(lines).encode(errors="backslashreplace").decode()


if __name__ == "__main__":
    sys.exit(run(main))

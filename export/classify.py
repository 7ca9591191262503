"""Photos or folders in, ranked labels out: to the terminal, or to a file that goes on where it stopped.

    python -m export.classify build/model.onnx lesion.jpg clinic/ --heatmaps heatmaps/
    python -m export.classify build/model.onnx clinic/ --out results.csv

A photo that cannot be read does not stop the others: it is named at the end, and the exit code is 1.
Torch-free.
"""

import contextlib
import dataclasses
import functools
import json
import sys
from collections.abc import Container, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from export.photos import HEATMAP_SUFFIX, find_photos, read_ahead
from export.results import ResultFile, check_suffix, to_record
from export.runtime import MAX_BATCH, Classifier, Prediction, Provider, Score
from training.cli import EXIT_FAILED, EXIT_OK, run, whole_file
from training.data.photo import Photo, read_photo
from training.errors import PhotoError, ResultsError
from training.models.card import ModelCard

READ_AHEAD = 2 * MAX_BATCH
"""Photos that are decoded, or being decoded, while the network looks at a batch: what bounds the memory."""
TOP_IN_TEXT = 3
HEATMAP_JPEG_QUALITY = 92


@dataclass(frozen=True, eq=False)
class Classified:
    """A photo and what the model says of it."""

    path: Path
    photo: Photo
    prediction: Prediction


@dataclass(frozen=True, eq=False)
class _Decoded:
    path: Path
    photo: Photo


@dataclass(frozen=True)
class LeftOut:
    """A photo that could not be read, and why."""

    path: Path
    reason: str


def classify_photos(
    classifier: Classifier, photos: Sequence[Path], done: Container[Path] = frozenset()
) -> Generator[Classified | LeftOut, None, None]:
    """Read and classify photos in order, a batch at a time, decoding ahead of the network.

    At most `READ_AHEAD` photos and a batch are in memory. Which photos share a batch, on which the last bits of a
    probability depend, follows from their places in `photos` alone: a run that goes on within a batch shows the
    network the whole batch again, and so gives the very numbers of a run that was never interrupted.

    Args:
        classifier: the model.
        photos: all photos, those done included.
        done: photos of which nothing is asked any more.

    Returns:
        An outcome for each photo that is not done.
    """
    read = functools.partial(_read, min_side=classifier.card.preprocessing.decode_min_side)
    wanted = (photo for photo in photos if photo not in done)
    with contextlib.closing(read_ahead(read, wanted, ahead=READ_AHEAD)) as ahead:
        for start in range(0, len(photos), MAX_BATCH):
            batch = photos[start : start + MAX_BATCH]
            items = [None if photo in done else next(ahead) for photo in batch]
            if not any(isinstance(item, _Decoded) for item in items):
                yield from (item for item in items if isinstance(item, LeftOut))
                continue
            whole = [read(photo) if item is None else item for photo, item in zip(batch, items, strict=True)]
            images = [item.photo.image_rgb for item in whole if isinstance(item, _Decoded)]
            predictions = iter(classifier.predict(images))
            for item, asked in zip(whole, items, strict=True):
                outcome = (
                    item
                    if isinstance(item, LeftOut)
                    else Classified(item.path, item.photo, next(predictions))
                )
                if asked is not None:
                    yield outcome


def _read(path: Path, min_side: int) -> _Decoded | LeftOut:
    try:
        return _Decoded(path, read_photo(path, min_side=min_side))
    except PhotoError as error:
        return LeftOut(path, str(error))


def heatmap_paths(
    photos: Sequence[Path], folder: Path, standing: Mapping[Path, Path | None] | None = None
) -> dict[Path, Path]:
    """A file in `folder` for each photo's heatmap: two photos never share one, and none is a photo's own.

    Args:
        photos: all photos.
        folder: for the heatmaps.
        standing: photos that are done, with the heatmap that was written of each: those names are taken.
    """
    standing = standing or {}
    taken = {path.resolve() for path in (*photos, *standing.values()) if path is not None}
    paths = {}
    for photo in photos:
        if photo in standing:
            continue
        path, number = folder / f"{photo.stem}{HEATMAP_SUFFIX}", 1
        while path.resolve() in taken:
            number += 1
            path = folder / f"{photo.stem}-{number}{HEATMAP_SUFFIX}"
        taken.add(path.resolve())
        paths[photo] = path
    return paths


def write_heatmap(path: Path, photo: Photo, prediction: Prediction) -> None:
    """Write the overlay of the most probable lesion as a JPEG, whole or not at all."""
    import cv2  # Here, so that a run without heatmaps need not wait for it.

    from export.heatmap import heat_scale, render_overlay

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
    out: Path | None = None
    """Write a row a photo, with every label, to this file in place of printing: NAME.csv or NAME.jsonl. If it is
    there, the run goes on in it: photos that stand in it are skipped."""
    heatmaps: Path | None = None
    """A folder for overlays of the most probable label, NAME.heatmap.jpg; made if it is not there."""
    top: int | None = None
    """Print at most this many labels a photo; 3 in text and all in JSON if it is not given. Not with --out."""
    min_probability: float = 0.0
    """Print no label below this probability, 0 to 1. Not with --out."""
    provider: Provider = "auto"
    """What to run on; auto takes CUDA where it really runs."""
    threads: int | None = None
    """CPU threads of the network; one a physical core if it is not given."""
    expect: str | None = None
    """Go on only if the model's SHA-256 begins with these digits, 12 at least."""

    def __post_init__(self) -> None:
        if not self.photos:
            raise PhotoError("no photo is named; give photos or folders of them after the model.")
        if self.top is not None and self.top < 1:
            raise PhotoError(f"--top is {self.top}; at least 1 label is needed.")
        if not 0 <= self.min_probability <= 1:
            raise PhotoError(f"--min-probability is {self.min_probability}; it must lie in [0, 1].")
        if self.out is not None:
            check_suffix(self.out)
            if self.json or self.top is not None or self.min_probability > 0:
                raise ResultsError(
                    "--json, --top and --min-probability choose what is printed, and --out writes every label "
                    "to a file and prints none; leave them out, or leave out --out."
                )


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m export.classify", args=argv)
    classifier = Classifier(
        arguments.model,
        provider=arguments.provider,
        threads=arguments.threads,
        expected_id=arguments.expect,
    )
    print(notice(classifier.card), file=sys.stderr)
    photos, left_out = find_photos(arguments.photos)
    if arguments.out is None:
        left_out += _classify(arguments, classifier, photos, None)
    else:
        with_heatmaps = arguments.heatmaps is not None
        with ResultFile(
            arguments.out, classifier.card, classifier.model_id, heatmaps=with_heatmaps
        ) as results:
            left_out += _classify(arguments, classifier, photos, results)
    if left_out:
        print(f"left out {len(left_out)}:", *left_out, sep="\n  ", file=sys.stderr)
    return EXIT_FAILED if left_out else EXIT_OK


def _classify(
    arguments: Arguments, classifier: Classifier, photos: list[Path], results: ResultFile | None
) -> list[str]:
    """Classify, and print or write as it goes; why photos were left out."""
    done = {} if results is None else results.done
    skipped = sum(photo in done for photo in photos)
    if skipped:
        print(f"{skipped} of {len(photos)} photos stand in {arguments.out} and are skipped.", file=sys.stderr)
    heatmaps = {} if arguments.heatmaps is None else heatmap_paths(photos, arguments.heatmaps, done)
    left_out = []
    with contextlib.closing(classify_photos(classifier, photos, done)) as outcomes:
        for item in tqdm(
            outcomes,
            total=len(photos),
            initial=skipped,
            unit="photo",
            disable=True if len(photos) - skipped < 2 else None,
        ):
            if isinstance(item, LeftOut):
                left_out.append(item.reason)
                continue
            heatmap = heatmaps.get(item.path)
            if heatmap is not None:
                write_heatmap(heatmap, item.photo, item.prediction)
            if results is not None:
                results.append(_record(item, classifier.card, heatmap))
            else:
                render = _as_json if arguments.json else _as_text
                tqdm.write(render(item, arguments, classifier.card, heatmap), file=sys.stdout)
    if results is not None:
        new = len(photos) - skipped - len(left_out)
        print(f"{arguments.out}: {skipped + new} photos, {new} of them new.", file=sys.stderr)
    return left_out


def _chosen(scores: Sequence[Score], arguments: Arguments) -> list[Score]:
    top = arguments.top if arguments.top is not None else None if arguments.json else TOP_IN_TEXT
    return [score for score in scores[:top] if score.probability >= arguments.min_probability]


def _record(item: Classified, card: ModelCard, heatmap: Path | None) -> dict[str, Any]:
    return to_record(
        item.path, item.prediction, synthetic=card.synthetic, notes=item.photo.notes, heatmap=heatmap
    )


def _as_json(item: Classified, arguments: Arguments, card: ModelCard, heatmap: Path | None) -> str:
    chosen = dataclasses.replace(
        item.prediction,
        lesions=tuple(_chosen(item.prediction.lesions, arguments)),
        locations=tuple(_chosen(item.prediction.locations, arguments)),
    )
    return json.dumps(_record(dataclasses.replace(item, prediction=chosen), card, heatmap))


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

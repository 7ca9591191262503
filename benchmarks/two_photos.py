"""How far a model's answer moves between two photos of one lesion, where nobody says that the lesion has changed.

    python -m benchmarks.two_photos models/pad/model.int8.onnx --data data/pad_ufes_20
    python -m benchmarks.two_photos models/phantom/model.onnx --data data/phantom

What the page says beside a comparison rests on this. Photos that the model was trained on are reported apart.
"""

import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tqdm import tqdm

from export.runtime import Classifier
from training.cli import run, write_text
from training.data.datasets.registry import load_manifest
from training.data.manifest import Manifest
from training.data.photo import read_photo
from training.errors import DataError
from training.evaluation.metrics import interval
from training.evaluation.scoring import rows_of_part, with_labels_of
from training.machine import machine

PAD_NAME = re.compile(r"(PAT_\d+_\d+)_\d+")
"""Pacheco et al. 2020: patient and lesion stand in the name of a photo."""


@dataclass(frozen=True, eq=False)
class Moves:
    """One entry a lesion; its photos are taken two by two, each once as the first of the two."""

    points: np.ndarray
    """(N,) float64: points by which the first photo's likeliest label moved, the mean over its pairs."""
    other_label: np.ndarray
    """(N,) float64: share of the pairs whose second photo has another likeliest label."""
    groups: np.ndarray
    """(N,) the patients."""


def lesions_of(manifest: Manifest, rows: np.ndarray) -> list[np.ndarray]:
    """The rows of each lesion that has two photos or more among `rows`; a group where no lesion is named."""
    table = manifest.table.iloc[rows]
    names = [
        found[1] if (found := PAD_NAME.fullmatch(Path(path).stem)) else group
        for path, group in zip(table["path"], table["group"], strict=True)
    ]
    by_lesion: dict[str, list[int]] = {}
    for row, name in zip(rows, names, strict=True):
        by_lesion.setdefault(str(name), []).append(int(row))
    return [np.array(members) for members in by_lesion.values() if len(members) > 1]


def moves_of(scores: np.ndarray, lesions: Sequence[np.ndarray], groups: np.ndarray) -> Moves:
    """Compare each lesion's photos.

    Args:
        scores: (N, P) float probabilities, by row.
        lesions: rows of each, two or more.
        groups: (N,) by row.
    """
    points, other_label = [], []
    for members in lesions:
        own = scores[members]
        top = own.argmax(1)
        pairs = [(one, two) for one in range(len(own)) for two in range(len(own)) if one != two]
        points.append(np.mean([100 * abs(own[one, top[one]] - own[two, top[one]]) for one, two in pairs]))
        other_label.append(np.mean([top[one] != top[two] for one, two in pairs]))
    return Moves(
        np.array(points), np.array(other_label), np.array([groups[members[0]] for members in lesions])
    )


def summarise(moves: Moves) -> dict[str, Any]:
    """Median, quarters and share of other labels, with 95% intervals by patient where they say something."""

    def median(points: np.ndarray) -> float:
        return float(np.median(points))

    def share(other_label: np.ndarray) -> float:
        return float(other_label.mean())

    quarter, three_quarters = (float(q) for q in np.percentile(moves.points, [25, 75]))
    return {
        "lesions": len(moves.points),
        "groups": len(np.unique(moves.groups)),
        "median_points": median(moves.points),
        "median_points_interval": interval(median, moves.points, groups=moves.groups),
        "quartile_points": [quarter, three_quarters],
        "other_label": share(moves.other_label),
        "other_label_interval": interval(share, moves.other_label, groups=moves.groups),
        "points": sorted(round(float(points), 1) for points in moves.points),
    }


def measure(classifier: Classifier, manifest: Manifest, *, progress: bool = True) -> dict[str, Any]:
    """Both parts of a model's own data: the lesions that it held out, and those that it was trained on.

    Raises:
        CheckpointError: the model was trained on other data.
        DataError: the held-out part has no lesion with two photos.
    """
    held_out, _ = rows_of_part(classifier.card, manifest, "validation")
    own = with_labels_of(classifier.card, manifest)
    trained_on = np.setdiff1d(np.arange(len(own)), held_out)
    parts = {
        name: lesions_of(own, rows) for name, rows in (("held_out", held_out), ("trained_on", trained_on))
    }
    if not parts["held_out"]:
        raise DataError(f"{manifest.name} has no held-out lesion with two photos; give a data set that has.")
    labels = [label.name for label in classifier.card.lesion_labels]
    scores = np.zeros((len(own), len(labels)))
    wanted = np.concatenate([row for lesions in parts.values() for row in lesions])
    for row in tqdm(wanted, "photos", unit="photo", disable=None if progress else True):
        photo = read_photo(
            str(own.table["path"][row]), min_side=classifier.card.preprocessing.decode_min_side
        )
        found = {one.name: one.probability for one in classifier.predict([photo.image_rgb])[0].lesions}
        scores[row] = [found[name] for name in labels]
    groups = own.table["group"].to_numpy()
    return {
        name: summarise(moves_of(scores, lesions, groups)) if lesions else None
        for name, lesions in parts.items()
    }


@dataclass(frozen=True)
class Arguments:
    """How far a model's answer moves between two photos of one lesion."""

    model: Annotated[Path, tyro.conf.Positional]
    """An exported model.onnx."""
    data: str
    """The data set that it was trained on, as python -m training.fit takes it."""
    out: Path = Path("benchmarks/results/two_photos.json")
    """The result; another data set's is kept beside it, by name."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.two_photos", args=argv)
    manifest = load_manifest(arguments.data)
    classifier = Classifier(arguments.model, provider="cpu", threads=1)
    found = measure(classifier, manifest)
    model, data = (
        Path(path).name if Path(path).is_absolute() else str(path)
        for path in (arguments.model, arguments.data)
    )
    record = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
    record[manifest.name] = {
        "command": shlex.join(["python", "-m", "benchmarks.two_photos", model, "--data", data]),
        "model_id": classifier.model_id,
        "about": machine("onnxruntime", "opencv-python-headless", "numpy"),
        "fingerprint": manifest.fingerprint(),
        **found,
    }
    write_text(arguments.out, json.dumps(record, indent=1) + "\n")
    for name, part in found.items():
        if part is not None:
            print(
                f"{name}: {part['lesions']} lesions of {part['groups']} patients, the likeliest label moves by "
                f"{part['median_points']:.1f} points (median), another label in {100 * part['other_label']:.0f}%"
            )
    return 0


if __name__ == "__main__":
    sys.exit(run(main))

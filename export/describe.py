"""What an exported model is, in words: its card, its file, and the graph inside.

    python -m export.describe build/model.onnx
    python -m export.describe build/model.onnx --json

The graph is read by the package `onnx`; where that is not installed, the card and the file are shown all the same.
Torch-free.
"""

import dataclasses
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated, Any

import tyro

from export.inventory import Graph, read_graph
from export.runtime import Classifier
from training.cli import run
from training.models.card import Label, ModelCard

WITHOUT_ONNX = (
    "opset, inputs, outputs, operators and parameters are not shown, for the package onnx is not installed: "
    "pip install onnx, and run the command again."
)
SYNTHETIC = "it has learned from drawings, never from a person's skin: what it says of a photo means nothing"
INTERVAL = "_interval"
"""What a metric's key ends in that holds another's interval."""
PROPER_NAMES = {"map_class": "mAP-class", "map_image": "mAP-image"}
NAME_WIDTH, LINE_WIDTH = 22, 110


@dataclass(frozen=True)
class Description:
    """An exported model."""

    path: str
    bytes: int
    sha256: str
    card: ModelCard
    graph: Graph | None
    """None where the package onnx is not installed."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)


def describe(path: str | PathLike[str]) -> Description:
    """Open a model as whoever serves it would, and say what it is.

    Raises:
        ModelFileError: the file is not there, damaged, not one of ours, or of another version.
    """
    classifier = Classifier(path, provider="cpu")
    try:
        import onnx
    except ModuleNotFoundError:
        graph = None
    else:
        graph = read_graph(onnx.load(classifier.path))
    size = classifier.path.stat().st_size
    return Description(str(path), size, classifier.model_id, classifier.card, graph)


def as_text(description: Description) -> str:
    """The description as a person reads it, in lines for a terminal."""
    card, size = description.card, description.bytes
    sections = {
        description.path: {"size": f"{size / 1e6:.2f} MB ({size:,} bytes)", "SHA-256": description.sha256},
        "model": _model_rows(card),
        "trained on": _rows(card.data) | {"weights": card.weights_note, "recipe": _recipe(card.recipe)},
        "metrics": _metric_rows(card.metrics),
        "export": _rows(card.export),
    }
    lines = []
    for title, rows in sections.items():
        shown = {name: text for name, text in rows.items() if text}
        lines += (
            [title, *(line for name, text in shown.items() for line in _row(name, text)), ""] if shown else []
        )
    lines += _graph_lines(description.graph) if description.graph else [WITHOUT_ONNX]
    return "\n".join(lines).encode(errors="backslashreplace").decode()


def _row(name: str, text: str) -> list[str]:
    indent = " " * (NAME_WIDTH + 2)
    return textwrap.wrap(
        f"  {name:{NAME_WIDTH}}{text}", LINE_WIDTH, subsequent_indent=indent, break_on_hyphens=False
    )


def _model_rows(card: ModelCard) -> dict[str, str]:
    numbers = card.preprocessing
    side = (
        f"{numbers.crop_fraction:g} of the shorter side" if numbers.crop_fraction < 1 else "the shorter side"
    )
    return {
        "name": card.name,
        "WARNING": SYNTHETIC if card.synthetic else "",
        "intended use": card.intended_use,
        "licence": card.licence,
        "architecture": card.architecture,
        "lesions": _labels(card.lesion_labels),
        "body sites": _labels(card.location_labels),
        "preprocessing": f"the central square ({side}), antialiased bilinear to {numbers.input_size} x "
        f"{numbers.input_size} pixels; RGB in [0, 1], mean {_shown(numbers.mean)}, "
        f"deviation {_shown(numbers.std)}",
        "decoding": f"photos are reduced to a shorter side of {numbers.decode_min_side} pixels or more",
        "activation": f"{card.activation}, "
        + ("each lesion on its own" if card.activation == "sigmoid" else "one lesion of all"),
        "calibration": f"lesion logits divided by the temperature {card.temperature:.4g}",
        "created": card.created,
        "versions": ", ".join(f"{name} {version}" for name, version in card.versions.items()),
    }


def _labels(labels: Sequence[Label]) -> str:
    return ", ".join(label.display + f" ({label.name})" * (label.display != label.name) for label in labels)


def _recipe(recipe: Mapping[str, Any]) -> str:
    return ": ".join(str(recipe[key]) for key in ("name", "description") if recipe.get(key))


def _metric_rows(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Each figure with its interval beside it."""
    rows = _rows({key: value for key, value in metrics.items() if not key.endswith(INTERVAL)})
    for key, interval in metrics.items():
        name = _words(key.removesuffix(INTERVAL))
        if key.endswith(INTERVAL) and interval and name in rows:
            rows[name] += f" ({_shown(interval[0])} to {_shown(interval[1])}, 95% interval)"
    return rows


def _rows(values: Mapping[str, Any]) -> dict[str, str]:
    return {_words(key): _shown(value) for key, value in values.items()}


def _words(key: str) -> str:
    return PROPER_NAMES.get(key, key.replace("_", " "))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if 0.001 <= abs(value) < 1 else f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        rows = [row for row in value if isinstance(row, list | tuple)]
        return f"{len(rows)} rows, in --json" if rows else ", ".join(map(_shown, value))
    return "" if value is None else str(value)


def _graph_lines(graph: Graph) -> list[str]:
    opset = ", ".join(f"{domain} {version}" for domain, version in graph.opset.items())
    lines = ["graph", *_row("opset", opset), *_row("IR version", str(graph.ir_version))]
    for title, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        rows = [(t.name, t.dtype, f"({', '.join(map(str, t.shape))})") for t in tensors]
        lines += ["", *_table((title, "dtype", "shape"), rows)]
    total = sum(row.count for row in graph.operators)
    in_8_bits = sum(row.in_8_bits for row in graph.operators)
    counted = [(row.name, f"{row.count:,}", f"{row.in_8_bits:,}") for row in graph.operators]
    lines += [
        "",
        *_table(("operator", "count", "in 8 bits"), [*counted, ("all", f"{total:,}", f"{in_8_bits:,}")]),
    ]
    stored = [(row.dtype, f"{row.values:,}", f"{row.bytes:,}") for row in graph.parameters]
    return [*lines, "", *_table(("parameters", "values", "bytes"), stored)]


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns of equal width; numbers stand at the right."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    numeric = [all(row[column].replace(",", "").isdigit() for row in rows) for column in range(len(header))]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    ]


@dataclass(frozen=True)
class Arguments:
    """Say what an exported model is: its card, its file, its inputs, outputs, operators and parameters."""

    model: Annotated[Path, tyro.conf.Positional]
    """The ONNX file that python -m export wrote."""
    json: bool = False
    """Print one JSON object in place of text."""


def main(argv: Sequence[str] | None = None) -> None:
    arguments = tyro.cli(Arguments, prog="python -m export.describe", args=argv)
    description = describe(arguments.model)
    print(description.to_json() if arguments.json else as_text(description))


if __name__ == "__main__":
    sys.exit(run(main))

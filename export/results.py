"""A file of predictions, one row a photo, that grows as they come and goes on after an interruption.

    with ResultFile(Path("results.csv"), classifier.card, classifier.model_id) as results:
        results.append(to_record(path, prediction, synthetic=classifier.card.synthetic, notes=photo.notes))

`.csv` (RFC 4180, line ends as on Unix) or `.jsonl`, by the file's name; UTF-8. Torch-free.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from export.runtime import Prediction
from training.errors import ResultsError
from training.models.card import ModelCard

SUFFIXES = (".csv", ".jsonl")
WAY_OUT = "give another --out, or delete it."
JSON_FIELDS = ("path", "lesions", "locations", "model_id", "synthetic", "notes")
JSON_START = '{"path": "'


def to_record(
    path: Path,
    prediction: Prediction,
    *,
    synthetic: bool,
    notes: Iterable[str] = (),
    heatmap: Path | None = None,
) -> dict[str, Any]:
    """What a row of JSON lines holds: every label, the most probable first.

    Args:
        path: the photo's.
        prediction: what the model says of it.
        synthetic: the model has learned from drawings.
        notes: what the decoder had to do to the photo.
        heatmap: where its overlay was written, if it was.
    """
    record: dict[str, Any] = {
        "path": str(path),
        "lesions": [asdict(score) for score in prediction.lesions],
        "locations": [asdict(score) for score in prediction.locations],
        "model_id": prediction.model_id,
        "synthetic": synthetic,
        "notes": list(notes),
    }
    return record if heatmap is None else record | {"heatmap": str(heatmap)}


def check_suffix(path: Path) -> None:
    """Is `path` one that results can be written to?

    Raises:
        ResultsError: the suffix is none of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ResultsError(
            f"--out is {path}; its name must end in {' or '.join(SUFFIXES)}, which sets the format."
        )


class ResultFile:
    """Rows of one model's predictions. Opening it takes up what stands there; half a last row is cut off.

    Args:
        path: ends in `.csv` or `.jsonl`; its folder is made if it is not there.
        card: the model's.
        model_id: the model's SHA-256.
        heatmaps: rows name the photo's heatmap.

    Attributes:
        done: photos that stood in the file when it was opened, each with its heatmap, or None.

    Raises:
        ResultsError: the file is another model's, has other columns, is damaged, or is none of ours; it is left
            alone.
    """

    done: dict[Path, Path | None]

    def __init__(self, path: Path, card: ModelCard, model_id: str, *, heatmaps: bool = False) -> None:
        check_suffix(path)
        self.path = path
        self.done = {}
        self._model_id = model_id
        self._is_csv = path.suffix.lower() == ".csv"
        self._fields = csv_columns(card) if self._is_csv else JSON_FIELDS
        if heatmaps:
            self._fields += ("heatmap",)
        end = self._take_up() if path.exists() else 0
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not `whole_file`: rows of hours of work stand in the file as soon as they are known, and the half row
        # that a crash may leave is cut off when the file is opened again.
        self._stream = path.open("ab")
        self._stream.truncate(end)
        if end == 0:
            self._write(self._head())

    def __enter__(self) -> "ResultFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def append(self, record: dict[str, Any]) -> None:
        """Add a row, from `to_record`; it stands in the file when this returns."""
        self._write(_csv_line(_cells(record, self._fields)) if self._is_csv else json.dumps(record) + "\n")

    def _write(self, text: str) -> None:
        # A file's name may hold bytes that are no UTF-8; Python reads them as surrogates, and so they go back.
        self._stream.write(text.encode("utf-8", "surrogateescape"))
        self._stream.flush()

    def _head(self) -> str:
        return _csv_line(self._fields) if self._is_csv else ""

    def _take_up(self) -> int:
        """Read the file into `done`; the length of its whole rows, in bytes."""
        end = 0
        header: list[str] | None = None
        with self.path.open("rb") as stream:
            for number, row in enumerate(_whole_rows(stream, quotes=self._is_csv), 1):
                end += len(row)
                text = row.decode("utf-8", "surrogateescape")
                if self._is_csv and header is None:
                    header = _csv_cells(text)
                    continue
                values = self._checked(
                    _csv_values(text, header) if header is not None else _json_values(text), number
                )
                heatmap = values.get("heatmap")
                self.done[Path(values["path"])] = Path(heatmap) if heatmap else None
            if end == 0:
                start = (self._head() or JSON_START).encode()
                stream.seek(0)
                if not start.startswith(stream.read(len(start))):
                    raise ResultsError(f"{self.path} is not a file of results; {WAY_OUT}")
        if header is not None and not self.done and tuple(header) != self._fields:
            raise self._other_columns(header)
        return end

    def _checked(self, values: dict[str, Any] | None, number: int) -> dict[str, Any]:
        if values is None or not isinstance(values.get("path"), str) or "model_id" not in values:
            raise ResultsError(
                f"{self.path} is not a file of results, or is damaged in row {number}; {WAY_OUT}"
            )
        if values["model_id"] != self._model_id:
            raise ResultsError(
                f"{self.path} holds results of another model ({str(values['model_id'])[:12]}..., and this one is "
                f"{self._model_id[:12]}...); {WAY_OUT}"
            )
        if tuple(values) != self._fields:
            raise self._other_columns(values)
        return values

    def _other_columns(self, found: Iterable[str]) -> ResultsError:
        differing = sorted(set(found) ^ set(self._fields))
        return ResultsError(
            f"{self.path} has other columns than are written now ({', '.join(differing) or 'in order'}): it "
            f"was written with or without --heatmaps, or by another version; {WAY_OUT}"
        )


def csv_columns(card: ModelCard) -> tuple[str, ...]:
    """The header of a CSV file: a column `p_<label>` a lesion, and `site_<label>` a body site."""
    sites = [f"site_{label.name}" for label in card.location_labels]
    return (
        "path",
        "lesion",
        "probability",
        *(f"p_{label.name}" for label in card.lesion_labels),
        *(["location", "location_probability", *sites] if sites else []),
        "model_id",
        "synthetic",
        "notes",
    )


def _cells(record: dict[str, Any], columns: tuple[str, ...]) -> list[Any]:
    lesions, locations = record["lesions"], record["locations"]
    cells = record | {
        "lesion": lesions[0]["name"],
        "probability": lesions[0]["probability"],
        "synthetic": str(record["synthetic"]).lower(),
        "notes": " ".join(record["notes"]),
    }
    cells |= {f"p_{score['name']}": score["probability"] for score in lesions}
    if locations:
        cells |= {"location": locations[0]["name"], "location_probability": locations[0]["probability"]}
        cells |= {f"site_{score['name']}": score["probability"] for score in locations}
    return [cells[column] for column in columns]


def _csv_line(cells: Iterable[Any]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _csv_cells(text: str) -> list[str]:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        return []


def _csv_values(text: str, header: list[str]) -> dict[str, Any] | None:
    cells = _csv_cells(text)
    return dict(zip(header, cells, strict=True)) if len(cells) == len(header) else None


def _json_values(text: str) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        return None
    return values if isinstance(values, dict) else None


def _whole_rows(stream: BinaryIO, *, quotes: bool) -> Iterator[bytes]:
    """Rows that are closed by a line end; with `quotes`, one between quotes closes none."""
    lines: list[bytes] = []
    open_quotes = 0
    for line in stream:
        lines.append(line)
        open_quotes = (open_quotes + line.count(b'"')) % 2 if quotes else 0
        if line.endswith(b"\n") and not open_quotes:
            yield b"".join(lines)
            lines.clear()

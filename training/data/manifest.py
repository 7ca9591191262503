"""The one table that every data set becomes.

    manifest = read_manifest_csv("photos/manifest.csv")

One row a photo. Columns: `path` (relative to the table's folder, or absolute), `lesions` (label names, `;`
between several), and, where known, `location`, `group`, `source`, `skin_tone`, `age`, `sex`, `box`
("x0 y0 x1 y1", pixels of the stored photo), `mask` and `split`. Rows of one group (a patient, a lesion) never
fall on both sides of a split. Torch-free.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from training.cli import whole_file
from training.errors import DataError

SEPARATOR = ";"
COLUMNS = {
    "path": "the photo's file",
    "lesions": f"one or more label names, '{SEPARATOR}' between them",
    "location": "the body site's label name, empty where unknown",
    "group": "patient or lesion id; defaults to one group a photo",
    "source": "where the photo comes from",
    "skin_tone": "as recorded, such as a Fitzpatrick type",
    "age": "years",
    "sex": "as recorded",
    "box": "x0 y0 x1 y1 of the lesion in pixels of the stored photo",
    "mask": "the lesion mask's file, white where the lesion is",
    "split": "train, validation or test, where the data set fixes it",
}
REQUIRED = ("path", "lesions")
SPLITS = ("train", "validation", "test")
SYNTHETIC_SOURCE = "phantom"
MISSING = -1
"""The location target of a photo whose body site is unknown."""


@dataclass(frozen=True)
class Manifest:
    """A data set.

    table: one row a photo, in the columns above; `path` absolute, `lesions` a tuple of names a row, missing
        text as "". The index runs from 0.
    """

    name: str
    table: pd.DataFrame
    lesion_labels: tuple[str, ...]
    location_labels: tuple[str, ...] = ()
    synthetic: bool = False
    licence: str = "unspecified"

    def __post_init__(self) -> None:
        if self.table.empty:
            raise DataError(f"{self.name} holds no photo; at least one row is needed.")
        for row, (path, lesions, location) in enumerate(
            zip(self.table["path"], self.table["lesions"], self.table["location"], strict=True)
        ):
            unknown = [name for name in lesions if name not in self.lesion_labels]
            if unknown or not lesions:
                raise DataError(
                    f"{self.name}, row {row + 1} ({path}): lesion '{';'.join(unknown)}' is not a label; "
                    f"valid are {', '.join(self.lesion_labels)}."
                )
            if location and location not in self.location_labels:
                raise DataError(
                    f"{self.name}, row {row + 1} ({path}): location '{location}' is not a label; "
                    f"valid are {', '.join(self.location_labels)}, or empty."
                )
        _check_fixed_split(self.name, self.table)

    def __len__(self) -> int:
        return len(self.table)

    @classmethod
    def from_rows(
        cls,
        name: str,
        rows: pd.DataFrame | Sequence[dict[str, object]],
        *,
        root: Path,
        lesion_labels: Iterable[str] | None = None,
        location_labels: Iterable[str] | None = None,
        synthetic: bool = False,
        licence: str = "unspecified",
    ) -> "Manifest":
        """Make a manifest of rows in the columns above; `lesions` may be a string or a sequence of names.

        Args:
            root: what a relative `path` or `mask` is relative to.
            lesion_labels: the order of the labels; by default the names that occur, sorted.
            location_labels: likewise.

        Raises:
            DataError: a column is missing, a label unknown, a group on both sides of a fixed split.
        """
        table = pd.DataFrame(rows).reset_index(drop=True)
        missing = [column for column in REQUIRED if column not in table]
        if missing:
            raise DataError(
                f"{name} lacks the column '{missing[0]}'; needed are {', '.join(REQUIRED)}, and it has "
                f"{', '.join(map(str, table.columns)) or 'none'}."
            )
        for column in COLUMNS:
            if column not in table:
                table[column] = ""
        table = table[list(COLUMNS)].fillna("")
        table["lesions"] = [_names(value) for value in table["lesions"]]
        for column in set(COLUMNS) - {"lesions"}:
            table[column] = table[column].astype(str).str.strip()
        for column in ("path", "mask"):
            table[column] = [str(root / value) if value else "" for value in table[column]]
        table["group"] = table["group"].where(table["group"] != "", table["path"])
        if lesion_labels is None:
            lesion_labels = sorted({lesion for row in table["lesions"] for lesion in row})
        if location_labels is None:
            location_labels = sorted(set(table["location"]) - {""})
        return cls(name, table, tuple(lesion_labels), tuple(location_labels), synthetic, licence)

    def subset(self, indices: np.ndarray | Sequence[int]) -> "Manifest":
        """The rows at `indices`, in that order, with the same labels."""
        return dataclasses.replace(self, table=self.table.iloc[np.asarray(indices)].reset_index(drop=True))

    def lesion_targets(self) -> np.ndarray:
        """(N, P) float32, 1 where the photo shows the lesion (Liao & Luo 2017, Eq. 2)."""
        column = {name: index for index, name in enumerate(self.lesion_labels)}
        targets = np.zeros((len(self), len(column)), np.float32)
        for row, lesions in enumerate(self.table["lesions"]):
            targets[row, [column[name] for name in lesions]] = 1
        return targets

    def location_targets(self) -> np.ndarray:
        """(N,) int64: the index of the body site, `MISSING` where it is unknown."""
        column = {name: index for index, name in enumerate(self.location_labels)}
        return np.array([column.get(name, MISSING) for name in self.table["location"]], np.int64)

    @property
    def single_label(self) -> bool:
        """True if every photo shows just one lesion."""
        return bool((self.table["lesions"].map(len) == 1).all())

    def counts(self) -> dict[str, int]:
        """Photos a lesion label, in the labels' order."""
        return dict(zip(self.lesion_labels, self.lesion_targets().sum(0).astype(int).tolist(), strict=True))

    def fingerprint(self) -> str:
        """SHA-256 (first 16 digits) of the rows and of each photo's file size; moving the folder keeps it."""
        digest = hashlib.sha256()
        for row in self.table.itertuples(index=False):
            path = Path(str(row.path))
            size = path.stat().st_size if path.is_file() else -1
            digest.update(f"{path.name}|{size}|{row.lesions}|{row.location}|{row.split}\n".encode())
        return digest.hexdigest()[:16]

    def write_csv(self, path: Path) -> None:
        """Write the table in the columns above, files relative to its folder where they lie below it."""
        table = self.table.copy()
        table["lesions"] = table["lesions"].map(SEPARATOR.join)
        for column in ("path", "mask"):
            table[column] = [_relative(value, path.parent) for value in table[column]]
        with whole_file(path) as temporary:
            table.to_csv(temporary, index=False)


def read_manifest_csv(path: str | Path, *, name: str | None = None) -> Manifest:
    """Anyone's CSV in the manifest's columns; synthetic if every row's `source` is the phantom.

    Raises:
        DataError: not a CSV, or not in these columns.
    """
    path = Path(path)
    manifest = Manifest.from_rows(name or path.stem, read_table(path), root=path.parent)
    return dataclasses.replace(manifest, synthetic=bool((manifest.table["source"] == SYNTHETIC_SOURCE).all()))


def read_table(path: Path) -> pd.DataFrame:
    """A CSV as text, empty cells as "".

    Raises:
        DataError: there is no such file, or it is no CSV.
    """
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DataError(f"{path} is not there; check the path.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a CSV table in UTF-8 ({error}); save it as one.") from error


def _names(value: object) -> tuple[str, ...]:
    parts = value.split(SEPARATOR) if isinstance(value, str) else list(value)  # type: ignore[call-overload]
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _relative(value: str, folder: Path) -> str:
    if not value:
        return ""
    path, folder = Path(value).absolute(), folder.absolute()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _check_fixed_split(name: str, table: pd.DataFrame) -> None:
    fixed = table[table["split"] != ""]
    unknown = sorted(set(fixed["split"]) - set(SPLITS))
    if unknown:
        raise DataError(f"{name}: split '{unknown[0]}' is unknown; valid are {', '.join(SPLITS)}, or empty.")
    sides = fixed.groupby("group")["split"].nunique()
    spanning = sides[sides > 1].index.tolist()
    if spanning:
        raise DataError(
            f"{name}: group '{spanning[0]}' stands in {sides[spanning[0]]} splits ({len(spanning)} such "
            "groups); put all photos of one group into one split, or clear the column."
        )

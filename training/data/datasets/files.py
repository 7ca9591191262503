"""Finding a data set's photos on disk, whatever sub-folders its owner put them in."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from training.data.manifest import read_table
from training.data.photo import PHOTO_SUFFIXES
from training.errors import DataError


def walk_photos(folder: Path) -> list[Path]:
    """Every photo below a folder by its suffix, sorted; hidden files and folders are passed over."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(parent, name)
            for name in sorted(names)
            if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES
        ]
    return found


def index_files(folder: Path) -> dict[str, Path]:
    """Absolute paths of the photos below a folder by name without suffix; empty if there is no folder."""
    return {path.stem: path.absolute() for path in walk_photos(folder)}


def resolve_photos(names: Iterable[str], folder: Path) -> list[str]:
    """The file of each name (with or without suffix) below `folder`, outside `masks/`; "" where none is.

    How many are missing is said once on standard error: a partial copy of a data set can be used, but not
    unknowingly.

    Raises:
        DataError: none is there.
    """
    masks = (folder / "masks").absolute()
    files = {
        path.stem: path.absolute()
        for path in walk_photos(folder)
        if not path.absolute().is_relative_to(masks)
    }
    paths = [str(files.get(Path(name).stem, "")) for name in names]
    missing = paths.count("")
    if missing == len(paths):
        raise DataError(
            f"{folder} holds none of the {len(paths)} photos that its table names; put them below the folder."
        )
    if missing:
        print(f"{folder}: {missing} of {len(paths)} photos of the table are not there.", file=sys.stderr)
    return paths


def read_published_table(
    file: Path, columns: tuple[str, ...], label_column: str, labels: Iterable[str]
) -> pd.DataFrame:
    """A publisher's table, checked for the columns and labels that its reader knows.

    Raises:
        DataError: the file is not there, a column is missing, or a label is not known.
    """
    table = read_table(file)
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(
            f"{file} lacks the column '{missing[0]}'; needed are {', '.join(columns)}: "
            "take the publisher's file as it is."
        )
    unknown = sorted(set(table[label_column]) - set(labels))
    if unknown:
        raise DataError(f"{file}: {label_column} '{unknown[0]}' is not known; valid are {', '.join(labels)}.")
    return table

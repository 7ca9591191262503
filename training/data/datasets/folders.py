"""A folder of class folders: each sub-folder's name is the label of the photos in it.

    manifest = read_class_folders(Path("my_photos"))

Each photo is its own group, since a folder does not say who is on it: write a manifest CSV with a `group`
column if one person has several photos, or the score will look better than it is.
"""

from pathlib import Path

from training.data.datasets.files import walk_photos
from training.data.manifest import Manifest
from training.errors import DataError


def read_class_folders(folder: Path) -> Manifest:
    """The photos of every sub-folder.

    Raises:
        DataError: fewer than two sub-folders hold photos.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    rows: list[dict[str, object]] = [
        {"path": str(photo.absolute()), "lesions": (name.name,)}
        for name in classes
        for photo in walk_photos(name)
    ]
    labels = {row["lesions"] for row in rows}
    if len(labels) < 2:
        raise DataError(
            f"{folder} is no data set that is known here: it needs a manifest.csv, a published table "
            "(metadata.csv of PAD-UFES-20, HAM10000_metadata.csv), or at least two sub-folders of photos, "
            "named for their labels."
        )
    return Manifest.from_rows(folder.name, rows, root=folder)

"""From what a person typed after `--data` to a manifest.

manifest = load_manifest("phantom")            # drawn below data/ if it is not there yet
manifest = load_manifest("path/to/folder_or.csv")
"""

from pathlib import Path

from training.data.datasets.folders import read_class_folders
from training.data.datasets.ham10000 import LESIONS as HAM10000_LESIONS
from training.data.datasets.ham10000 import is_ham10000, read_ham10000
from training.data.datasets.pad_ufes_20 import LESIONS as PAD_UFES_20_LESIONS
from training.data.datasets.pad_ufes_20 import is_pad_ufes_20, read_pad_ufes_20
from training.data.datasets.phantom import DISPLAY as PHANTOM_LESIONS
from training.data.datasets.phantom import read_phantom, write_phantom
from training.data.datasets.phantom_dermquest import DISPLAY as DERMQUEST_LESIONS
from training.data.datasets.phantom_dermquest import NAME as DERMQUEST
from training.data.datasets.phantom_dermquest import as_dermquest
from training.data.manifest import Manifest, read_manifest_csv
from training.errors import DataError

DRAWN_FOLDER = Path("data")
"""Where data sets that are named rather than pathed are drawn."""
PHANTOM_PHOTOS = 1900
"""Of the phantom by name: as many as `make demo` can learn from in minutes on two CPU cores."""
MANIFEST_FILE = "manifest.csv"
DISPLAY_NAMES = DERMQUEST_LESIONS | PHANTOM_LESIONS | PAD_UFES_20_LESIONS | HAM10000_LESIONS


def load_manifest(data: str | Path) -> Manifest:
    """The data set of that name or at that path.

    Args:
        data: `phantom`, or `phantom-dermquest`, the same photos under several labels each; a CSV in the
            manifest's columns; or a folder: of a manifest.csv, of PAD-UFES-20, of HAM10000, or of class folders.

    Raises:
        DataError: there is nothing of the kind.
    """
    if str(data) in ("phantom", DERMQUEST):
        manifest = write_phantom(DRAWN_FOLDER / "phantom", n_photos=PHANTOM_PHOTOS)
        return as_dermquest(manifest) if str(data) == DERMQUEST else manifest
    path = Path(data)
    if path.is_file():
        return read_manifest_csv(path)
    if not path.is_dir():
        raise DataError(
            f"--data {data}: there is no such file or folder; valid are 'phantom', "
            f"'{DERMQUEST}', a manifest CSV, a folder of PAD-UFES-20 or HAM10000, or a folder of class folders."
        )
    if (path / "phantom.json").is_file():
        return read_phantom(path)
    if (path / MANIFEST_FILE).is_file():
        return read_manifest_csv(path / MANIFEST_FILE, name=path.name)
    if is_pad_ufes_20(path):
        return read_pad_ufes_20(path)
    if is_ham10000(path):
        return read_ham10000(path)
    return read_class_folders(path)


def display_name(label: str) -> str:
    """How a person reads a label: the name that its data set's source gives, or the label in plain words."""
    return DISPLAY_NAMES.get(label) or label.replace("_", " ").capitalize()

"""HAM10000: dermoscopic images of pigmented lesions with body sites.

    manifest = read_ham10000(Path("ham10000"))

Source: Tschandl et al. 2018, Scientific Data 5:180161; CC BY-NC 4.0. The publisher's folder holds
`HAM10000_metadata.csv` (or the same without a suffix) and the images, in `images/` or in
`HAM10000_images_part_1` and `_2`. A group is a lesion.
"""

from pathlib import Path

from training.data.datasets.files import index_files, read_published_table, resolve_photos
from training.data.manifest import Manifest

METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata")
COLUMNS = ("lesion_id", "image_id", "dx", "localization")
LESIONS = {
    "akiec": "Actinic keratosis or Bowen's disease",
    "bcc": "Basal cell carcinoma",
    "bkl": "Benign keratosis",
    "df": "Dermatofibroma",
    "mel": "Melanoma",
    "nv": "Melanocytic naevus",
    "vasc": "Vascular lesion",
}
UNKNOWN_SITE = "unknown"


def is_ham10000(folder: Path) -> bool:
    """Does the folder hold this data set's table?"""
    return any((folder / name).is_file() for name in METADATA)


def read_ham10000(folder: Path) -> Manifest:
    """The images that are there, with the publisher's labels.

    Raises:
        DataError: the table or a column is missing, or no image of the table is there.
    """
    metadata = next((folder / name for name in METADATA if (folder / name).is_file()), folder / METADATA[0])
    table = read_published_table(metadata, COLUMNS, "dx", LESIONS)
    rows = table.rename(columns={"dx": "lesions", "localization": "location", "lesion_id": "group"})
    rows["location"] = rows["location"].replace(UNKNOWN_SITE, "")
    rows["path"] = resolve_photos(table["image_id"], folder)
    masks = index_files(folder / "masks")
    rows["mask"] = [str(masks.get(name, masks.get(f"{name}_segmentation", ""))) for name in table["image_id"]]
    rows["source"] = "HAM10000"
    return Manifest.from_rows(
        folder.name, rows[rows["path"] != ""], root=folder, lesion_labels=LESIONS, licence="CC BY-NC 4.0"
    )

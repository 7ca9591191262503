"""PAD-UFES-20: smartphone photos of skin lesions with body regions.

    manifest = read_pad_ufes_20(Path("pad_ufes_20"))

Source: Pacheco et al. 2020, Data in Brief 32:106221; CC BY 4.0. The publisher's folder holds `metadata.csv`
and the photos, in `images/` or in `imgs_part_1` to `imgs_part_3`. A group is a patient.
"""

from pathlib import Path

from training.data.datasets.files import index_files, read_published_table, resolve_photos
from training.data.manifest import Manifest, read_table

METADATA = "metadata.csv"
COLUMNS = ("img_id", "patient_id", "diagnostic", "region")
LESIONS = {
    "ACK": "Actinic keratosis",
    "BCC": "Basal cell carcinoma",
    "MEL": "Melanoma",
    "NEV": "Naevus",
    "SCC": "Squamous cell carcinoma",
    "SEK": "Seborrhoeic keratosis",
}


def is_pad_ufes_20(folder: Path) -> bool:
    """Does the folder hold this data set's table?"""
    metadata = folder / METADATA
    return metadata.is_file() and set(COLUMNS) <= set(read_table(metadata).columns)


def read_pad_ufes_20(folder: Path) -> Manifest:
    """The photos that are there, with the publisher's labels.

    Raises:
        DataError: a column is missing, or no photo of the table is there.
    """
    table = read_published_table(folder / METADATA, COLUMNS, "diagnostic", LESIONS)
    rows = table.rename(
        columns={
            "diagnostic": "lesions",
            "region": "location",
            "patient_id": "group",
            "fitspatrick": "skin_tone",
            "gender": "sex",
        }
    )
    rows["path"] = resolve_photos(table["img_id"], folder)
    masks = index_files(folder / "masks")
    rows["mask"] = [str(masks.get(Path(name).stem, "")) for name in table["img_id"]]
    rows["source"] = "PAD-UFES-20"
    return Manifest.from_rows(
        folder.name, rows[rows["path"] != ""], root=folder, lesion_labels=LESIONS, licence="CC BY 4.0"
    )

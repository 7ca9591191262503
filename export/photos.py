"""Which photos a command line was given: files as they are, folders searched for what looks like a photo.

    photos, left_out = find_photos([Path("lesion.jpg"), Path("clinic/")])

Torch-free.
"""

from collections.abc import Sequence
from pathlib import Path

from training.data.photo import PHOTO_SUFFIXES

HEATMAP_SUFFIX = ".heatmap.jpg"
"""Of the overlays that export.classify writes: pictures of ours, not photos to classify."""


def find_photos(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The photos that `paths` name, each once.

    A folder is searched with all below it, in the order of names; hidden files and folders, files without a
    photo's suffix, and heatmaps are skipped. Whatever is named itself is taken as it is, there or not: reading
    it will tell.

    Returns:
        The photos, and one sentence for each folder that holds none.
    """
    found: dict[Path, None] = {}
    left_out = []
    for path in paths:
        photos = sorted(p for p in path.rglob("*") if _is_photo(p, path)) if path.is_dir() else [path]
        if not photos:
            left_out.append(
                f"{path} holds no photo; files ending in {', '.join(PHOTO_SUFFIXES)} are looked for, "
                "in its folders too."
            )
        found.update(dict.fromkeys(photos))
    return list(found), left_out


def _is_photo(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    ours = path.name.endswith(HEATMAP_SUFFIX)
    return path.suffix.lower() in PHOTO_SUFFIXES and not hidden and not ours and path.is_file()

"""Which photos a command line was given, and reading them ahead of whoever looks at them.

    photos, left_out = find_photos([Path("lesion.jpg"), Path("clinic/")])

Files are taken as they are; folders are searched for what looks like a photo. Torch-free.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from training.data.photo import PHOTO_SUFFIXES

HEATMAP_SUFFIX = ".heatmap.jpg"
"""Of the overlays that export.classify writes: pictures of ours, not photos to classify."""
READING_THREADS = min(4, os.cpu_count() or 1)
"""Few: each may hold a photo of full size while it decodes one."""

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


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


def read_ahead(
    read: Callable[[Item], Outcome], items: Iterable[Item], *, ahead: int
) -> Generator[Outcome, None, None]:
    """`map(read, items)`, in order, with up to `ahead` outcomes read in threads before they are asked for.

    An error of `read` is raised where its outcome would have come. Closing the generator drops what was not begun.
    """
    pool = ThreadPoolExecutor(READING_THREADS)
    waiting: deque[Future[Outcome]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

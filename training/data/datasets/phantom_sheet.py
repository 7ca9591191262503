"""Pictures of the synthetic phantom for people to look at.

python -m training.data.datasets.phantom --contact-sheet sheet.jpg --capture-sheet capture.jpg

Torch-free.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.cli import whole_file
from training.data.datasets.phantom_capture import Capture
from training.data.datasets.phantom_lesions import LABELS
from training.data.datasets.phantom_person import TONES
from training.data.datasets.phantom_photo import DISPLAY, draw_photo

INK, PAPER = (40, 40, 40), (250, 250, 250)
TITLE = "Synthetic photos, drawn by the phantom. No person was photographed."
SHOWN: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("distance", "distance", (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)),
    ("offset_xy", "offset", ((0.0, 0.0), (0.1, 0.0), (0.2, 0.1), (0.3, -0.1), (-0.3, 0.3), (0.45, 0.45))),
    ("ev", "exposure (EV)", (-4.0, -2.5, -1.0, 0.0, 1.0, 2.5)),
    ("gradient_ev", "gradient (EV)", (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)),
    ("glare", "glare", (0.0, 0.2, 0.4, 0.7, 1.0, 2.0)),
    ("shadow", "shadow", (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)),
    ("blur_sigma", "blur (sigma)", (0.0, 0.004, 0.008, 0.015, 0.03, 0.05)),
    ("motion_blur", "motion blur", (0.0, 0.01, 0.02, 0.04, 0.07, 0.1)),
    ("gamma", "gamma", (0.4, 0.7, 1.0, 1.4, 2.0, 3.0)),
    ("noise_sigma", "noise (sigma)", (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)),
    (
        "white_balance_ev",
        "white balance (EV)",
        ((0.0, 0.0), (0.4, 0.0), (0.8, -0.6), (0.0, -0.7), (-0.5, 0.5), (-0.9, 0.9)),
    ),
)
"""Field, caption and values of the capture sheet's rows."""


def write_contact_sheet(path: Path, *, seed: int = 0, tile_px: int = 160) -> None:
    """A row a label, a column a tone, everyday conditions, the caption beside each row."""
    rows = [
        (
            DISPLAY[label],
            [(draw_photo(seed, 100 * row + tone, lesion=label, tone=tone).image_rgb, "") for tone in TONES],
        )
        for row, label in enumerate(LABELS)
    ]
    _write_sheet(path, rows, tile_px)


def write_capture_sheet(path: Path, *, seed: int = 0, tile_px: int = 160) -> None:
    """A row a condition, from nothing to its worst, on one lesion."""
    rows = []
    for field, caption, values in SHOWN:
        tiles = []
        for value in values:
            photo = draw_photo(
                seed, 1, lesion="crust", location="arm", tone=3, capture=Capture(**{field: value})
            )
            shown = ", ".join(f"{x:g}" for x in value) if isinstance(value, tuple) else f"{value:g}"
            tiles.append((photo.image_rgb, shown))
        rows.append((caption, tiles))
    _write_sheet(path, rows, tile_px)


def _write_sheet(path: Path, rows: list[tuple[str, list[tuple[np.ndarray, str]]]], tile_px: int) -> None:
    left, top, gap = 178, 34, 4
    step = tile_px + gap
    sheet = np.full((top + step * len(rows), left + step * len(rows[0][1]), 3), PAPER, np.uint8)
    _write_text(sheet, TITLE, (10, 22), 0.5)
    for row, (caption, tiles) in enumerate(rows):
        y = top + row * step
        _write_text(sheet, caption, (10, y + tile_px // 2 + 5), 0.52)
        for column, (image_rgb, note) in enumerate(tiles):
            tile = cv2.resize(image_rgb, (tile_px, tile_px), interpolation=cv2.INTER_AREA)
            x = left + column * step
            sheet[y : y + tile_px, x : x + tile_px] = tile
            if note:
                cv2.rectangle(sheet, (x, y), (x + 12 + 9 * len(note), y + 20), PAPER, -1)
                _write_text(sheet, note, (x + 5, y + 15), 0.45)
    options = [cv2.IMWRITE_JPEG_QUALITY, 88] if path.suffix.lower() in (".jpg", ".jpeg") else []
    ok, data = cv2.imencode(path.suffix, np.ascontiguousarray(sheet[..., ::-1]), options)
    if not ok:
        raise OSError(f"cannot encode {path}")
    with whole_file(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _write_text(sheet: np.ndarray, text: str, at: tuple[int, int], scale: float) -> None:
    cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)

"""One synthetic photo from a seed: which lesion, on whom, where, under which conditions.

    photo = draw_photo(seed=0, index=7)          # the same photo whenever and wherever it is drawn

Labels, their order and their frequencies: Mishra et al. 2019, Table 1. Torch-free.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from training.data.datasets.phantom_capture import Capture, apply_capture, draw_capture
from training.data.datasets.phantom_fields import pick
from training.data.datasets.phantom_lesions import LABELS, paint
from training.data.datasets.phantom_person import SITES, TONES, Person, draw_person
from training.data.datasets.phantom_scene import render_scene
from training.errors import DataError

DISPLAY: dict[str, str] = {
    "acne": "Acne",
    "alopecia": "Alopecia",
    "blister": "Blister",
    "crust": "Crust",
    "erythema": "Erythema",
    "leukoderma": "Leukoderma",
    "p_macula": "Pigmented macula",
    "tumour": "Tumour",
    "ulcer": "Ulcer",
    "wheal": "Wheal",
}
TABLE_1_COUNTS: dict[str, int] = {
    "acne": 972,
    "alopecia": 682,
    "blister": 691,
    "crust": 640,
    "erythema": 689,
    "leukoderma": 665,
    "p_macula": 717,
    "tumour": 790,
    "ulcer": 782,
    "wheal": 636,
}
"""Images a label in Mishra et al. 2019, Table 1: 7,264 in all."""
SITE_TABLE: dict[str, dict[str, float]] = {
    "acne": {"face": 0.58, "back": 0.20, "chest": 0.13, "neck": 0.06, "arm": 0.03},
    "alopecia": {"scalp": 0.90, "face": 0.07, "leg": 0.03},
    "blister": {
        "hand": 0.26,
        "foot": 0.28,
        "leg": 0.16,
        "arm": 0.14,
        "chest": 0.06,
        "abdomen": 0.06,
        "face": 0.04,
    },
    "crust": {
        "face": 0.36,
        "scalp": 0.10,
        "leg": 0.16,
        "arm": 0.14,
        "hand": 0.10,
        "neck": 0.06,
        "chest": 0.08,
    },
    "erythema": {
        "face": 0.24,
        "chest": 0.16,
        "neck": 0.14,
        "arm": 0.14,
        "abdomen": 0.12,
        "back": 0.10,
        "leg": 0.10,
    },
    "leukoderma": {
        "hand": 0.28,
        "face": 0.20,
        "arm": 0.14,
        "neck": 0.10,
        "foot": 0.10,
        "abdomen": 0.08,
        "chest": 0.10,
    },
    "p_macula": {
        "face": 0.30,
        "back": 0.20,
        "arm": 0.16,
        "leg": 0.12,
        "chest": 0.10,
        "hand": 0.06,
        "abdomen": 0.06,
    },
    "tumour": {
        "face": 0.38,
        "scalp": 0.08,
        "back": 0.16,
        "neck": 0.10,
        "chest": 0.08,
        "arm": 0.12,
        "hand": 0.08,
    },
    "ulcer": {"leg": 0.40, "foot": 0.32, "face": 0.06, "back": 0.08, "hand": 0.06, "arm": 0.08},
    "wheal": {"abdomen": 0.22, "back": 0.22, "arm": 0.18, "chest": 0.14, "leg": 0.14, "neck": 0.10},
}
"""How often each lesion sits where: our own rough guesses from textbook predilection sites, not a measurement."""
LESION_CM: dict[str, tuple[float, float]] = {
    "acne": (3.0, 6.5),
    "alopecia": (2.0, 6.5),
    "blister": (0.8, 3.5),
    "crust": (1.0, 4.0),
    "erythema": (2.5, 10.0),
    "leukoderma": (2.0, 9.0),
    "p_macula": (0.6, 5.0),
    "tumour": (0.7, 3.5),
    "ulcer": (1.0, 5.0),
    "wheal": (2.0, 9.0),
}
"""Range of the lesion's longer side; drawn evenly in the logarithm."""
TONE_SHARES = (0.15, 0.20, 0.20, 0.18, 0.15, 0.12)
MIN_SIZE_PX, MAX_SIZE_PX = 64, 2048


@dataclass(frozen=True)
class PhantomPhoto:
    """One synthetic photo.

    image_rgb: (size, size, 3) uint8, RGB.
    mask: (size, size) uint8, 255 where the lesion is, else 0.
    box: x0, y0, x1, y1 of the mask in pixels, x1 and y1 just outside it; all 0 where no lesion is in view.
    """

    image_rgb: np.ndarray
    mask: np.ndarray
    lesion: str
    location: str
    skin_tone: int
    box: tuple[int, int, int, int]
    capture: Capture


def draw_photo(
    seed: int,
    index: int,
    *,
    lesion: str | None = None,
    location: str | None = None,
    tone: int | None = None,
    size: int = 256,
    capture: Capture | None = None,
    site_coupling: float = 1.0,
    subject: int | None = None,
    with_lesion: bool = True,
) -> PhantomPhoto:
    """Draw synthetic photo `index` of `seed`: the same pixels whatever else is drawn.

    Args:
        lesion: one of LABELS; drawn by TABLE_1_COUNTS if None.
        location: one of SITES; drawn by `choose_site` if None.
        tone: 1 (lightest) to 6; drawn if None.
        size: side of the photo in pixels, 64 to 2048.
        capture: the conditions; everyday ones (`draw_capture`) if None.
        site_coupling: 0 = any site for any lesion, 1 = the sites of SITE_TABLE.
        subject: the index of the photo whose person and lesion these are; its own if None.
        with_lesion: False draws the same skin without the lesion, as a control.

    Raises:
        DataError: an argument is outside its valid set.
    """
    _check(size, seed=seed, index=index, subject=subject)
    capture_rng = random.Random(f"phantom capture {seed} {index}")
    who, person, subject_rng = draw_subject(
        seed,
        index if subject is None else subject,
        lesion=lesion,
        location=location,
        tone=tone,
        site_coupling=site_coupling,
    )
    parted = who.location == "scalp" and who.lesion != "alopecia"
    canvas = (
        paint(subject_rng, who.lesion, skin_melanin=person.melanin, parted=parted) if with_lesion else None
    )
    everyday = draw_capture(capture_rng)
    capture = capture or everyday
    linear_rgb, mask = render_scene(person, canvas, capture, size=size, rng=capture_rng)
    image_rgb = apply_capture(linear_rgb, capture, capture_rng)
    return PhantomPhoto(image_rgb, mask, who.lesion, who.location, who.skin_tone, mask_box(mask), capture)


class Who(NamedTuple):
    """What is known of a subject before anything is drawn."""

    lesion: str
    location: str
    skin_tone: int


def draw_who(
    seed: int,
    subject: int,
    *,
    lesion: str | None = None,
    location: str | None = None,
    tone: int | None = None,
    site_coupling: float = 1.0,
) -> Who:
    """The lesion, site and tone of `draw_photo` with the same arguments, without drawing it.

    Raises:
        DataError: an argument is outside its valid set.
    """
    return _draw_who(np.random.default_rng([seed, subject, 0]), lesion, location, tone, site_coupling)


class Subject(NamedTuple):
    """Who, what stays the same between their photos, and the generator that their lesion is painted from."""

    who: Who
    person: Person
    rng: np.random.Generator


def draw_subject(
    seed: int,
    subject: int,
    *,
    lesion: str | None = None,
    location: str | None = None,
    tone: int | None = None,
    site_coupling: float = 1.0,
) -> Subject:
    """The subject of `draw_photo` with the same arguments, without drawing a photo.

    Raises:
        DataError: an argument is outside its valid set.
    """
    rng = np.random.default_rng([seed, subject, 0])
    who = _draw_who(rng, lesion, location, tone, site_coupling)
    person = draw_person(
        rng,
        location=who.location,
        tone=who.skin_tone,
        lesion_cm=LESION_CM[who.lesion],
        hairy=who.lesion == "alopecia",
    )
    return Subject(who, person, rng)


def _draw_who(
    rng: np.random.Generator, lesion: str | None, location: str | None, tone: int | None, site_coupling: float
) -> Who:
    for name, value, valid in (
        ("lesion", lesion, LABELS),
        ("location", location, SITES),
        ("tone", tone, TONES),
    ):
        if value is not None and value not in valid:
            raise DataError(
                f"{name} '{value}' is not one of the phantom's; valid are {', '.join(map(str, valid))}, "
                "or None to have it drawn."
            )
    if not 0 <= site_coupling <= 1:
        raise DataError(f"site_coupling {site_coupling} is out of range; it is a share from 0 to 1.")
    drawn_lesion = LABELS[pick(rng, [TABLE_1_COUNTS[label] for label in LABELS])]
    lesion = lesion or drawn_lesion
    drawn_site = choose_site(rng, lesion, site_coupling)
    drawn_tone = TONES[pick(rng, TONE_SHARES)]
    return Who(lesion, location or drawn_site, tone or drawn_tone)


def choose_site(rng: np.random.Generator, lesion: str, site_coupling: float) -> str:
    """A body site: by SITE_TABLE with probability `site_coupling`, else any of them alike."""
    table = SITE_TABLE[lesion]
    whole = sum(table.values())
    return SITES[
        pick(
            rng,
            [
                site_coupling * table.get(site, 0.0) / whole + (1 - site_coupling) / len(SITES)
                for site in SITES
            ],
        )
    ]


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of what is set in a (H, W) mask, the ends just outside; all 0 if nothing is."""
    x, y, width, height = cv2.boundingRect(mask)
    return x, y, x + width, y + height


def _check(size: int, **numbers: int | None) -> None:
    if not MIN_SIZE_PX <= size <= MAX_SIZE_PX:
        raise DataError(
            f"size {size} px is out of range; a phantom's side is {MIN_SIZE_PX} to {MAX_SIZE_PX} px."
        )
    for name, value in numbers.items():
        if value is not None and value < 0:
            raise DataError(f"{name} {value} is negative; a phantom is drawn from 0 or above.")

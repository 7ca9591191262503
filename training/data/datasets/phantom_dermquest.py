"""The phantom under Liao & Luo's labels: several of their 25 lesion names a photo, and one of 23 body sites.

    manifest = as_dermquest(read_phantom(Path("data/phantom")))

The 25 names are Table 1's of Liao & Luo 2017, whose photos (DermQuest) have gone from the web. Their 23 body
sites stand in Fig. 1 alone, which the text does not spell out: it tells of the scalp, and of hands, into which
nails and fingers were merged; the other 21 names are ours. So is the reading of the phantom's drawings as lesions
of Table 1.

A label is tied to what the photo shows: the form, number and size that the lesion was drawn with, and the skin
tone; oozing is partly left to chance. The finer site tells how far off the part's middle line the lesion sits.
Neither looks at the other, so lesion and site go together just as far as the phantom's `site_coupling` makes
them. Photos of one subject agree. Torch-free.
"""

import dataclasses
import re
from collections import Counter

import numpy as np

from training.data.datasets.phantom_fields import choose
from training.data.datasets.phantom_lesions import LABELS
from training.data.datasets.phantom_lesions_flat import ALOPECIA_PATCHES, ERYTHEMA_FORMS, P_MACULA_FORMS
from training.data.datasets.phantom_lesions_raised import (
    ACNE_SPOTS,
    BLISTERS,
    CRUSTS,
    TUMOUR_FORMS,
    TUMOUR_LOBES,
    WHEALS,
    acne_spots,
)
from training.data.datasets.phantom_person import MAX_ACROSS
from training.data.datasets.phantom_photo import Subject, draw_subject
from training.data.manifest import Manifest
from training.errors import DataError

NAME = "phantom-dermquest"
DISPLAY: dict[str, str] = {
    "alopecia": "Alopecia",
    "comedones": "Comedones",
    "crust": "Crust",
    "cyst": "Cyst",
    "edema": "Edema",
    "erosion_ulcer_atrophy": "Erosion, ulcer or atrophy",
    "erythema_erythroderm": "Erythema or erythroderma",
    "erythsquam_plaque": "Erythematosquamous plaque",
    "erythematous_papule": "Erythematous papule",
    "erythematous_plaque": "Erythematous plaque",
    "excoriation": "Excoriation",
    "hyperkeratosis": "Hyperkeratosis",
    "hyperpig_papule": "Hyperpigmented papule",
    "hyperpig_plaque": "Hyperpigmented plaque",
    "macule": "Macule",
    "nodule": "Nodule",
    "oozing": "Oozing",
    "other_papule": "Other papule",
    "pearly_papule": "Pearly papule",
    "other_plaque": "Other plaque",
    "scar": "Scar",
    "squames_scales": "Squames or scales",
    "telangiectasis": "Telangiectasis",
    "tumour": "Tumour",
    "vesicular_pustular": "Vesicles or pustules",
}
"""Table 1's lesion names in its order, and its wording in full."""
LESIONS: tuple[str, ...] = tuple(DISPLAY)
FINER_SITES: dict[str, tuple[str, ...]] = {
    "scalp": ("scalp",),
    "face": ("nose", "lips", "forehead", "eyelids", "cheeks"),
    "neck": ("neck", "nape"),
    "chest": ("chest", "breasts"),
    "back": ("back", "shoulders"),
    "abdomen": ("abdomen", "flanks"),
    "arm": ("forearms", "upper_arms", "elbows"),
    "hand": ("hands",),
    "leg": ("lower_legs", "knees", "thighs"),
    "foot": ("feet", "ankles"),
}
"""The phantom's sites, each cut into equally likely ones, from the part's middle line to its edge."""
LOCATIONS: tuple[str, ...] = tuple(site for finer in FINER_SITES.values() for site in finer)
RULES: dict[str, dict[str, tuple[str, ...]]] = {
    "acne": {
        "comedones": ("comedo",),
        "erythematous_papule": ("papule",),
        "vesicular_pustular": ("pustule",),
        "nodule": ("nodule",),
        "scar": ("mark",),
    },
    "alopecia": {"alopecia": ("",), "scar": ("several",)},
    "blister": {
        "vesicular_pustular": ("",),
        "erythematous_plaque": ("several", "many"),
        "oozing": ("several chance", "many"),
    },
    "crust": {
        "crust": ("",),
        "excoriation": ("several",),
        "squames_scales": ("large",),
        "erythsquam_plaque": ("large single",),
        "oozing": ("small chance", "medium chance"),
    },
    "erythema": {
        "erythema_erythroderm": ("flush", "macules"),
        "macule": ("macules",),
        "erythematous_plaque": ("ring",),
    },
    "leukoderma": {"macule": ("",)},
    "p_macula": {
        "macule": ("cafe_au_lait", "lentigines", "melasma"),
        "hyperpig_papule": ("network small", "lentigines"),
        "hyperpig_plaque": ("network medium", "network large", "melasma"),
    },
    "tumour": {
        "tumour": ("large",),
        "pearly_papule": ("pearly",),
        "telangiectasis": ("pearly",),
        "cyst": ("red single",),
        "nodule": ("red several", "red many", "pigmented medium", "rough large"),
        "erythematous_papule": ("red small",),
        "hyperpig_papule": ("pigmented small", "pigmented medium"),
        "hyperkeratosis": ("rough",),
        "other_papule": ("rough small", "rough medium"),
    },
    "ulcer": {
        "erosion_ulcer_atrophy": ("",),
        "excoriation": ("small", "medium"),
        "oozing": ("large chance",),
    },
    "wheal": {
        "edema": ("",),
        "erythematous_plaque": ("light single", "light several"),
        "other_plaque": ("dark single", "dark several"),
        "erythematous_papule": ("light many",),
        "other_papule": ("dark many",),
    },
}
"""For each lesion of the phantom, its labels, each with the cases in which a photo carries it: all words of one
case (`traits`) hold; the empty case always does. Papules are up to 1 cm as in the textbooks, tumours from 2 cm."""
CHANCE = 0.4
NUMBERS = {"alopecia": ALOPECIA_PATCHES, "blister": BLISTERS, "crust": CRUSTS, "wheal": WHEALS}
FORMS = {"erythema": ERYTHEMA_FORMS, "p_macula": P_MACULA_FORMS}
GROUP = re.compile(r"phantom-(\d+)-(\d+)")


def as_dermquest(manifest: Manifest, seed: int = 0) -> Manifest:
    """The same photos, groups, masks and boxes under LESIONS and LOCATIONS.

    Args:
        manifest: the phantom's, or a subset of it.
        seed: of the chance that is left.

    Raises:
        DataError: the manifest is not the phantom's.
    """
    table = manifest.table.copy()
    rows: list[tuple[tuple[str, ...], str]] = []
    for lesions, location, tone, group in zip(
        table["lesions"], table["location"], table["skin_tone"], table["group"], strict=True
    ):
        found = GROUP.fullmatch(group)
        if not (manifest.synthetic and found and len(lesions) == 1 and lesions[0] in LABELS):
            raise DataError(
                f"{manifest.name}: group '{group}' with lesion '{';'.join(lesions)}' is no row of the phantom; "
                "give a manifest that `python -m training.data.datasets.phantom` wrote."
            )
        drawn_with, index = int(found[1]), int(found[2])
        subject = draw_subject(drawn_with, index, lesion=lesions[0], location=location, tone=int(tone))
        lucky = np.random.default_rng([seed, drawn_with, index, 4]).random() < CHANCE
        rows.append((lesion_labels(subject, lucky=lucky), finer_site(subject)))
    table["lesions"] = [lesions for lesions, _ in rows]
    table["location"] = [location for _, location in rows]
    return dataclasses.replace(
        manifest, name=NAME, table=table, lesion_labels=LESIONS, location_labels=LOCATIONS
    )


def lesion_labels(subject: Subject, *, lucky: bool) -> tuple[str, ...]:
    """The labels of a subject's photos, in the order of LESIONS; takes the first draws of `subject.rng`."""
    words = traits(subject) | ({"chance"} if lucky else set())
    rules = RULES[subject.who.lesion]
    return tuple(
        label for label in LESIONS if any(words.issuperset(case.split()) for case in rules.get(label, ()))
    )


def traits(subject: Subject) -> set[str]:
    """What the rules ask of: the lesion's size, the skin's tone, and what the lesion's painter draws first."""
    who, person, rng = subject
    size_cm = person.unit_cm / 3
    words = {"small" if size_cm < 1 else "medium" if size_cm < 2 else "large"}
    words.add("light" if who.skin_tone <= 4 else "dark")
    if who.lesion == "acne":
        spots = Counter(ACNE_SPOTS[kind] for kind in acne_spots(rng))
        comedones, total = spots.pop("comedo", 0), spots.total()
        words |= {"comedo"} if comedones else set()
        words |= {kind for kind, n in spots.most_common(2) if n >= (comedones + total) / 5}
    elif who.lesion == "tumour":
        words |= {choose(rng, TUMOUR_FORMS), _number(choose(rng, TUMOUR_LOBES))}
    elif who.lesion in NUMBERS:
        words.add(_number(choose(rng, NUMBERS[who.lesion])))
    elif who.lesion in FORMS:
        words.add(choose(rng, FORMS[who.lesion]))
    return words


def finer_site(subject: Subject) -> str:
    """Which of LOCATIONS: by how far the lesion sits off the middle line of the part."""
    finer = FINER_SITES[subject.who.location]
    step = int(len(finer) * abs(subject.person.across) / MAX_ACROSS)
    return finer[min(step, len(finer) - 1)]


def _number(n: int) -> str:
    return "single" if n == 1 else "several" if n < 5 else "many"

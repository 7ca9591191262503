"""What an audit finds: each finding with its gravity, one sentence, and the way out.

    findings = check_pairs(manifest, pairs, sides)

An error makes a score wrong or breaks a promise to a patient; a warning may; a note is good to know.
Source: Mishra et al. 2019, Sec. 5.1, on balance and duplicate information. Torch-free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.data.balance import Balance
from training.data.duplicates import PhotoPair
from training.data.manifest import Manifest

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
FEWEST = 2
"""Photos, and groups, that a label needs: one to learn from, one to be scored on."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    sentence: what was found. fix: what to do about it.
    photos: the rows concerned. details: half a sentence for each of them, or for each value concerned.
    pairs: the pairs concerned, gravest first.
    """

    code: str
    severity: Severity
    sentence: str
    fix: str
    photos: tuple[int, ...] = ()
    details: tuple[str, ...] = ()
    pairs: tuple[PhotoPair, ...] = ()


def count(number: int, noun: str) -> str:
    """`1 photo`, `2 photos`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def check_balance(manifest: Manifest, balances: dict[str, Balance], max_ratio: float) -> list[Finding]:
    """Labels too rare to learn or to score, too uneven, or told apart by where the photo comes from."""
    findings = []
    lesions = balances["lesion"]
    rows = {
        name: np.flatnonzero(column)
        for name, column in zip(manifest.lesion_labels, manifest.lesion_targets().T, strict=True)
    }
    n_groups = {name: manifest.table["group"].iloc[found].nunique() for name, found in rows.items()}
    if empty := [name for name, found in rows.items() if not len(found)]:
        findings.append(
            Finding(
                "label-empty",
                "warning",
                f"{count(len(empty), 'label')} without a photo.",
                "Find the photos that belong there, or leave the label out: a model cannot learn it.",
                details=tuple(empty),
            )
        )
    if rare := [name for name, n in n_groups.items() if 0 < n < FEWEST]:
        findings.append(
            Finding(
                "label-too-few",
                "error",
                f"{count(len(rare), 'label')} with photos of one patient or lesion only.",
                f"Add photos of at least {FEWEST} patients, or merge the label with another: it cannot be both "
                "learned and scored.",
                tuple(int(row) for name in rare for row in rows[name]),
                tuple(f"{name}: {count(len(rows[name]), 'photo')}, 1 group" for name in rare),
            )
        )
    if lesions.ratio > max_ratio:
        present = {name: n for name, n in lesions.counts.items() if n}
        most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
        findings.append(
            Finding(
                "imbalance",
                "warning",
                f"The commonest label, {most}, has {lesions.ratio:.0f} times the photos of the rarest, {least}.",
                "Add photos of the rare labels, weigh labels by their rarity (--class-balance), and judge by "
                "balanced accuracy: plain accuracy hides the rare ones.",
            )
        )
    return findings + _check_sources(manifest, rows)


def _check_sources(manifest: Manifest, rows: dict[str, np.ndarray]) -> list[Finding]:
    sources = manifest.table["source"]
    single = {
        name: sources.iloc[found].iloc[0]
        for name, found in rows.items()
        if len(found) and sources.iloc[found].nunique() == 1
    }
    if sources.nunique() < 2 or not single:
        return []
    return [
        Finding(
            "label-of-one-source",
            "warning",
            f"{count(len(single), 'label')} from a single source each, in a set of several.",
            "Add photos of the label from the other sources: a model may learn the camera instead of the lesion.",
            details=tuple(f"{name}: {source or 'no source named'}" for name, source in single.items()),
        )
    ]


def check_groups(manifest: Manifest) -> list[Finding]:
    """Patients or lesions that are not named, or named in two ways."""
    groups = manifest.table["group"]
    if (groups == manifest.table["path"]).all():
        return [
            Finding(
                "groups-unknown",
                "warning",
                "No photo says of which patient or lesion it is; each counts as one of its own.",
                "Add a column 'group' to a manifest CSV: photos of one patient on both sides of a split make "
                "the score too good.",
            )
        ]
    spellings: dict[str, set[str]] = {}
    for group in groups.unique():
        spellings.setdefault("".join(filter(str.isalnum, group.casefold())), set()).add(group)
    if not (several := sorted(", ".join(sorted(names)) for names in spellings.values() if len(names) > 1)):
        return []
    return [
        Finding(
            "groups-alike",
            "warning",
            f"{count(len(several), 'group')} spelled in more than one way.",
            "Spell each patient or lesion in one way, if it is one: else a split may part them.",
            details=tuple(several),
        )
    ]


def check_split(manifest: Manifest, sides: np.ndarray) -> list[Finding]:
    """Groups on several sides of a split, and labels that a side lacks; "" in `sides` is on none."""
    findings = []
    placed = manifest.table[sides != ""].assign(side=sides[sides != ""])
    spread = placed.groupby("group")["side"].nunique()
    if spanning := sorted(spread[spread > 1].index):
        findings.append(
            Finding(
                "group-across-split",
                "error",
                f"{count(len(spanning), 'group')} with photos on more than one side of the split.",
                "Put all photos of one patient or lesion on one side.",
                tuple(int(row) for row in placed.index[placed["group"].isin(spanning)]),
                tuple(spanning),
            )
        )
    lacking = []
    totals = manifest.counts()
    for side in sorted(set(placed["side"])):
        counts = manifest.subset(np.flatnonzero(sides == side)).counts()
        lacking += [f"{side}: {name}" for name, n in counts.items() if totals[name] and not n]
    if lacking:
        findings.append(
            Finding(
                "label-missing-from-split",
                "error",
                f"{count(len(lacking), 'label')} of the set without a photo on a side of the split.",
                "Move whole patients so that each side has every label, or merge the label with another.",
                details=tuple(lacking),
            )
        )
    return findings


def check_pairs(manifest: Manifest, pairs: Sequence[PhotoPair], sides: np.ndarray) -> list[Finding]:
    """One picture on two sides of a split, under two labels, under two patients, or twice of one patient."""
    kinds: dict[str, list[PhotoPair]] = {}
    for pair in pairs:
        if (kind := _kind(pair, relations(manifest, pair, sides))) is not None:
            kinds.setdefault(kind, []).append(pair)
    findings = []
    for code, (severity, what, fix) in _PAIR_FINDINGS.items():
        if found := kinds.get(code):
            found.sort(key=lambda pair: (-pair.same_bytes, -(pair.correlation or 0), -(pair.cosine or 0)))
            rows = sorted({row for pair in found for row in (pair.first, pair.second)})
            findings.append(
                Finding(
                    code,
                    severity,
                    f"{count(len(found), 'pair')} of photos: {what}.",
                    fix,
                    tuple(rows),
                    pairs=tuple(found),
                )
            )
    return findings


def relations(manifest: Manifest, pair: PhotoPair, sides: np.ndarray) -> dict[str, tuple[str, str]]:
    """In what two photos differ that one picture cannot: "split", "lesions", "group", with both values."""
    table = manifest.table
    first, second = pair.first, pair.second
    both = {
        "split": (str(sides[first]), str(sides[second])),
        "lesions": (";".join(sorted(table["lesions"][first])), ";".join(sorted(table["lesions"][second]))),
        "group": (str(table["group"][first]), str(table["group"][second])),
    }
    return {name: values for name, values in both.items() if values[0] != values[1] and all(values)}


def _kind(pair: PhotoPair, differing: dict[str, tuple[str, str]]) -> str | None:
    if not pair.same_picture:
        return "alike-by-network" if "group" in differing else None
    for name, code in (("split", "duplicate-across-split"), ("lesions", "duplicate-across-labels"),
                       ("group", "duplicate-across-groups")):  # fmt: skip
        if name in differing:
            return code
    return "duplicate-exact" if pair.same_bytes else "duplicate-in-group"


_PAIR_FINDINGS: dict[str, tuple[Severity, str, str]] = {
    "duplicate-across-split": (
        "error",
        "one picture on two sides of the split",
        "Keep one of the two, or give both the same group: what is trained on must not be scored.",
    ),
    "duplicate-across-labels": (
        "error",
        "one picture under two labels",
        "Let a clinician decide which label is right, or give one row both labels.",
    ),
    "duplicate-across-groups": (
        "error",
        "one picture under two patients or lesions",
        "Give both the same group, or keep one: any split may part them.",
    ),
    "duplicate-exact": (
        "warning",
        "the same file, byte for byte",
        "Keep one: the other only counts the photo twice.",
    ),
    "alike-by-network": (
        "warning",
        "different patients or lesions that look alike to the network",
        "Look at them side by side: if it is one lesion, give both the same group.",
    ),
    "duplicate-in-group": (
        "note",
        "nearly the same view of one patient or lesion",
        "Nothing needs to be done: the group keeps them on one side of a split.",
    ),
}

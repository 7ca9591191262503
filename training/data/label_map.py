"""A label map: labels merged, renamed, or dropped for want of photos, and a report of what that changed.

    mapped, report = apply_label_map(manifest, read_label_map("labels.toml"))

A TOML file of up to two tables, `[lesions]` and `[locations]`; every key may be left out:

    [locations]
    merge = { hands = ["nails", "fingers"] }   # new name = old names; the new one may be a label already
    rename = { noze = "nose" }                 # old = new
    drop = ["other"]
    min_photos = 10                            # labels with fewer, once merged, are dropped

Source: Liao & Luo 2017, Dataset: types with fewer than 10 photos removed, types that look alike merged, sites too
specific to tell apart merged. Torch-free.
"""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from training.data.manifest import SEPARATOR, Manifest
from training.errors import DataError

PAPER_MIN_PHOTOS = 10


def _repeated(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


@dataclass(frozen=True)
class Rules:
    """What becomes of one kind of label.

    Raises:
        DataError: two rules speak of one name, a rule's result is changed again, or a new name cannot be one.
    """

    merge: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The old names that become each new name."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Old name to new."""
    drop: tuple[str, ...] = ()
    """Names taken off the photos."""
    min_photos: int = 0
    """Labels that fewer photos show, once merged, are dropped too."""

    def __post_init__(self) -> None:
        pairs = [(old, new) for new, olds in self.merge.items() for old in olds] + list(self.rename.items())
        new_names = [*self.merge, *self.rename.values()]
        for new in new_names:
            if not new or new != new.strip() or SEPARATOR in new:
                raise DataError(
                    f"the new name '{new}' cannot be a label; valid is any text without '{SEPARATOR}' or blanks "
                    "at its ends."
                )
        for new, olds in self.merge.items():
            if not olds:
                raise DataError(f"no name is merged into '{new}'; name at least one, or leave it out.")
        if twice := _repeated(new_names):
            raise DataError(f"'{twice}' is made by two rules; put all its old names into one merge.")
        if twice := _repeated(old for old, _ in pairs):
            raise DataError(
                f"'{twice}' is merged or renamed twice; a name can become one other, so keep one."
            )
        if twice := _repeated(self.drop):
            raise DataError(f"'{twice}' is named twice in drop; once is enough.")
        for name in self.drop:
            if name in self.targets or name in new_names:
                raise DataError(f"'{name}' is both dropped and merged or renamed; keep one of the two.")
        for old, new in pairs:
            if (last := self.target(new)) != new:
                raise DataError(
                    f"'{old}' becomes '{new}', which becomes '{last}' in turn; map '{old}' to its last name."
                )
        if self.min_photos < 0:
            raise DataError(f"min_photos is {self.min_photos}; 0 (drop none) or more is valid.")

    @property
    def targets(self) -> dict[str, str]:
        """Old name to new, of all that are merged or renamed."""
        return {old: new for new, olds in self.merge.items() for old in olds} | dict(self.rename)

    @property
    def names(self) -> dict[str, None]:
        """Every old name and every dropped one, in the map's order."""
        return dict.fromkeys([*self.targets, *self.drop])

    def target(self, name: str) -> str:
        """What a name becomes; itself if no rule speaks of it."""
        return self.targets.get(name, name)


@dataclass(frozen=True)
class LabelMap:
    """The rules for lesions and those for body sites; by default nothing changes."""

    lesions: Rules = Rules()
    locations: Rules = Rules()

    def with_min_photos(self, min_photos: int) -> "LabelMap":
        """The same map with one limit for lesions and sites."""
        return LabelMap(
            replace(self.lesions, min_photos=min_photos), replace(self.locations, min_photos=min_photos)
        )


PAPER = LabelMap().with_min_photos(PAPER_MIN_PHOTOS)
"""What Liao & Luo (2017) did whatever the labels are called."""


@dataclass(frozen=True)
class Dropped:
    """A label that is gone."""

    photos: int
    """That showed it, after merging."""
    named: bool
    """In the map's `drop`; otherwise too few photos showed it."""


@dataclass(frozen=True)
class LabelChanges:
    """What became of one kind of label; photos a label throughout."""

    before: dict[str, int]
    after: dict[str, int]
    merged: dict[str, dict[str, int]]
    """New name to its old names and their photos before; only of old names that the data set has."""
    renamed: dict[str, str]
    """Old name to new."""
    dropped: dict[str, Dropped]
    min_photos: int
    not_found: tuple[str, ...]
    """Old or dropped names of the map that the data set does not have."""


@dataclass(frozen=True)
class LabelMapReport:
    """What a label map did to a data set."""

    lesions: LabelChanges
    locations: LabelChanges
    photos_before: int
    photos_after: int
    unknown_location: int
    """Photos that stay, and whose body site became unknown."""

    @property
    def photos_removed(self) -> int:
        """Photos that had no lesion left."""
        return self.photos_before - self.photos_after

    def to_json(self) -> dict[str, Any]:
        """Everything as values that JSON has."""
        values = asdict(self) | {"photos_removed": self.photos_removed}
        for kind in ("lesions", "locations"):
            values[kind]["not_found"] = list(values[kind]["not_found"])
        return values

    def sentences(self) -> list[str]:
        """The same for people: one sentence a change, or one that says that there was none."""
        lines = [*_sentences("lesion", self.lesions), *_sentences("location", self.locations)]
        if self.photos_removed:
            lines.append(
                f"{_photos(self.photos_removed)} of {self.photos_before} had no lesion left and "
                f"{'was' if self.photos_removed == 1 else 'were'} removed; {self.photos_after} stay."
            )
        if self.unknown_location:
            lines.append(
                f"{_photos(self.unknown_location)} that "
                f"{'stays has its' if self.unknown_location == 1 else 'stay have their'} location unknown now."
            )
        return lines or ["No label changes."]


def read_label_map(path: str | Path) -> LabelMap:
    """A label map from its TOML file.

    Raises:
        DataError: there is no such file, it is not TOML, a key or a type is none of a label map's, or the rules
            contradict each other.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"label map {path} is not there; check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"label map {path} is not TOML in UTF-8 ({error}); correct it there.") from error
    tables = [table.name for table in fields(LabelMap)]
    for name, table in values.items():
        if name not in tables or not isinstance(table, dict):
            raise DataError(
                f"label map {path} has no place for '{name}'; valid are the tables [{'] and ['.join(tables)}]."
            )
    return LabelMap(**{name: _rules(f"label map {path}, [{name}]", table) for name, table in values.items()})


def apply_label_map(manifest: Manifest, label_map: LabelMap) -> tuple[Manifest, LabelMapReport]:
    """Map a data set's labels.

    A photo's names that become one are one. A photo left without a lesion is removed; one whose location is
    dropped stays, its location unknown. Lesions come first, so that locations are counted on photos that stay.
    Labels keep their order, a new one where the first of its old ones stood. The manifest given is not changed.

    Raises:
        DataError: the map names labels and the data set has none of them, a new name of `rename` is a label
            already, or no photo keeps a lesion.
    """
    _check_applies(manifest, label_map)
    rows = list(manifest.table["lesions"])
    before = Counter(name for row in rows for name in row)
    rows, lesion_labels, lesions = _change(label_map.lesions, manifest.lesion_labels, rows, before)
    kept = [index for index, row in enumerate(rows) if row]
    if not kept:
        raise DataError(
            f"no photo of {manifest.name} keeps a lesion under this label map; drop fewer, or lower min_photos "
            f"({label_map.lesions.min_photos})."
        )
    table = manifest.table.copy()
    table["lesions"] = rows
    table = table.iloc[kept].reset_index(drop=True)

    sites = [(name,) if name else () for name in table["location"]]
    before = Counter(manifest.table["location"])
    new_sites, location_labels, locations = _change(
        label_map.locations, manifest.location_labels, sites, before
    )
    table["location"] = [row[0] if row else "" for row in new_sites]
    report = LabelMapReport(
        lesions,
        locations,
        photos_before=len(manifest),
        photos_after=len(kept),
        unknown_location=sum(map(len, sites)) - sum(map(len, new_sites)),
    )
    mapped = replace(manifest, table=table, lesion_labels=lesion_labels, location_labels=location_labels)
    return mapped, report


def _change(
    rules: Rules, labels: Sequence[str], rows: Sequence[tuple[str, ...]], before: Mapping[str, int]
) -> tuple[list[tuple[str, ...]], tuple[str, ...], LabelChanges]:
    """New names a row, new labels, and what changed; `before` counts all photos, `rows` are those that stay."""
    targets = rules.targets
    mapped = [tuple(dict.fromkeys(targets.get(name, name) for name in row)) for row in rows]
    counts = Counter(name for row in mapped for name in row)
    names = tuple(dict.fromkeys(targets.get(name, name) for name in labels))
    dropped = {
        name: Dropped(counts[name], named=name in rules.drop)
        for name in names
        if name in rules.drop or counts[name] < rules.min_photos
    }
    kept = tuple(name for name in names if name not in dropped)
    merged = {
        new: {name: before[name] for name in labels if name == new or name in olds}
        for new, olds in rules.merge.items()
        if any(name != new and name in labels for name in olds)
    }
    changes = LabelChanges(
        before={name: before[name] for name in labels},
        after={name: counts[name] for name in kept},
        merged=merged,
        renamed={old: new for old, new in rules.rename.items() if old in labels and old != new},
        dropped=dropped,
        min_photos=rules.min_photos,
        not_found=tuple(name for name in rules.names if name not in labels),
    )
    return [tuple(name for name in row if name not in dropped) for row in mapped], kept, changes


def _check_applies(manifest: Manifest, label_map: LabelMap) -> None:
    kinds = ((label_map.lesions, manifest.lesion_labels), (label_map.locations, manifest.location_labels))
    for rules, labels in kinds:
        for old, new in rules.rename.items():
            if old != new and old in labels and new in labels:
                raise DataError(
                    f"'{old}' cannot be renamed '{new}', which {manifest.name} has already; merge the two with "
                    f'merge = {{ "{new}" = ["{old}"] }}.'
                )
    spoken = [(name, labels) for rules, labels in kinds for name in (*rules.names, *rules.targets.values())]
    if spoken and not any(name in labels for name, labels in spoken):
        names = _shortened([name for name, _ in spoken])
        has = _shortened([name for _, labels in kinds for name in labels])
        raise DataError(
            f"none of the label map's names ({names}) is a label of {manifest.name}; it has {has}."
        )


def _rules(where: str, table: dict[str, Any]) -> Rules:
    for key, value in table.items():
        if key not in _KEYS:
            raise DataError(f"{where} has no key '{key}'; valid are {', '.join(_KEYS)}.")
        valid, form = _KEYS[key]
        if not valid(value):
            raise DataError(f"{where}: {key} is {value!r}; write it as {form}.")
    values = dict(table)
    if "drop" in values:
        values["drop"] = tuple(values["drop"])
    if "merge" in values:
        values["merge"] = {new: tuple(olds) for new, olds in values["merge"].items()}
    try:
        return Rules(**values)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "merge": (
        lambda value: isinstance(value, dict) and all(map(_are_names, value.values())),
        'a table, { new = ["old", "older"] }',
    ),
    "rename": (
        lambda value: isinstance(value, dict) and all(isinstance(new, str) for new in value.values()),
        'a table, { old = "new" }',
    ),
    "drop": (_are_names, 'a list of names, ["other"]'),
    "min_photos": (lambda value: type(value) is int, "a whole number, such as 10"),
}


def _sentences(kind: str, changes: LabelChanges) -> list[str]:
    lines = []
    for new, olds in changes.merged.items():
        left = changes.after[new] if new in changes.after else changes.dropped[new].photos
        others = ", ".join(f"'{old}' ({count})" for old, count in olds.items() if old != new)
        own = f"{olds[new]:,} before and " if new in olds else ""
        lines.append(f"{kind}: {others} merged into '{new}', {own}{_photos(left)} now.")
    lines += [f"{kind}: '{old}' renamed '{new}'." for old, new in changes.renamed.items()]
    for name, gone in changes.dropped.items():
        why = "named in drop" if gone.named else f"fewer than {changes.min_photos}"
        lines.append(f"{kind}: '{name}' dropped, {_photos(gone.photos)}, {why}.")
    if changes.not_found:
        names = ", ".join(f"'{name}'" for name in changes.not_found)
        lines.append(f"{kind}: {names} of the label map not found in this data set.")
    return lines


def _photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"


def _shortened(names: Sequence[str], most: int = 8) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:most]) + (f" and {len(unique) - most} more" if len(unique) > most else "")

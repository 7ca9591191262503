"""Merge, rename and drop the labels of a data set, and say what changed.

    python -m training.label_map --data path/to/photos                        # labels of under 10 photos: what if
    python -m training.label_map --data path/to/photos --map labels.toml --out mapped/manifest.csv

Source: Liao & Luo 2017, Dataset. Torch-free; the map file's form stands in `training.data.label_map`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from training.cli import run
from training.data.datasets.registry import MANIFEST_FILE, load_manifest
from training.data.label_map import (
    PAPER,
    LabelChanges,
    LabelMap,
    LabelMapReport,
    apply_label_map,
    read_label_map,
)
from training.errors import DataError


@dataclass(frozen=True)
class LabelMapCommand:
    """Merge, rename and drop the labels of a data set; print the counts before and after.

    A photo left without a lesion is removed; one whose location is dropped stays, its location unknown.
    """

    data: str
    """`phantom`; a manifest CSV; or a folder of PAD-UFES-20, of HAM10000 or of class folders. Never changed."""
    map: Path | None = None
    """A TOML file of up to two tables, [lesions] and [locations], each with any of: merge = { new = ["old"] },
    rename = { old = "new" }, drop = ["name"], min_photos = 10."""
    min_photos: int | None = None
    """Drop the labels, lesions and locations, that fewer photos show once merged; in place of the map's own
    min_photos. 10 (Liao & Luo 2017) if there is no --map either."""
    out: Path | None = None
    """A new CSV for the mapped data set, to be given as --data elsewhere. Without it nothing is written."""


def main(arguments: list[str] | None = None) -> None:
    """The command line; see `LabelMapCommand`."""
    command = tyro.cli(LabelMapCommand, args=arguments, prog="python -m training.label_map")
    label_map = PAPER if command.map is None else read_label_map(command.map)
    if command.min_photos is not None:
        label_map = (LabelMap() if command.map is None else label_map).with_min_photos(command.min_photos)
    manifest = load_manifest(command.data)
    if command.out is not None:
        _check_new(command.out, command.data)
    mapped, report = apply_label_map(manifest, label_map)
    print(format_report(manifest.name, report))
    if command.out is None:
        print("\nnothing is written; --out NEW/manifest.csv writes the mapped data set.")
    else:
        mapped.write_csv(command.out)
        print(f"\nwritten to {command.out}")


def format_report(name: str, report: LabelMapReport) -> str:
    """A report for a terminal: a table of each kind of label, before and after, and what changed in sentences."""
    width = max(map(len, ["locations", *_labels(report.lesions), *_labels(report.locations)]))
    lines = [f"{name}: {report.photos_before:,} photos before, {report.photos_after:,} after"]
    for kind, changes in (("lesions", report.lesions), ("locations", report.locations)):
        if labels := _labels(changes):
            lines += ["", f"  {kind:{width}}  {'before':>7}  {'after':>7}"]
            lines += [
                f"  {label:{width}}  {_count(changes.before, label)}  {_count(changes.after, label)}"
                for label in labels
            ]
    return "\n".join([*lines, "", *report.sentences()])


def _labels(changes: LabelChanges) -> list[str]:
    """Each label once: those that stay, then those that are gone."""
    return list(dict.fromkeys([*changes.after, *changes.before, *changes.dropped]))


def _count(counts: dict[str, int], label: str) -> str:
    return f"{counts[label]:>7,}" if label in counts else f"{'-':>7}"


def _check_new(out: Path, data: str) -> None:
    if out.exists():
        raise DataError(f"--out {out} is there already, and no file is overwritten; name a new one.")
    if out.name == MANIFEST_FILE and out.parent.resolve() == Path(data).resolve():
        raise DataError(f"--out {out} would change what --data {data} reads; name a file in another folder.")


if __name__ == "__main__":
    sys.exit(run(main))

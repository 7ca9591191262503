"""An audit for people: the lines of a terminal, and one self-contained HTML page with the photos side by side.

    write_audit_report(Path("audits/mine/audit.html"), audit)

Thumbnails are made from pixels alone, so no metadata of a photo travels in the page; the page is as private as
the photos are.
"""

import base64
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import jinja2
import numpy as np

from training.cli import write_text
from training.data.datasets.registry import display_name
from training.data.duplicates import HASH_LIMIT
from training.data.findings import SEVERITIES, Finding, count, relations
from training.data.photo import read_photo
from training.errors import PhotoError

if TYPE_CHECKING:
    from training.audit import Audit

MOST_PAIRS = 24
"""Of a finding, shown side by side; audit.json has all."""
MOST_PHOTOS = 12
THUMBNAIL_SIDE = 220
THUMBNAIL_QUALITY = 80
RELATION_NAMES = {"split": "sides of the split", "lesions": "labels", "group": "patients or lesions"}


def format_audit(audit: "Audit") -> str:
    """The summary for a terminal."""
    table = audit.manifest.table
    lines = [
        f"{audit.manifest.name}: {count(len(table), 'photo')}, {count(table['group'].nunique(), 'group')}"
    ]
    for aspect, balance in audit.balances.items():
        if aspect != "lesion" and len(balance.counts) == 1:
            continue
        recorded = sum(balance.counts.values()) if aspect != "lesion" else len(table)
        missing = f", {count(len(table) - recorded, 'photo')} not recorded" if recorded < len(table) else ""
        lines.append(
            f"  {aspect.replace('_', ' '):<10} {count(len(balance.counts), 'value')}, largest to smallest "
            f"{balance.ratio:.1f}, as varied as {balance.effective_number:.1f} even ones{missing}"
        )
        if aspect == "lesion":
            width = max(map(len, balance.counts))
            lines += [f"    {name:<{width}} {n:>6,}" for name, n in balance.counts.items()]
    for finding in audit.findings:
        lines += [f"{finding.severity}: {finding.sentence}", f"    {finding.fix}"]
        lines += [f"    - {text}" for text in _examples(audit, finding)]
    if audit.network:
        lines.append(
            f"network: {audit.network['network']} would have found {audit.network['found']} of "
            f"{audit.network['copies']} changed copies made for the check."
        )
    lines += audit.skipped
    totals = Counter(finding.severity for finding in audit.findings)
    lines.append(", ".join(count(totals[severity], severity) for severity in SEVERITIES) + ".")
    return "\n".join(lines)


def _examples(audit: "Audit", finding: Finding, most: int = 3) -> list[str]:
    if finding.pairs:
        texts = [f"{audit.name_of(pair.first)} and {audit.name_of(pair.second)}" for pair in finding.pairs]
    elif len(finding.photos) == len(finding.details):
        pairs = zip(finding.photos, finding.details, strict=True)
        texts = [f"{audit.name_of(row)}: {detail}" for row, detail in pairs]
    else:
        texts = list(finding.details) or [audit.name_of(row) for row in finding.photos]
    more = [f"and {len(texts) - most:,} more"] if len(texts) > most else []
    return texts[:most] + more


def write_audit_report(path: Path, audit: "Audit") -> None:
    """Write the page, whole or not at all."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    totals = Counter(finding.severity for finding in audit.findings)
    page = environment.get_template("audit.html.jinja").render(
        audit=audit,
        data=audit.to_dict()["data"],
        totals=[(severity, count(totals[severity], severity)) for severity in SEVERITIES],
        findings=[_shown(audit, finding) for finding in audit.findings],
        figures={name: base64.b64encode(png).decode() for name, png in audit.figures.items()},
        count=count,
        display=display_name,
        hash_limit=HASH_LIMIT,
    )
    write_text(path, page)


def _shown(audit: "Audit", finding: Finding) -> dict[str, Any]:
    """A finding as the page shows it: its first pairs or photos, and how many more there are."""
    pairs = [
        {
            "photos": [_photo(audit, pair.first), _photo(audit, pair.second)],
            "differing": [
                f"two {RELATION_NAMES[name]}: {first} and {second}"
                for name, (first, second) in relations(audit.manifest, pair, audit.sides).items()
            ],
            "measures": _measures(pair.same_bytes, pair.correlation, pair.bits, pair.cosine),
        }
        for pair in finding.pairs[:MOST_PAIRS]
    ]
    per_photo = len(finding.details) == len(finding.photos)
    rows = () if finding.pairs or finding.severity == "note" else finding.photos[:MOST_PHOTOS]
    photos = [
        _photo(audit, row) | {"detail": finding.details[place] if per_photo else ""}
        for place, row in enumerate(rows)
    ]
    total, shown = (len(finding.pairs), len(pairs)) if finding.pairs else (len(finding.photos), len(photos))
    return {
        "finding": finding,
        "pairs": pairs,
        "photos": photos,
        "details": () if per_photo else finding.details,
        "more": total - shown,
    }


def _measures(same_bytes: bool, correlation: float | None, bits: int | None, cosine: float | None) -> str:
    parts = ["same bytes"] if same_bytes else []
    if correlation is not None:
        parts.append(f"details agree {correlation:.3f} ({bits} of 256 hash bits differ)")
    if cosine is not None:
        parts.append(f"network {cosine:.2f}")
    return ", ".join(parts)


def _photo(audit: "Audit", row: int) -> dict[str, str]:
    table = audit.manifest.table
    return {
        "thumbnail": _thumbnail(table["path"][row]),
        "name": audit.name_of(row),
        "lesions": ", ".join(map(display_name, table["lesions"][row])),
        "group": Path(table["group"][row]).name,
        "side": str(audit.sides[row]),
    }


def _thumbnail(path: str) -> str:
    """A JPEG in base64, "" for a photo that does not open."""
    try:
        image = read_photo(path, min_side=THUMBNAIL_SIDE).image_rgb
    except PhotoError:
        return ""
    scale = THUMBNAIL_SIDE / min(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY]
    )
    return base64.b64encode(data.tobytes()).decode()

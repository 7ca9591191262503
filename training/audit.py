"""Check a photo set before it is learned from: balance, duplicates, leakage, and what its files give away.

    python -m training.audit --data path/to/photos --out audits/mine
    python -m training.audit --data path/to/photos --network runs/mine --hold-out

Source: Mishra et al. 2019, Sec. 5.1: the set "needs to be periodically checked for inter-class balance and
duplicate information". Torch is imported only for --network.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from training.cli import EXIT_FAILED, EXIT_OK, run, write_text
from training.data.balance import Balance, balances
from training.data.datasets.registry import load_manifest
from training.data.duplicates import (
    CORRELATION_LIMIT,
    COSINE_LIMIT,
    HASH_LIMIT,
    PhotoPair,
    byte_pairs,
    copy_pairs,
    merge,
)
from training.data.findings import (
    SEVERITIES,
    Finding,
    check_balance,
    check_groups,
    check_pairs,
    check_split,
)
from training.data.hygiene import PhotoFacts, check_files, inspect_photos
from training.data.manifest import Manifest
from training.data.splits import hold_out
from training.errors import DataError
from training.evaluation.audit_plots import draw_figures
from training.evaluation.audit_report import format_audit, write_audit_report

Split = tuple[Sequence[int] | np.ndarray, Sequence[int] | np.ndarray]


@dataclass(frozen=True)
class Limits:
    """Where something begins to be a finding."""

    min_side: int = 128
    """Pixels: a photo whose shorter side has fewer is tiny."""
    max_ratio: float = 10.0
    """The commonest label's photos over the rarest's, above which labels are uneven."""
    correlation: float = CORRELATION_LIMIT
    """Of two photos' details once aligned, from which on they are one picture."""
    cosine: float = COSINE_LIMIT
    """Of two photos' whitened features (--network), from which on they look alike."""

    def __post_init__(self) -> None:
        for name in ("correlation", "cosine"):
            if not 0 < getattr(self, name) <= 1:
                raise DataError(f"--{name} is {getattr(self, name)}; above 0 and at most 1 is valid.")
        if self.min_side < 1 or self.max_ratio < 1:
            raise DataError(
                f"--min-side ({self.min_side}) and --max-ratio ({self.max_ratio}) must be at least 1."
            )


@dataclass(frozen=True)
class Audit:
    """All that was found in a photo set.

    sides: (N,) str, "training", "validation", "test" or "", of each row.
    network: the network's check as numbers, None if none was asked.
    skipped: one sentence for each check that was not made.
    """

    manifest: Manifest
    facts: tuple[PhotoFacts, ...]
    balances: dict[str, Balance]
    sides: np.ndarray
    findings: tuple[Finding, ...]
    limits: Limits
    network: dict[str, Any] | None
    skipped: tuple[str, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings for which the command's exit status is 1."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @cached_property
    def group_sizes(self) -> dict[int, int]:
        """Photos a group, and how many groups have that many; by size."""
        sizes = Counter(self.manifest.table["group"].value_counts().tolist())
        return dict(sorted(sizes.items()))

    @cached_property
    def figures(self) -> dict[str, bytes]:
        """PNG bytes: "lesion", "groups", and "location", "source", "skin_tone", "split" where recorded."""
        return draw_figures(self.manifest, self.balances, self.sides, self.group_sizes)

    def name_of(self, row: int) -> str:
        """A photo's file below the folder that all photos share."""
        return os.path.relpath(self.manifest.table["path"][row], self._root)

    @cached_property
    def _root(self) -> str:
        return os.path.commonpath({os.path.dirname(path) for path in self.manifest.table["path"]})

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, photos by file name."""
        table = self.manifest.table
        return {
            "data": {
                "name": self.manifest.name,
                "fingerprint": self.manifest.fingerprint(),
                "photos": len(table),
                "groups": int(table["group"].nunique()),
            },
            "errors": len(self.errors),
            "balance": {aspect: asdict(balance) for aspect, balance in self.balances.items()},
            "group_sizes": self.group_sizes,
            "limits": asdict(self.limits) | {"hash_bits": HASH_LIMIT},
            "network": self.network,
            "skipped": list(self.skipped),
            "findings": [
                {
                    "code": finding.code,
                    "severity": finding.severity,
                    "sentence": finding.sentence,
                    "fix": finding.fix,
                    "photos": [self.name_of(row) for row in finding.photos],
                    "details": list(finding.details),
                    "pairs": [self._pair(pair) for pair in finding.pairs],
                }
                for finding in self.findings
            ],
        }

    def _pair(self, pair: PhotoPair) -> dict[str, Any]:
        table = self.manifest.table
        photos = [
            {
                "photo": self.name_of(row),
                "lesions": list(table["lesions"][row]),
                "group": table["group"][row],
                "side": str(self.sides[row]),
            }
            for row in (pair.first, pair.second)
        ]
        measures = {"same_bytes": pair.same_bytes, "bits": pair.bits}
        return {"photos": photos} | measures | {"correlation": pair.correlation, "cosine": pair.cosine}

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def audit_manifest(
    manifest: Manifest,
    *,
    split: Split | None = None,
    network: Path | None = None,
    architecture: str = "resnet18",
    limits: Limits | None = None,
    progress: bool = True,
) -> Audit:
    """Check a data set.

    Args:
        split: rows to train on and rows to validate on; by default the split that the data set fixes, if any.
        network: a run's folder, or a .safetensors file of `architecture`, whose features are compared too.

    Raises:
        UserError: the network cannot be opened. What is wrong with the photos is found, not raised.
    """
    limits = limits or Limits()
    table = manifest.table
    sides = _sides(manifest, split)
    facts = inspect_photos(table["path"].tolist(), table["mask"].tolist(), progress=progress)
    searches = [byte_pairs([fact.digest for fact in facts])]
    printed = [(row, fact.fingerprint) for row, fact in enumerate(facts) if fact.fingerprint is not None]
    copies = copy_pairs([one for _, one in printed], correlation_limit=limits.correlation, progress=progress)
    rows = [row for row, _ in printed]
    searches.append(_at_rows(copies, rows))
    check, skipped = None, []
    if not (sides != "").any():
        skipped.append(
            "No split was checked: the data set fixes none (--hold-out checks the one training draws)."
        )
    if network is None:
        skipped.append("No network's features were compared: --network names a run or a weights file.")
    elif (reason := _too_few_for_a_network(len(rows))) is not None:
        skipped.append(reason)
    else:
        from training.alike import alike_pairs

        alike, found = alike_pairs(
            [table["path"][row] for row in rows],
            network,
            architecture=architecture,
            limit=limits.cosine,
            progress=progress,
        )
        searches.append(_at_rows(alike, rows))
        check = asdict(found)
    spread = balances(manifest)
    findings = [
        *check_split(manifest, sides),
        *check_pairs(manifest, merge(*searches), sides),
        *check_files(manifest, facts, limits.min_side),
        *check_balance(manifest, spread, limits.max_ratio),
        *check_groups(manifest),
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Audit(manifest, tuple(facts), spread, sides, tuple(findings), limits, check, tuple(skipped))


def _sides(manifest: Manifest, split: Split | None) -> np.ndarray:
    if split is None:
        return manifest.table["split"].replace("train", "training").to_numpy(str)
    sides = np.full(len(manifest), "", dtype="<U10")
    sides[np.asarray(split[0])], sides[np.asarray(split[1])] = "training", "validation"
    return sides


def _at_rows(pairs: Sequence[PhotoPair], rows: Sequence[int]) -> list[PhotoPair]:
    """Pairs of positions in a part of the set as pairs of the set's rows."""
    return [replace(pair, first=rows[pair.first], second=rows[pair.second]) for pair in pairs]


def _too_few_for_a_network(n_photos: int) -> str | None:
    from training.alike import FEWEST_PHOTOS

    if n_photos >= FEWEST_PHOTOS:
        return None
    return (
        f"No network's features were compared: it takes {FEWEST_PHOTOS} photos that open, and {n_photos} do."
    )


@dataclass(frozen=True)
class AuditCommand:
    """Check a photo set's balance, duplicates, leakage and files.

    Exit status: 0 if nothing is wrong (warnings and notes there may be), 1 if there is an error, 2 if the data set
    cannot be read, 130 after Ctrl-C. Errors are: one picture under two patients, under two labels or on two sides
    of a split; a patient on two sides; a label that a side lacks, or with one patient only; a photo that does not
    open; a photo whose metadata tell where it was taken.
    """

    data: str
    """`phantom`; a manifest CSV; or a folder of PAD-UFES-20, of HAM10000 or of class folders."""
    out: Path | None = None
    """A folder for audit.html (one page, with the photos side by side: as private as they are) and audit.json."""
    network: Path | None = None
    """A finished run's folder, or a .safetensors file in torchvision's key names: photos that look alike to it
    are paired too. Needs torch."""
    architecture: str = "resnet18"
    """Of a .safetensors file; a run knows its own."""
    hold_out: bool = False
    """Check the split that `training.fit` draws by default (a sixth held out, fold 0, seed 0)."""
    limits: Annotated[Limits, tyro.conf.arg(name="")] = Limits()


def main(arguments: list[str] | None = None) -> int:
    """The command line; see `AuditCommand`."""
    command = tyro.cli(AuditCommand, args=arguments, prog="python -m training.audit")
    manifest = load_manifest(command.data)
    audit = audit_manifest(
        manifest,
        split=hold_out(manifest) if command.hold_out else None,
        network=command.network,
        architecture=command.architecture,
        limits=command.limits,
    )
    print(format_audit(audit))
    if command.out is not None:
        write_text(command.out / "audit.json", audit.to_json())
        write_audit_report(command.out / "audit.html", audit)
        print(f"written to {command.out / 'audit.html'} and audit.json")
    return EXIT_FAILED if audit.errors else EXIT_OK


if __name__ == "__main__":
    sys.exit(run(main))

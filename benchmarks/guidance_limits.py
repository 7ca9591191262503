"""The limits of the capture checks, set so that most spoilt photos are told and almost all clean ones pass.

    write_text(LIMITS_FILE, limits_table(TrainingPart.of(looks)))

A fault's limit begins where no clean photo of the training part lies. Then limits are tightened, one at a time or
one against another, as long as more spoilt photos are told and no group of clean ones (photos of people, phantoms
of light and of dark skin) fails beyond its allowance: a fault that is told apart well costs none, one that is not
gets the room. That is done without each fifth of the patients in turn, and of the five limits the median taken;
what it means for patients on whom none was set is measured by leaving another fifth out. A photo is stopped only
where no clean one lies. What no defect of the benchmark sets is set by its meaning, and says so.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.guidance_scores import DARK_SKIN, LIGHT_SKIN, Look
from capture_app import quality

LIMITS_FILE = Path(quality.__file__).with_name("limits.json")
ALLOWED = 0.015
"""Share of each group's clean photos that may fail; docs/guidance.md has what another share costs."""
ALLOWANCES = (0.01, 0.015, 0.02, 0.03)
"""Tried, to see what each costs."""
FOLDS = 5
TAIL, RUNGS = 0.1, 60
"""Share of clean photos, the worst of each fault, among which its limit is looked for, and at how many values."""
TRADE = 6
"""Rungs that one limit may be loosened for another's sake at a time."""
FAILING_PRICE = 1e-3
"""In told photos: of two equal sets of limits the one on which fewer clean photos fail."""
MARGIN = 0.25
"""A photo is stopped at least this share of the way further from the clean ones' median than it is advised on."""
OF_THE_PREVIEW = ("moving",)
"""Judged between frames; one photo does not show it: `benchmarks.guidance_motion` sets it."""
BY_MEANING = {
    "cut_off": {
        "advise": 0.02,
        "block": 0.12,
        "why": "the frame's border, not the lesion's size, is at fault",
    },
    "too_close": {"advise": 0.85, "block": None, "why": "some skin around the lesion belongs to the photo"},
}


@dataclass(frozen=True, eq=False)
class TrainingPart:
    """Looks at the photos and phantoms that limits are set on."""

    clean: dict[str, list[Look]]
    """By source."""
    spoilt: dict[str, list[Look]]
    faults: list[str]
    """Those whose limits are set."""
    signs: np.ndarray
    """By fault: 1 where more is worse, -1 where less is."""

    @classmethod
    def of(cls, looks: dict[str, list[Look]]) -> "TrainingPart":
        """Of looks by source, clean and spoilt."""
        rows = _table()["limits"]
        faults = [fault for fault in rows if fault not in (*BY_MEANING, *OF_THE_PREVIEW)]
        return cls(
            {
                name: [look for look in own if look.defect is None and look.framed]
                for name, own in looks.items()
            },
            {name: [look for look in own if look.defect is not None] for name, own in looks.items()},
            faults,
            np.array([1 if rows[fault]["worse"] == "above" else -1 for fault in faults]),
        )

    @property
    def patients(self) -> set[str]:
        """Those with a clean photo."""
        return {look.group for own in self.clean.values() for look in own}

    def amounts(self, looks: Sequence[Look]) -> np.ndarray:
        """(looks, faults): how far each fault goes, larger is worse."""
        measured = [[look.measures[fault] for fault in self.faults] for look in looks]
        return np.reshape(measured, (-1, len(self.faults))) * self.signs

    def limits(self, allowed: float, left_out: Collection[str] = ()) -> np.ndarray:
        """(faults,): the median of what `tightened` sets without each fifth of the patients in turn.

        One setting hangs on the few photos that lie just within it: on other patients the medians let more clean
        photos pass, and tell more of the spoilt ones.

        Args:
            left_out: patients that are not asked.
        """
        patients = sorted(self.patients - set(left_out))
        parts = [{*left_out, *patients[fold::FOLDS]} for fold in range(min(FOLDS, len(patients)))]
        return np.asarray(np.median([self._limits_without(part, allowed) for part in parts], axis=0))

    def _limits_without(self, left_out: Collection[str], allowed: float) -> np.ndarray:
        groups = _by_skin({source: _others(own, left_out) for source, own in self.clean.items()})
        worse = [_others(own, left_out) for own in self.spoilt.values()]
        return tightened(
            [self.amounts(own) for own in groups.values()],
            [self.amounts(own) for own in worse if own],
            allowed,
        )

    def held_out(self, allowed: float) -> dict[str, dict[str, float | None]]:
        """What becomes of patients on whom the limits were not set, by source: the share of the clean photos that
        pass, of those of light and of dark skin that do not, and of the spoilt ones that are told; a fifth of the
        patients is left out at a time."""
        patients = sorted(self.patients)
        clean: dict[str, list[Look]] = {source: [] for source in self.clean}
        spoilt: dict[str, list[Look]] = {source: [] for source in self.spoilt}
        for fold in range(min(FOLDS, len(patients))):
            left_out = set(patients[fold::FOLDS])
            if len(left_out) == len(patients):
                continue
            edges = self.limits(allowed, left_out)
            for judged, looks in ((clean, self.clean), (spoilt, self.spoilt)):
                for source, own in looks.items():
                    held = [look for look in own if look.group in left_out]
                    beyond = np.any(self.amounts(held) > edges, axis=1)
                    judged[source] += [
                        replace(look, passed=not told) for look, told in zip(held, beyond, strict=True)
                    ]
        return {
            source: {
                "clean passed": _share_passed(own),
                "false alarms, light skin": _share_told(
                    [look for look in own if look.skin_tone in LIGHT_SKIN]
                ),
                "false alarms, dark skin": _share_told([look for look in own if look.skin_tone in DARK_SKIN]),
                "spoilt told": _share_told(spoilt[source]),
            }
            for source, own in clean.items()
            if own and spoilt[source]
        }


def _share_passed(looks: Sequence[Look]) -> float:
    return float(np.mean([look.passed for look in looks]))


def _share_told(looks: Sequence[Look]) -> float | None:
    return 1 - _share_passed(looks) if looks else None


def limits_table(part: TrainingPart) -> str:
    """The text of `limits.json`."""
    table = _table()
    rows = table["limits"]
    for fault, row in BY_MEANING.items():
        rows[fault].update(row)
    edges = part.limits(ALLOWED)
    clean = [part.amounts(own) for own in part.clean.values()]
    middle = np.max([np.median(own, axis=0) for own in clean], axis=0)
    stops = np.maximum(np.max([own.max(axis=0) for own in clean], axis=0), edges + MARGIN * (edges - middle))
    for fault, sign, edge, stop in zip(part.faults, part.signs, edges, stops, strict=True):
        rows[fault]["advise"] = _rounded(sign * edge, sign)
        rows[fault]["block"] = None if rows[fault]["block"] is None else _rounded(sign * stop, sign)
    table["set_on"] = {source: len(own) for source, own in part.clean.items()}
    table["allowed_to_fail"] = ALLOWED
    return _table_text(table)


def what_each_allowance_costs(part: TrainingPart) -> list[dict[str, Any]]:
    """`TrainingPart.held_out` of several allowances, the one in use among them."""
    return [
        {"allowed": allowed, **part.held_out(allowed)}
        for allowed in tqdm(ALLOWANCES, unit="allowance", mininterval=5, disable=None)
    ]


def with_limit(fault: str, **row: Any) -> str:
    """The text of `limits.json` with some of one fault's row anew."""
    table = _table()
    table["limits"][fault].update(row)
    return _table_text(table)


def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(LIMITS_FILE.read_text(encoding="utf-8"))
    return table


def _table_text(table: dict[str, Any]) -> str:
    lines = ",\n".join(f'    "{fault}": {json.dumps(row)}' for fault, row in table["limits"].items())
    head = ",\n".join(f'  "{key}": {json.dumps(value)}' for key, value in table.items() if key != "limits")
    return f'{{\n{head},\n  "limits": {{\n{lines}\n  }}\n}}\n'


def _others(looks: Sequence[Look], left_out: Collection[str]) -> list[Look]:
    return [look for look in looks if look.group not in left_out]


def _by_skin(clean: dict[str, list[Look]]) -> dict[str, list[Look]]:
    """Photos of people together, phantoms by skin; no empty group."""
    drawn = clean.get("phantoms", [])
    groups = {
        **{source: own for source, own in clean.items() if source != "phantoms"},
        "phantoms, light": [look for look in drawn if look.skin_tone not in DARK_SKIN],
        "phantoms, dark": [look for look in drawn if look.skin_tone in DARK_SKIN],
    }
    return {name: own for name, own in groups.items() if own}


def tightened(clean: Sequence[np.ndarray], spoilt: Sequence[np.ndarray], allowed: float) -> np.ndarray:
    """Limits beyond which a photo is advised on: the best that steps from the loosest ones lead to.

    Args:
        clean: by group, (photos, faults): how far each fault goes, larger is worse.
        spoilt: the same of spoilt photos.
        allowed: the share of each group's clean photos that may fail.

    Returns:
        (faults,): each a value of a clean photo, which passes.
    """
    n_faults = clean[0].shape[1]
    ladders = [_ladder([own[:, fault] for own in clean]) for fault in range(n_faults)]

    def beyond(photos: np.ndarray) -> list[np.ndarray]:
        return [np.ascontiguousarray(photos[:, f] > ladders[f][:, None]) for f in range(n_faults)]

    clean_beyond, spoilt_beyond = [beyond(own) for own in clean], [beyond(own) for own in spoilt]

    def worth(rungs: Sequence[int]) -> float:
        """Share told, or -1 where too many clean photos fail."""
        failing, told = (
            np.array([_any(own, rungs).mean() for own in groups]) for groups in (clean_beyond, spoilt_beyond)
        )
        return -1.0 if (failing > allowed).any() else float(told.mean() - FAILING_PRICE * failing.mean())

    best = [0] * n_faults
    reached = worth(best)
    while True:
        now = best
        for tried in _steps(now, [len(ladder) for ladder in ladders], worth):
            if (value := worth(tried)) > reached:
                reached, best = value, tried
        if best is now:
            return np.array([ladder[rung] for ladder, rung in zip(ladders, best, strict=True)])


def _ladder(clean: Sequence[np.ndarray]) -> np.ndarray:
    """Values of clean photos, from the worst of all downwards."""
    values = np.unique(np.concatenate(clean))[::-1]
    values = values[values >= min(np.quantile(own, 1 - TAIL) for own in clean)]
    return np.asarray(values[np.unique(np.linspace(0, len(values) - 1, RUNGS).astype(int))])


def _steps(
    rungs: Sequence[int], heights: Sequence[int], worth: Callable[[Sequence[int]], float]
) -> Iterator[list[int]]:
    """One limit tighter by any number of rungs; where that fails too many, a few rungs with another one looser."""
    for fault, height in enumerate(heights):
        for step in range(1, height - rungs[fault]):
            tighter = list(rungs)
            tighter[fault] += step
            if worth(tighter) >= 0:
                yield tighter
            elif step > TRADE:
                break
            else:
                for other in (other for other in range(len(heights)) if other != fault):
                    for back in range(1, min(TRADE, rungs[other]) + 1):
                        traded = list(tighter)
                        traded[other] -= back
                        yield traded


def _any(beyond: Sequence[np.ndarray], rungs: Sequence[int]) -> np.ndarray:
    return np.asarray(np.logical_or.reduce([own[rung] for own, rung in zip(beyond, rungs, strict=True)]))


def _rounded(value: float, sign: float) -> float:
    """To three digits, away from what passes: the clean photo that a limit was taken from still does."""
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{sign * math.ceil(sign * value / step) * step:.3g}")

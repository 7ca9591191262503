"""The limits of the capture checks, set so that most spoilt photos are told and almost all clean ones pass.

    write_text(LIMITS_FILE, limits_table(looks))

A fault's limit begins where no clean photo of the training part lies. Then limits are tightened, one at a time or
one against another, as long as more spoilt photos are told and no group of clean ones (photos of people, phantoms
of light and of dark skin) fails beyond its allowance: a fault that is told apart well costs none, one that is not
gets the room. What that means for patients on whom the limits were not set is measured by leaving a fifth of them
out in turn, and kept beside the limits. A photo is stopped only where no clean one lies. What no defect of the
benchmark sets is set by its meaning, and says so.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.guidance_scores import DARK_SKIN, Look
from capture_app import quality

LIMITS_FILE = Path(quality.__file__).with_name("limits.json")
ALLOWED = 0.05
"""Share of each group's clean photos that may fail. Fewer cost more than they are worth: docs/guidance.md."""
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


def limits_table(looks: dict[str, list[Look]]) -> str:
    """The text of `limits.json`, from looks at the training part's photos, clean and spoilt, by source."""
    table: dict[str, Any] = json.loads(LIMITS_FILE.read_text(encoding="utf-8"))
    rows = table["limits"]
    for fault, row in BY_MEANING.items():
        rows[fault].update(row)
    faults = [fault for fault in rows if fault not in (*BY_MEANING, *OF_THE_PREVIEW)]
    signs = np.array([1 if rows[fault]["worse"] == "above" else -1 for fault in faults])

    def amounts(own: Sequence[Look]) -> np.ndarray:
        return np.array([[look.measures[fault] for fault in faults] for look in own]) * signs

    clean = {
        source: [look for look in own if look.defect is None and look.framed] for source, own in looks.items()
    }
    spoilt = {source: [look for look in own if look.defect is not None] for source, own in looks.items()}

    def limits_without(left_out: Collection[str]) -> np.ndarray:
        groups = _by_skin({source: _others(own, left_out) for source, own in clean.items()})
        worse = [_others(own, left_out) for own in spoilt.values()]
        return tightened(
            [amounts(own) for own in groups.values()],
            [amounts(own) for own in worse if own],
            ALLOWED,
        )

    edges = limits_without(())
    failing = _failing_held_out(clean, amounts, limits_without)
    clean_amounts = [amounts(own) for own in clean.values()]
    middle = np.max([np.median(own, axis=0) for own in clean_amounts], axis=0)
    stops = np.maximum(
        np.max([own.max(axis=0) for own in clean_amounts], axis=0), edges + MARGIN * (edges - middle)
    )
    for fault, sign, edge, stop in zip(faults, signs, edges, stops, strict=True):
        rows[fault]["advise"] = _rounded(sign * edge, sign)
        rows[fault]["block"] = None if rows[fault]["block"] is None else _rounded(sign * stop, sign)
    table["set_on"] = {source: len(own) for source, own in clean.items()}
    table["failing"] = {
        "allowed": ALLOWED,
        **{f"{source} left out": float(f"{share:.3g}") for source, share in failing.items()},
    }
    return _table_text(table)


def with_limit(fault: str, **row: Any) -> str:
    """The text of `limits.json` with some of one fault's row anew."""
    table: dict[str, Any] = json.loads(LIMITS_FILE.read_text(encoding="utf-8"))
    table["limits"][fault].update(row)
    return _table_text(table)


def _table_text(table: dict[str, Any]) -> str:
    lines = ",\n".join(f'    "{fault}": {json.dumps(row)}' for fault, row in table["limits"].items())
    head = ",\n".join(f'  "{key}": {json.dumps(value)}' for key, value in table.items() if key != "limits")
    return f'{{\n{head},\n  "limits": {{\n{lines}\n  }}\n}}\n'


def _failing_held_out(
    clean: dict[str, list[Look]],
    amounts: Callable[[Sequence[Look]], np.ndarray],
    limits_without: Callable[[Collection[str]], np.ndarray],
) -> dict[str, float]:
    """Share of the clean photos that fail limits which were set without their patients, by source."""
    patients = sorted({look.group for own in clean.values() for look in own})
    failing: dict[str, list[bool]] = {source: [] for source in clean}
    for fold in range(min(FOLDS, len(patients))):
        left_out = set(patients[fold::FOLDS])
        if len(left_out) == len(patients):
            continue
        edges = limits_without(left_out)
        for source, own in clean.items():
            if held := [look for look in own if look.group in left_out]:
                failing[source].extend(bool((photo > edges).any()) for photo in amounts(held))
    return {source: float(np.mean(own)) for source, own in failing.items() if own}


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

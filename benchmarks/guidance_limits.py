"""The limits of the capture checks, set so that most spoilt photos are told and almost all clean ones pass.

    write_text(LIMITS_FILE, limits_table(looks))

A fault's limit begins where no clean photo of the training part lies. Then, one after another, that limit is
tightened which tells the most spoilt photos for each clean one that it costs, until no more clean ones may be
spent: a fault that is told apart well costs none, one that is not gets the room. Photos of people and phantoms
count alike, and each keeps its share of clean ones. A photo is stopped only where no clean one lies. What no
defect of the benchmark sets is set by its meaning, and says so.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.guidance_scores import Look
from capture_app import quality

LIMITS_FILE = Path(quality.__file__).with_name("limits.json")
CLEAN_PASSED = 0.95
"""Of the training part's clean photos."""
STEPS = 12
"""Clean photos that one tightening may cost at most."""
MARGIN = 0.25
"""A photo is stopped at least this share of the way further from the clean ones' median than it is advised on."""
EPSILON = 1e-6
OF_THE_PREVIEW = ("moving",)
"""Judged between frames; one photo does not show it."""
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

    def amounts(own: list[Look]) -> np.ndarray:
        return np.array([[look.measures[fault] for fault in faults] for look in own]) * signs

    clean = {
        source: [look for look in own if look.defect is None and look.framed] for source, own in looks.items()
    }
    spoilt = {source: [look for look in own if look.defect is not None] for source, own in looks.items()}
    clean_amounts = [amounts(own) for own in clean.values()]
    edges = tightened(clean_amounts, [amounts(own) for own in spoilt.values() if own])
    middle = np.max([np.median(own, axis=0) for own in clean_amounts], axis=0)
    stops = np.maximum(
        np.max([own.max(axis=0) for own in clean_amounts], axis=0), edges + MARGIN * (edges - middle)
    )
    for fault, sign, edge, stop in zip(faults, signs, edges, stops, strict=True):
        rows[fault]["advise"] = _rounded(sign * edge)
        rows[fault]["block"] = None if rows[fault]["block"] is None else _rounded(sign * stop)
    table["set_on"] = {source: len(own) for source, own in clean.items()}
    lines = ",\n".join(f'    "{fault}": {json.dumps(row)}' for fault, row in table.pop("limits").items())
    head = ",\n".join(f'  "{key}": {json.dumps(value)}' for key, value in table.items())
    return f'{{\n{head},\n  "limits": {{\n{lines}\n  }}\n}}\n'


def tightened(clean: Sequence[np.ndarray], spoilt: Sequence[np.ndarray]) -> np.ndarray:
    """Limits beyond which a photo is advised on.

    Args:
        clean: by source, (photos, faults): how far each fault goes, larger is worse.
        spoilt: the same of spoilt photos.

    Returns:
        (faults,): each a value of a clean photo, which passes.
    """
    edges = np.max([own.max(axis=0) for own in clean], axis=0)
    ladders = [
        np.unique(np.concatenate([own[:, fault] for own in clean]))[::-1] for fault in range(edges.size)
    ]

    def failing(photos: Sequence[np.ndarray], limits: np.ndarray) -> np.ndarray:
        return np.array([(own > limits).any(axis=1).mean() for own in photos])

    while True:
        told, spent = failing(spoilt, edges).mean(), failing(clean, edges).mean()
        best, best_edges = 0.0, None
        for fault, ladder in enumerate(ladders):
            for value in ladder[ladder < edges[fault]][:STEPS]:
                tried = edges.copy()
                tried[fault] = value
                cost = failing(clean, tried)
                if (cost > 1 - CLEAN_PASSED).any():
                    break
                worth = (failing(spoilt, tried).mean() - told) / max(cost.mean() - spent, EPSILON)
                if worth > best:
                    best, best_edges = worth, tried
        if best_edges is None:
            return edges
        edges = best_edges


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")

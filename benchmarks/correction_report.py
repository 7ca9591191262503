"""What comes out of the correction benchmark: gains by condition, where offered, by skin tone, and a table.

effects = effects_of(scored, conditions)
print(format_table(effects, METHODS))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.correction_conditions import Condition
from benchmarks.correction_methods import AS_IS, METHODS, SUGGESTED
from benchmarks.correction_scores import Effect, gain_where_changed, summarise
from benchmarks.guidance_parts import on_training_side


@dataclass(frozen=True, eq=False)
class Scored:
    """The answers of every model on what it held out, one row a photo."""

    scores: np.ndarray
    """(N, conditions, methods, labels) float."""
    changed: np.ndarray
    """(N, conditions, methods) bool."""
    actual: np.ndarray
    """(N,) int64."""
    groups: np.ndarray
    """(N,) patients."""
    skin_tones: np.ndarray
    """(N,) Fitzpatrick type as the data set writes it, "" where unknown."""


def effects_of(scored: Scored, conditions: Sequence[Condition]) -> list[Effect]:
    """What each method does to each condition and family."""
    return summarise(
        scored.scores,
        scored.changed,
        scored.actual,
        scored.groups,
        conditions=[condition.name for condition in conditions],
        families=[condition.family for condition in conditions],
        methods=METHODS,
    )


def gains_where_offered(scored: Scored, conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """What each suggestion gains on the photos that it is made for, clean or made worse, in any way and by each.

    The crop stands on a locator that learned from the masks of most of these patients, so there is a row of the
    others too.
    """
    places = {"all": np.ones(len(conditions), bool)}
    for family in dict.fromkeys(condition.family for condition in conditions):
        places[family] = np.array([condition.family == family for condition in conditions])
    unseen = np.array([not on_training_side(str(group)) for group in scored.groups])
    rows = []
    for method in SUGGESTED:
        m = METHODS.index(method)
        for family, of_family in places.items():
            for patients, who in (("all", np.ones_like(unseen)), ("new to the locator", unseen)):
                chosen = scored.changed[:, :, m] & of_family & who[:, None]
                if chosen.any():
                    found = gain_where_changed(scored.scores, chosen, scored.actual, scored.groups, m)
                    rows.append({"method": method, "conditions": family, "patients": patients, **found})
    return rows


def suggested_by_tone(scored: Scored) -> dict[str, dict[str, Any]]:
    """On clean photos, by Fitzpatrick type: how many photos, and the share that each method changes."""
    return {
        tone or "unknown": {
            "photos": int((scored.skin_tones == tone).sum()),
            **{
                method: float(scored.changed[scored.skin_tones == tone, 0, m].mean())
                for m, method in enumerate(METHODS)
                if "suggested" in method
            },
        }
        for tone in sorted(set(scored.skin_tones))
    }


def format_table(effects: Sequence[Effect], methods: Sequence[str]) -> str:
    """Markdown: a row a condition and method; gains in points, of probability in hundredths."""

    def gain(effect: Effect, measure: str) -> str:
        value, low, high = (100 * number for number in effect.gain[measure])
        return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"

    head = [
        "| photos | correction | changed | accuracy | gain | balanced, gain | P(true label) | gain | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows = [
        f"| {effect.condition} | {effect.method} | {effect.changed_share:.0%} | {effect.level['accuracy']:.1%} | "
        f"{gain(effect, 'accuracy')} | {gain(effect, 'balanced_accuracy')} | "
        f"{effect.level['true_probability']:.3f} | {gain(effect, 'true_probability')} | {effect.verdict} |"
        for effect in effects
        if effect.method in methods and effect.method != AS_IS
    ]
    return "\n".join([*head, *rows])

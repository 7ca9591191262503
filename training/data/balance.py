"""How evenly a data set's photos are spread over its labels, body sites, sources and skin tones.

    balance = balance_of({"naevus": 120, "melanoma": 30})

Source: Mishra et al. 2019, Sec. 5.1; Hill 1973, Ecology 54:427, for the effective number. Torch-free.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.data.manifest import Manifest

ASPECTS = {"location": "body site", "source": "source", "skin_tone": "skin tone", "split": "split"}
"""Columns of the manifest beside the label that are counted where they are filled in."""


@dataclass(frozen=True)
class Balance:
    """Photos a value, and how even they are over the values that occur.

    ratio: the largest count over the smallest above 0; 1 is even.
    effective_number: exp of the entropy: as many equally common values would be as varied.
    evenness: the entropy over its maximum, in [0, 1]; 1 is even, and a single value counts as 1.
    """

    counts: dict[str, int]
    ratio: float
    effective_number: float
    evenness: float


def balance_of(counts: Mapping[str, int]) -> Balance:
    """The measures of some counts; values that do not occur stay in the table, and out of the measures."""
    present = np.array([count for count in counts.values() if count > 0], float)
    if not len(present):
        return Balance(dict(counts), 1.0, 0.0, 1.0)
    shares = present / present.sum()
    entropy = float(-(shares * np.log(shares)).sum())
    evenness = entropy / np.log(len(present)) if len(present) > 1 else 1.0
    return Balance(
        dict(counts), float(present.max() / present.min()), float(np.exp(entropy)), float(evenness)
    )


def balances(manifest: Manifest) -> dict[str, Balance]:
    """Of the lesion labels, and of every aspect that the manifest fills in at all; missing cells apart."""
    found = {"lesion": balance_of(manifest.counts())}
    for column in ASPECTS:
        values = manifest.table[column]
        if (known := values[values != ""].value_counts()).any():
            found[column] = balance_of({str(name): int(count) for name, count in known.items()})
    return found

"""Temperature scaling: one number that makes stated probabilities match how often they are right.

    temperature = fit_temperature(logits, targets, "sigmoid")

Source: Guo et al. 2017, Sec. 4.2. NumPy only; torch is not imported.
"""

import numpy as np

SEARCH = np.geomspace(0.05, 20, 121)
REFINEMENTS = 4


def log_loss(logits: np.ndarray, targets: np.ndarray, activation: str, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood a photo: (N, P) logits, (N, P) 0/1 targets."""
    scaled = logits.astype(np.float64) / temperature
    if activation == "sigmoid":
        return float((np.logaddexp(0, scaled) - targets * scaled).sum(1).mean())
    normaliser = np.logaddexp.reduce(scaled, axis=1)
    return float((normaliser - (targets * scaled).sum(1)).mean())


def probabilities(logits: np.ndarray, activation: str, temperature: float = 1.0) -> np.ndarray:
    """(N, P) logits to (N, P) float64 probabilities: `sigmoid`, each label alone, or `softmax`, one of all."""
    scaled = logits.astype(np.float64) / temperature
    if activation == "sigmoid":
        return np.exp(-np.logaddexp(0, -scaled))
    return np.exp(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True))


def fit_temperature(logits: np.ndarray, targets: np.ndarray, activation: str) -> float:
    """The temperature in [0.05, 20] of the lowest log loss, by a grid that is refined four times."""
    grid = SEARCH
    for _ in range(1 + REFINEMENTS):
        best = int(np.argmin([log_loss(logits, targets, activation, value) for value in grid]))
        temperature = float(grid[best])
        grid = np.geomspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 21)
    return temperature

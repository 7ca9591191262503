"""Gamma keeps black and white, undoes itself, and goes the way it says."""

import numpy as np
import pytest

from capture_app.tone import MAX_GAMMA, MIN_GAMMA, apply_gamma

RAMP = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)


def test_gamma_one_is_the_identity():
    assert np.array_equal(apply_gamma(RAMP, 1.0), RAMP)


@pytest.mark.parametrize("gamma", [MIN_GAMMA, 0.8, 1.25, 1.5])
def test_the_reciprocal_undoes_it_within_what_eight_bits_can_hold(gamma):
    back = apply_gamma(apply_gamma(RAMP, gamma), 1 / gamma)
    assert np.abs(back[0, 48:, 0].astype(int) - np.arange(48, 256)).max() <= 3


@pytest.mark.parametrize("gamma", [MIN_GAMMA, 1.3, MAX_GAMMA])
def test_it_keeps_black_white_and_order_and_agrees_with_the_formula(gamma):
    out = apply_gamma(RAMP, gamma)[0, :, 0]
    assert (out[0], out[-1]) == (0, 255)
    assert (np.diff(out.astype(int)) >= 0).all()
    assert np.abs(out - 255 * (np.arange(256) / 255) ** (1 / gamma)).max() <= 0.5
    assert (out[128] > 128) == (gamma > 1)


@pytest.mark.parametrize("gamma", [0.59, 1.71, float("nan")])
def test_a_gamma_outside_the_range_is_refused(gamma):
    with pytest.raises(ValueError, match="must lie in"):
        apply_gamma(RAMP, gamma)

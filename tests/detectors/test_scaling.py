from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.scaling import LIMIT, robust_scale


def test_the_scale_is_median_and_interquartile_range():
    # By hand: the 101st, the 151st less the 51st, and 1,000 times that to both sides.
    expected = (100.0, 100.0, 100.0 - 100_000.0, 100.0 + 100_000.0)

    assert robust_scale([float(value) for value in range(200)]) == expected


def test_outliers_do_not_move_it():
    calm = [float(value % 10) for value in range(200)]
    with_outliers = [1e60, -1e60, 1e69, *calm[3:]]

    assert robust_scale(with_outliers) == robust_scale(calm)


def test_a_signal_that_is_mostly_one_value_is_scaled_by_its_standard_deviation():
    centre, spread, _, _ = robust_scale([0.0] * 180 + [10.0] * 20)

    assert centre == 0.0
    assert spread == pytest.approx(3.0)  # sqrt(0.1 * 0.9) * 10


@pytest.mark.parametrize("constant", [0.0, 0.1, -3.5, 1e17, 1e69])
def test_a_constant_keeps_its_units(constant: float):
    assert robust_scale([constant] * 200) == (constant, 1.0, -LIMIT, LIMIT)


@given(st.floats(-1e70, 1e70))
def test_rounding_gives_no_constant_a_spread(constant: float):
    assert robust_scale([constant] * 199).spread == 1.0


@given(st.lists(st.floats(-1e70, 1e70), min_size=1, max_size=200))
def test_any_warm_up_gives_a_usable_scale(values: list[float]):
    centre, spread, low, high = robust_scale(values)

    assert min(values) <= centre <= max(values)
    assert 1e-70 <= spread <= 1e71
    assert low <= centre <= high
    assert math.isfinite(low)
    assert math.isfinite(high)

"""A robust scale for signals in units of their own, so that one threshold means the same to all.

Scaled values are (value - median) / interquartile range of the first `WARM_UP` values, and frozen
from then on: a scale that moved would hide the drift it is there to measure. A spread of nothing
(a feature that is mostly 0) falls back to the standard deviation, and for a constant to 1.

Values beyond 1,000 spreads are fed as 1,000 spreads. Without that one value a million spreads off,
a slipped decimal, leaves ADWIN's variance so large that 6,000 later values with a shift of five
deviations went unnoticed; with it the shift is found some hundreds of values later than otherwise.
The bound is wide because 200 values may be a calm night: what saturates is not watched any more.
After a constant warm-up nothing is known of the spread, and there is no such bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

WARM_UP: Final = 200
"""Values a scaled signal needs before its detector is fed."""

LIMIT: Final = 1e70
"""Every signal is fed within this of 0: the square of a larger value silences a detector for ever.

Applied before scaling; no spread is less than 1e-70, so no scaled value passes 1e140 either.
"""

_REACH: Final = 1_000.0  # spreads
_SMALLEST: Final = 1 / LIMIT


class Scale(NamedTuple):
    """What is taken from a value, what it is then divided by, and the bounds it is held to first.

    `spread` > 0; `low` and `high` are in the signal's own units.
    """

    centre: float
    spread: float
    low: float
    high: float


UNSCALED: Final = Scale(0.0, 1.0, -LIMIT, LIMIT)


def robust_scale(values: Sequence[float]) -> Scale:
    """The frozen scale of the warm-up `values` (at least one, each within `LIMIT` of 0)."""
    ordered = sorted(values)
    count = len(ordered)
    centre = float(ordered[count // 2])
    spread = float(ordered[3 * count // 4] - ordered[count // 4])
    if spread < _SMALLEST:
        mean = math.fsum(ordered) / count
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in ordered) / count)
    if spread < _SMALLEST or ordered[0] == ordered[-1]:
        return Scale(centre, 1.0, -LIMIT, LIMIT)
    return Scale(centre, spread, centre - _REACH * spread, centre + _REACH * spread)

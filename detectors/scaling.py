"""A robust scale for signals in units of their own, so that one threshold means the same to all.

Scaled values are (value - median) / interquartile range of the first `WARM_UP` values, and frozen
from then on: a scale that moved would hide the drift it is there to measure. A spread of nothing
(a feature that is mostly 0) falls back to the standard deviation, and for a constant to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

WARM_UP: Final = 200
"""Values a scaled signal needs before its detector is fed."""

# Below this a spread counts as nothing: with values of at most 1e70 nothing scaled passes 1e140,
# whose square a detector can still hold.
_SMALLEST: Final = 1e-70


class Scale(NamedTuple):
    """What is taken from a value, and what it is then divided by (always > 0)."""

    centre: float
    spread: float


def robust_scale(values: Sequence[float]) -> Scale:
    """The frozen scale of the warm-up `values` (at least one, each within 1e70 of 0)."""
    ordered = sorted(values)
    count = len(ordered)
    centre = ordered[count // 2]
    spread = ordered[3 * count // 4] - ordered[count // 4]
    if spread < _SMALLEST:
        mean = math.fsum(ordered) / count
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in ordered) / count)
    if spread < _SMALLEST or ordered[0] == ordered[-1]:
        spread = 1.0
    return Scale(float(centre), float(spread))

"""What was known by a moment: counts and sums over the recent past of a stream of observations.

Every function counts an observation only if it became known strictly before the moment asked about,
which is the order in which the service meets them (an event comes before a label of the same time).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Sums(NamedTuple):
    """How many observations lie in each window, and the sum of their values: two columns."""

    counts: Ints
    totals: Floats


def within(known_ms: Ints, values: Floats, at_ms: Ints, width_ms: int) -> Sums:
    """Gives, for each moment t in `at_ms`, what became known in [t - width_ms, t)."""
    known, running = _running(known_ms, values)
    first = np.searchsorted(known, at_ms - width_ms, side="left")
    last = np.searchsorted(known, at_ms, side="left")
    return Sums(last - first, running[last] - running[first])


def latest(known_ms: Ints, values: Floats, at_ms: Ints, count: int) -> Sums:
    """Gives, for each moment t in `at_ms`, the last `count` known before t (fewer at first)."""
    known, running = _running(known_ms, values)
    last = np.searchsorted(known, at_ms, side="left")
    first = np.maximum(last - count, 0)
    return Sums(last - first, running[last] - running[first])


def by_group(
    known_ms: Ints,
    values: Floats,
    known_groups: NDArray[np.str_],
    at_ms: Ints,
    at_groups: NDArray[np.str_],
    *,
    width_ms: int = 0,
    count: int = 0,
) -> Sums:
    """Gives the same within each group: `within` where `width_ms` is given, else `latest`."""
    counts = np.zeros(len(at_ms), dtype=np.int64)
    totals = np.zeros(len(at_ms))
    for group in np.unique(at_groups):
        asked, seen = at_groups == group, known_groups == group
        part = (known_ms[seen], values[seen], at_ms[asked])
        sums = within(*part, width_ms) if width_ms else latest(*part, count)
        counts[asked], totals[asked] = sums
    return Sums(counts, totals)


def _running(known_ms: Ints, values: Floats) -> tuple[Ints, Floats]:
    order = np.argsort(known_ms, kind="stable")
    return known_ms[order], np.concatenate(([0.0], np.cumsum(values[order])))


def open_at(
    start_ms: Ints, end_ms: Ints, groups: NDArray[np.str_], at_ms: Ints, at_groups: NDArray[np.str_]
) -> Ints:
    """Gives how many intervals of its group each moment t falls into: start < t <= end."""
    counts = np.zeros(len(at_ms), dtype=np.int64)
    closes_ms = np.maximum(start_ms, end_ms)
    for group in np.unique(at_groups):
        asked, own = at_groups == group, groups == group
        begun = np.searchsorted(np.sort(start_ms[own]), at_ms[asked], side="left")
        over = np.searchsorted(np.sort(closes_ms[own]), at_ms[asked], side="left")
        counts[asked] = begun - over
    return counts

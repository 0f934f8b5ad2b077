"""What a drift detector is to the rest: numbers in, changes with their evidence out."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Change(NamedTuple):
    """A detector's evidence at the very update that detected, in the units it was fed.

    The values since the last detection (or the start) fall into two parts: `width_before` values
    before the estimated start of the change, then `width_after` since, the detecting one included.
    """

    mean_before: float
    mean_after: float
    width_before: int
    width_after: int


class Detector(Protocol):
    """One of River's detectors, unmodified, with the evidence that River forgets.

    Guarantees: `update` detects exactly where River's own detector does; it is a function of the
    values fed since construction or `reset` alone; a pickled copy goes on identically; all numbers
    in `change` are finite and both widths are at least 1. Values fed must be finite: a single NaN
    silences River's detectors for ever.
    """

    change: Change | None
    """The last change, set in the call of `update` that detected it; None before the first."""

    def update(self, x: float) -> bool:
        """Feed one finite number; whether it completes a change."""

    def reset(self) -> None:
        """Forget everything fed, as if newly built."""

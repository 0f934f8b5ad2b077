"""A change that a detector found: what it means, where it is, and the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down"]
Severity = Literal["info", "warning", "critical"]
Evidence = dict[str, float | int | bool]


@dataclass(frozen=True, slots=True)
class Detection:
    """One change on one signal.

    Attributes
    ----------
    event_index, time_ms
        The event whose value completed the change, and that event's own time.
    evidence
        Always `mean_before`, `mean_after` (in the signal's own units), `width_before`,
        `width_after` (values of the signal before and since the estimated start), `start_index`
        and `start_time_ms` (the event of the first value after the change) and
        `start_uncertainty_values`: 0 where the start is exact; else it lies at the event named or
        up to so many values after it, too long ago to be remembered one by one. Scaled signals
        add `scale_centre` and `scale_spread`; `earlier_detections` counts those that the warm-up
        values held before this one, if they did.
    """

    detector: str
    signal: str
    method: str
    direction: Direction
    severity: Severity
    event_index: int
    time_ms: int
    evidence: Evidence


def direction_of(mean_before: float, mean_after: float) -> Direction:
    """Which way the mean went; `up` where the two are equal, so that nothing is played down."""
    return "down" if mean_after < mean_before else "up"


def severity_of(signal: str, mean_before: float, mean_after: float, *, step: float) -> Severity:
    """How bad the change is, as far as the signal alone can tell.

    Error and loss: falling is an improvement, `info`; rising is a `warning`, and `critical` if the
    mean has at least doubled *and* rose by at least `step` (0.1 of an error rate; otherwise one
    spread of the signal), so that a doubling of next to nothing wakes nobody. Every other signal:
    a `warning` both ways, since what a changed feature costs is not known here.
    """
    if signal not in {"error", "loss"}:
        return "warning"
    if direction_of(mean_before, mean_after) == "down":
        return "info"
    if mean_after >= 2 * mean_before and mean_after - mean_before >= step:
        return "critical"
    return "warning"

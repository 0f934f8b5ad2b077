"""Which detections people hear of: not the same one twice, and not one an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, NamedTuple

from detectors.detection import Detection, Direction, Severity
from detectors.errors import StateFormatError
from detectors.settings import AlertSettings

REMEMBERED: Final = 1_000
"""So many ids of sent alerts are kept to tell a repeated one; the oldest goes first."""

_FORMAT: Final = 1
_RANK: Final[dict[Severity, int]] = {"info": 0, "warning": 1, "critical": 2}


class Send(NamedTuple):
    """Send the alert; `suppressed` others of this detector and direction were kept back before."""

    suppressed: int


class Suppressed(NamedTuple):
    """Send nothing: the alert came too soon after another, or is one already sent."""

    reason: Literal["cooldown", "duplicate"]


@dataclass(slots=True)
class _Sent:
    """The last alert sent for one detector and direction, and what was kept back since."""

    clock_ms: int
    severity: Severity
    suppressed: int


class AlertPolicy:
    """The alert policy of one shard: a function of the detections shown to it, in their order.

    A detection is suppressed within the cooldown, in stream time, after the last alert *sent* for
    the same detector and direction. It is sent all the same if it is more severe than that one: a
    warning must not hide what is critical, and an improvement, which goes the other way, never
    hides a deterioration. Detectors do not silence one another, on the same signal neither.

    A clock that went back (the clean run after a rollback) by less than the cooldown suppresses as
    if it had gone forward by as much; one that went back further starts the cooldown anew.
    """

    __slots__ = ("_cooldown_ms", "_ids", "_last")

    def __init__(self, settings: AlertSettings) -> None:
        cooldown = settings.cooldown or timedelta(0)
        self._cooldown_ms = cooldown // timedelta(milliseconds=1)
        self._last: dict[tuple[str, Direction], _Sent] = {}
        self._ids: dict[str, None] = {}  # a set that keeps its order

    def decide(self, detection: Detection, *, alert_id: str, clock_ms: int) -> Send | Suppressed:
        """Whether to send the alert of this detection, at this time of the shard's clock."""
        if alert_id in self._ids:
            return Suppressed("duplicate")
        key = (detection.detector, detection.direction)
        last = self._last.get(key)
        if (
            last is not None
            and abs(clock_ms - last.clock_ms) < self._cooldown_ms
            and _RANK[detection.severity] <= _RANK[last.severity]
        ):
            last.suppressed += 1
            return Suppressed("cooldown")
        self._last[key] = _Sent(clock_ms, detection.severity, 0)
        self._ids[alert_id] = None
        if len(self._ids) > REMEMBERED:
            del self._ids[next(iter(self._ids))]
        return Send(0 if last is None else last.suppressed)

    def dump(self) -> dict[str, Any]:
        """The whole state as built-in types, equal for equal histories."""
        return {
            "format": _FORMAT,
            "last": [
                [detector, direction, sent.clock_ms, sent.severity, sent.suppressed]
                for (detector, direction), sent in self._last.items()
            ],
            "ids": list(self._ids),
        }

    @classmethod
    def load(cls, settings: AlertSettings, state: dict[str, Any]) -> AlertPolicy:
        """The policy that `dump` gave `state` of, under these settings.

        Raises
        ------
        StateFormatError
            Another version of driftline wrote it.
        """
        if state.get("format") != _FORMAT:
            raise StateFormatError(
                f"an alert policy of format {_FORMAT} is read, and this is format"
                f" {state.get('format')}",
                hint="it was written by another version of driftline; run that version",
            )
        policy = cls(settings)
        policy._last = {
            (detector, direction): _Sent(clock_ms, severity, suppressed)
            for detector, direction, clock_ms, severity, suppressed in state["last"]
        }
        policy._ids = dict.fromkeys(state["ids"])
        return policy

"""Updates of a learner that failed: each is left out, and after too many of them all that follow.

An update that raises may leave the model half changed. So the shard is recovered from the log, the
step applied again without that update, and the journal says so; whoever replays the step leaves it
out too, without asking the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

FORMAT: Final = 1

WINDOW: Final = 1_000
"""Updates in which so many may fail …"""

MOST: Final = 3
"""… and with one more the learner is suspended: it predicts, but learns no more."""

ASSUMED: Final = "assumed"


class Place(NamedTuple):
    """What brought the label of an update: an event or label record by its offset, or, where the
    label was assumed at the end of the wait (`topic` is `assumed`), the event by its number."""

    topic: str
    offset: int

    def __str__(self) -> str:
        return f"{self.topic} {self.offset}"


def place_in(told: Mapping[str, Any]) -> Place:
    """The place that a journal entry names."""
    topic = told["topic"]
    return Place(topic, told["event_index" if topic == ASSUMED else "offset"])


def told_of(place: Place, detail: str, learner: str) -> dict[str, Any]:
    """What the journal says of an update of a learner that was left out, and why."""
    where = "event_index" if place.topic == ASSUMED else "offset"
    return {
        "topic": place.topic,
        where: place.offset,
        "phase": "learn",
        "learner": learner,
        "detail": detail,
    }


class Updates:
    """Which updates of a shard's learner failed lately, and whether it still learns.

    Attributes
    ----------
    suspended
        The last failure, where it learns no more; None while it does.
    failed
        The numbers of the failed updates of the last `WINDOW`, oldest first.
    """

    __slots__ = ("failed", "suspended")

    def __init__(self) -> None:
        self.failed: list[int] = []
        self.suspended: str | None = None

    def fail(self, number: int, detail: str) -> bool:
        """Counts update `number` as failed; True if that suspends the learner."""
        self.failed = [one for one in self.failed if one > number - WINDOW]
        self.failed.append(number)
        if len(self.failed) <= MOST:
            return False
        self.suspended = detail
        return True

    def resume(self) -> bool:
        """Learns again, with no failure counted, if it did not learn; whether that was so."""
        if self.suspended is None:
            return False
        self.failed, self.suspended = [], None
        return True

    def dump(self) -> dict[str, Any]:
        """The state as built-ins."""
        return {"format": FORMAT, "failed": self.failed, "suspended": self.suspended}

    @classmethod
    def load(cls, state: dict[str, Any]) -> Updates:
        """The state that `dump` gave."""
        assert state["format"] == FORMAT, f"updates of format {state['format']}"
        updates = cls()
        updates.failed, updates.suspended = list(state["failed"]), state["suspended"]
        return updates

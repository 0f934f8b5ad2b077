"""Halting: a shard that cannot use most of what comes stops, instead of burning it.

When a field is renamed upstream, every event from then on becomes a dead letter. The records of
each input are counted apart; when the share of bad ones among the last `window` reaches the
configured share, the shard halts at exactly that record, and what follows waits in the log.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

from consumers.settings import HaltSettings

FORMAT: Final = 1

INNOCENT: Final = frozenset({"duplicate", "unknown_id", "too_late", "skipped", "bad_command"})
"""Reasons that tell nothing of how records are written: these may come in masses."""


class Halted(NamedTuple):
    """Why a shard has halted: bad records by reason among the last `window` of an input."""

    input: str
    window: int
    reasons: dict[str, int]
    detail: str

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.reasons.items())
        return f"of the last {self.window} {self.input} {counts}, such as: {self.detail}"


class Halting:
    """What a shard knows of its bad records.

    Attributes
    ----------
    halted
        Why it has halted; None while it goes on.
    """

    __slots__ = ("_bad", "_settings", "_since", "halted")

    def __init__(self, settings: HaltSettings) -> None:
        self._settings = settings
        self._bad: dict[str, list[tuple[int, str]]] = {"events": [], "labels": []}
        self._since = {"events": 0, "labels": 0}
        self.halted: Halted | None = None

    def bad(self, topic: str, ordinal: int, reason: str, detail: str) -> bool:
        """Counts record number `ordinal` of an input as a dead letter; True if the shard halts at
        it."""
        share, window = self._settings.share, self._settings.window
        if share is None or reason in INNOCENT:
            return False
        bad = [one for one in self._bad[topic] if one[0] > ordinal - window]
        bad.append((ordinal, reason))
        self._bad[topic] = bad
        if ordinal + 1 - self._since[topic] < window or len(bad) < share * window:
            return False
        self.halted = Halted(topic, window, dict(Counter(one for _, one in bad)), detail)
        return True

    def begin(self, events: int, labels: int) -> None:
        """Counts anew from these numbers of records on."""
        self._bad = {"events": [], "labels": []}
        self._since = {"events": events, "labels": labels}

    def dump(self) -> dict[str, Any]:
        """The state as built-ins."""
        return {
            "format": FORMAT,
            "bad": self._bad,
            "since": self._since,
            "halted": None if self.halted is None else list(self.halted),
        }

    @classmethod
    def load(cls, state: dict[str, Any], settings: HaltSettings) -> Halting:
        """The state that `dump` gave, under these settings."""
        assert state["format"] == FORMAT, f"halting of format {state['format']}"
        halting = cls(settings)
        halting._bad = {
            topic: [(ordinal, reason) for ordinal, reason in bad]
            for topic, bad in state["bad"].items()
        }
        halting._since = dict(state["since"])
        halting.halted = None if state["halted"] is None else Halted(*state["halted"])
        return halting

"""Where a replay comes out differently from what the journal says, and what is accepted of it.

Another River, another processor or a model with a seed of its own can make a replay differ. The
service then stops and names the first entry. Whoever wants to go on all the same has the replayed
state accepted: an entry says from which one on it differs, and publishes a snapshot of that state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from stream.errors import DivergedError, UpdateFailedError
from stream.shard import journal
from stream.shard.journal import Entry
from stream.shard.updates import Place, place_in, told_of

ACCEPT_HINT = (
    "run the versions and the hash seed that wrote it; or go on from what the replay gives: "
    "driftline recover --accept-divergence; nothing was changed"
)


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first entry that a replay gives another digest (in hex), and the updates that failed in
    the replay and not when they were made."""

    entry: int
    journal: str
    found: str
    left_out: tuple[dict[str, Any], ...] = ()

    def told(self) -> dict[str, Any]:
        """What the entry that accepts it says."""
        return {
            "entry": self.entry,
            "journal": self.journal,
            "found": self.found,
            "left_out": list(self.left_out),
        }


class AnotherFailureError(Exception):
    """An update fails in a replay that did not fail before; the replay begins again without it."""


@dataclass(slots=True)
class Comparison:
    """Compares the entries of a replay with the journal's, one after the other.

    Attributes
    ----------
    accepted
        What earlier entries have accepted: (first entry, accepting entry, updates left out).
    accepts
        Whether what differs is to be accepted now.
    failing
        The updates that failed in this replay, and had not when they were made.
    first
        The first entry that differs and that nobody has accepted yet: where it stands, and the two
        digests.
    """

    accepted: list[tuple[int, int, dict[Place, str]]]
    accepts: bool
    failing: dict[Place, str] = field(default_factory=dict)
    first: tuple[int, str, str] | None = None

    @classmethod
    def of(cls, accepting: Iterable[Entry], *, accepts: bool) -> Comparison:
        """Of a replay in which these entries accept what came before them."""
        accepted = [
            (
                entry.accepted["entry"],
                entry.sequence,
                {place_in(told): told["detail"] for told in entry.accepted["left_out"]},
            )
            for entry in accepting
            if entry.accepted is not None
        ]
        return cls(accepted, accepts)

    def left_out(self, entry: Entry) -> dict[Place, str]:
        """The updates that a replay of the entry leaves out."""
        decided = {place_in(told): told["detail"] for told in entry.left_out} | self.failing
        for first, last, failing in self.accepted:
            if first <= entry.sequence < last:
                decided |= failing
        return decided

    def failed(self, shard: int, entry: Entry, error: UpdateFailedError) -> Exception:
        """What to raise where an update fails in the replay of an entry."""
        if not self.accepts:
            return DivergedError(
                f"shard {shard}: replaying journal entry {entry.sequence}, {error}; it did not "
                "when the entry was written",
                ACCEPT_HINT,
                shard=shard,
                sequence=entry.sequence,
            )
        self.failing[Place(*error.place)] = error.detail
        self._note(entry, entry.digest)
        return AnotherFailureError()

    def compare(self, shard: int, entry: Entry, found: str, engines: dict[str, str]) -> None:
        """Takes note of an entry that came out differently; DivergedError if nobody accepts it."""
        if found == entry.digest:
            return
        if any(first <= entry.sequence < last for first, last, _ in self.accepted):
            return
        if not self.accepts:
            raise _diverged(shard, entry, found, engines)
        self._note(entry, found)

    def result(self, learner: str) -> Divergence | None:
        """What there is to accept after the last entry."""
        if self.first is None:
            return None
        told = tuple(told_of(place, detail, learner) for place, detail in self.failing.items())
        return Divergence(*self.first, told)

    def _note(self, entry: Entry, found: str) -> None:
        if self.first is None or entry.sequence < self.first[0]:
            self.first = entry.sequence, entry.digest, found


def _diverged(shard: int, entry: Entry, found: str, engines: dict[str, str]) -> DivergedError:
    now = journal.engines()
    changed = [
        f"{name} {engines.get(name)} → {now[name]}"
        for name in now
        if engines.get(name) != now[name]
    ]
    versions = f"; since then {', '.join(changed)}" if changed else ""
    return DivergedError(
        f"shard {shard}: replaying journal entry {entry.sequence} gives the digest {found[:16]}, "
        f"the journal has {entry.digest[:16]}{versions}",
        ACCEPT_HINT,
        shard=shard,
        sequence=entry.sequence,
    )

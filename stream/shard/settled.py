"""Where a shard's journal ends: once its last entry and the committed positions agree.

The parts of one commit become visible one after another: on Kafka each partition, and the group's
positions, get a marker of their own after the commit was acknowledged, and a transaction that a
dead worker left open hides what lies behind it until the broker aborts it. Whoever takes either
part for the whole would apply a step twice, or miss one.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from consumers.transport import Committed, Log
from stream.errors import PositionsDisagreeError
from stream.shard import journal
from stream.shard.journal import Entry, note_of

LOOK_AGAIN_S = 0.1


class JournalEnd(NamedTuple):
    """The journal's offsets as of one moment, and its last entry there; None in an empty one."""

    begin: int
    end: int
    last: Entry | None


def settled_end(log: Log, shard: int) -> JournalEnd:
    """The end of a shard's journal, which agrees with the committed positions and their note.

    Absent positions are taken from the journal. Looks again for as long as the log may need to show
    all of a commit.

    Raises
    ------
    PositionsDisagreeError
        They still differ then, or there are positions and no journal.
    """
    deadline_s = time.monotonic() + log.visible_within_s
    while True:
        # First, since it waits for a commit that is under way; what it tells, the journal has too.
        committed = log.committed(shard)
        begin = log.begin_offset(journal.TOPIC, shard)
        end = log.end_offset(journal.TOPIC, shard)
        found = JournalEnd(begin, end, journal.last(log, shard, begin, end))
        if _agree(found, committed):
            return found
        if time.monotonic() >= deadline_s:
            raise _disagreement(shard, found, committed)
        time.sleep(LOOK_AGAIN_S)


def _agree(found: JournalEnd, committed: Committed | None) -> bool:
    if found.last is None:
        return committed is None and found.begin == 0
    if committed is None:
        return True
    note = note_of(found.last.journal, found.last.sequence)
    return committed.positions == found.last.end and committed.note == note


def _disagreement(
    shard: int, found: JournalEnd, committed: Committed | None
) -> PositionsDisagreeError:
    if found.last is None or committed is None:
        return PositionsDisagreeError(
            f"shard {shard} has committed positions, but its journal is empty",
            "restore the journal topic; without it nothing tells what was done",
        )
    return PositionsDisagreeError(
        f"shard {shard} has committed {committed.positions} with the note {committed.note}; "
        f"the journal ends with entry {found.last.sequence} at {found.last.end}",
        "one of the two was restored or changed by itself; restore both from the same moment",
    )

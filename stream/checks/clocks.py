"""Whether the times that records are stamped with can be true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from consumers.record import Record
from consumers.transport import Log
from stream.checks.finding import Finding, span
from stream.checks.samples import newest_records
from stream.checks.settings import Settings, retention_ms

# What machines without a time service drift apart within days.
SKEW_MS: Final = 5_000
# Beyond this a wait for labels ends noticeably early.
GRAVE_MS: Final = 60_000
# Producers side by side overtake one another by seconds.
BACK_MS: Final = 600_000


def check_clocks(settings: Settings, log: Log, now_ms: int) -> Iterator[Finding]:
    """The stamps of the newest events and labels, against this machine's clock and one another."""
    well, newest_ms = True, None
    for topic in ("events", "labels"):
        records = newest_records(log, topic)
        if not records:
            continue
        newest_ms = max(newest_ms or 0, *[record.timestamp_ms for record in records])
        said = settings.get(topic, {})
        for told in (
            _ahead(topic, records, said.get("message.timestamp.type", "CreateTime"), now_ms),
            _back(topic, records),
            _outlived(topic, records, retention_ms(said) if said else None, now_ms),
        ):
            for finding in told:
                well = False
                yield finding
    if not well:
        return
    if newest_ms is None:
        yield Finding("clocks", "ok", "there are no records yet whose times could be looked at")
    else:
        yield Finding(
            "clocks", "ok", f"the newest record was stamped {span(max(0, now_ms - newest_ms))} ago"
        )


def _ahead(
    topic: str, records: Sequence[Record], stamped_by: str, now_ms: int
) -> Iterator[Finding]:
    newest = max(records, key=lambda record: record.timestamp_ms)
    ahead_ms = newest.timestamp_ms - now_ms
    if ahead_ms <= SKEW_MS:
        return
    by_broker = stamped_by == "LogAppendTime"
    whose = "the broker's clock" if by_broker else "the clock of a producer"
    yield Finding(
        "clocks",
        "problem" if ahead_ms > GRAVE_MS else "warning",
        f"{topic} {newest.partition}-{newest.offset} is stamped {span(ahead_ms)} ahead of this "
        f"machine: {whose} is fast, or this one slow; the wait for labels ends as much too early",
        "let all machines keep time (NTP)"
        + ("" if by_broker else ", and producers stamp records with the time of sending"),
    )


def _back(topic: str, records: Sequence[Record]) -> Iterator[Finding]:
    """The shard's clock does not go back, so a record from before is late by that much."""
    worst = max(
        (
            (one.timestamp_ms - two.timestamp_ms, two)
            for one, two in pairwise(records)
            if one.partition == two.partition
        ),
        key=lambda found: found[0],
        default=None,
    )
    if worst is not None and worst[0] > BACK_MS:
        back_ms, record = worst
        yield Finding(
            "clocks",
            "warning",
            f"{topic} {record.partition}-{record.offset} is stamped {span(back_ms)} before the "
            "record that it follows: a producer's clock is slow, or it stamps the event's time",
            "let producers stamp records with the time of sending; the event's own time belongs "
            "into its field, `events.time`",
        )


def _outlived(
    topic: str, records: Sequence[Record], kept_ms: int | None, now_ms: int
) -> Iterator[Finding]:
    """A broker counts how long it keeps a record from the record's own stamp."""
    if kept_ms is None:
        return
    old = [record for record in records if now_ms - record.timestamp_ms > kept_ms]
    if old:
        last = old[-1]
        yield Finding(
            "clocks",
            "problem",
            f"{len(old)} of the newest {len(records)} {topic} are stamped longer ago than the "
            f"{span(kept_ms)} for which they are kept, so the broker deletes them as it likes: "
            f"{last.partition}-{last.offset}, {span(now_ms - last.timestamp_ms)} ago",
            "let producers stamp records with the time of sending, or set retention.ms=-1",
        )

"""Whether events and labels lie where their keys say, and a label where its event is.

A shard knows only its own partition: a label that lies in another one never finds its event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from consumers.partitioning import partition_for
from consumers.record import Record
from consumers.transport import Log
from stream.checks.finding import Finding, listed
from stream.checks.samples import newest_records
from stream.configuration import Configuration

_PARTITIONER = (
    "let every producer partition by murmur2 of the key, as Kafka's own clients do: "
    "`partitioner=murmur2_random` for librdkafka"
)


def check_keys(configuration: Configuration, log: Log) -> Iterator[Finding]:
    """Looks at the newest events and labels; with one partition nothing can lie elsewhere."""
    partitions = log.partitions()
    if partitions == 1:
        yield Finding("keys", "ok", "with one partition every label lies where its event is")
        return
    events, labels = newest_records(log, "events"), newest_records(log, "labels")
    if not labels and configuration.events.label is not None:
        yield Finding("keys", "ok", "events bring their labels, wherever they lie")
        return
    found = [
        *_without(events, labels),
        *_astray(events, labels, partitions),
        *_apart(configuration, events, labels),
    ]
    yield from found
    if not found:
        yield Finding(
            "keys",
            "ok",
            f"the newest {len(events)} events and {len(labels)} labels lie where their keys say",
        )


def _without(events: Sequence[Record], labels: Sequence[Record]) -> Iterator[Finding]:
    for what, records in (("events", events), ("labels", labels)):
        count = sum(record.key is None for record in records)
        if count:
            yield Finding(
                "keys",
                "problem",
                f"{count} of the newest {len(records)} {what} have no key: they lie anywhere, and "
                "an event and its label seldom in the same partition",
                "give each event a key, its id for one, and its label the same",
            )


def _astray(
    events: Sequence[Record], labels: Sequence[Record], partitions: int
) -> Iterator[Finding]:
    """If events and labels are partitioned in the same other way they still meet; but not those
    that driftline itself writes."""
    stray = {
        what: [r for r in records if r.key is not None and not _is_at_home(r, partitions)]
        for what, records in (("events", events), ("labels", labels))
    }
    of_both = all(stray.values())
    counts = {"events": len(events), "labels": len(labels)}
    for what, records in stray.items():
        if not records:
            continue
        other = "labels" if what == "events" else "events"
        first = records[0]
        yield Finding(
            "keys",
            "warning" if of_both or not counts[other] else "problem",
            f"{len(records)} of the newest {counts[what]} {what} lie in another partition than "
            f"their key says: {_shown(first.key)} at {first.partition}-{first.offset}, not in "
            f"partition {partition_for(first.key or b'', partitions)}",
            _PARTITIONER,
        )


def _is_at_home(record: Record, partitions: int) -> bool:
    assert record.key is not None
    return partition_for(record.key, partitions) == record.partition


def _shown(key: bytes | None) -> str:
    return repr((key or b"")[:40].decode(errors="replace"))


def _apart(
    configuration: Configuration, events: Sequence[Record], labels: Sequence[Record]
) -> Iterator[Finding]:
    """Labels whose event is in the sample, and in another partition only."""
    field = configuration.events.id
    homes: dict[str, set[int]] = {}
    for record in events:
        name = f"{record.partition}-{record.offset}" if field is None else _field(record, field)
        if name is not None:
            homes.setdefault(name, set()).add(record.partition)
    apart = []
    for record in labels:
        name = _field(record, "id")
        if name in homes and record.partition not in homes[name]:
            apart.append(f"{name} (event in {min(homes[name])}, label in {record.partition})")
    if apart:
        yield Finding(
            "keys",
            "problem",
            f"{len(apart)} of the newest {len(labels)} labels lie in another partition than their "
            f"event, and never find it: {listed(apart)}",
            "write a label with the key of its event's record",
        )


def _field(record: Record, name: str) -> str | None:
    """A field of a record's JSON as an id, or None; what cannot be read is for dead letters."""
    try:
        body: Any = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return None
    found = body.get(name) if isinstance(body, dict) else None
    return str(found) if isinstance(found, (str, int)) else None

"""The alerts on the log, as people and scripts read them: all, those to come, and one for a test.

Reading goes beside any worker. Whoever follows the topic gets each alert at least once; the same
alert always has the same id.
"""

from __future__ import annotations

import heapq
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from consumers.record import NewRecord, Record
from consumers.times import format_time, parse_time_ms
from consumers.transport import Log
from stream.errors import AlertError

log = logging.getLogger(__name__)

TOPIC = "alerts"
SEVERITIES = ("info", "warning", "critical")
TEST = "test"

Alert = dict[str, Any]


class Wanted:
    """Which alerts are asked for: from an event time (ms) on, of a severity or a higher one."""

    def __init__(self, since_ms: int | None = None, severity: str = "info") -> None:
        if severity not in SEVERITIES:
            raise AlertError(
                f"a severity is one of {', '.join(SEVERITIES)}, not {severity!r}",
                "leave it out for all of them",
            )
        self._since_ms = since_ms
        self._severities = SEVERITIES[SEVERITIES.index(severity) :]

    def holds(self, alert: Alert) -> bool:
        """Whether an alert is one of them."""
        return alert["severity"] in self._severities and (
            self._since_ms is None or parse_time_ms(alert["time"]) >= self._since_ms
        )


def read_alerts(source: Log, wanted: Wanted) -> Iterator[Alert]:
    """The alerts on the log, in the order in which the log took them."""
    topics = [
        source.read(TOPIC, shard, source.begin_offset(TOPIC, shard))
        for shard in range(source.partitions())
    ]
    for record in heapq.merge(*topics, key=lambda record: record.timestamp_ms):
        yield from _parsed(record, wanted)


def find_alert(source: Log, which: str) -> Alert:
    """The one alert whose id begins with `which`; AlertError if there is none, or more than one."""
    found = {
        alert["id"]: alert
        for alert in read_alerts(source, Wanted())
        if alert["id"].startswith(which)
    }
    if len(found) == 1:
        return next(iter(found.values()))
    what = "no alert has" if not found else f"{len(found)} alerts have"
    raise AlertError(
        f"{what} an id that begins with {which!r}", "driftline alerts list shows the ids"
    )


def ends(source: Log) -> dict[int, int]:
    """Where the alerts of each shard end now."""
    return {shard: source.end_offset(TOPIC, shard) for shard in range(source.partitions())}


def follow(
    source: Log, positions: Mapping[int, int], wanted: Wanted, wait: Callable[[], object]
) -> Iterator[Alert]:
    """The alerts from these offsets on, for ever; `wait` is called when there is none for now."""
    after = dict(positions)
    while True:
        for shard, start in after.items():
            end = source.end_offset(TOPIC, shard)
            for record in source.read(TOPIC, shard, start, end):
                yield from _parsed(record, wanted)
            after[shard] = end
        wait()


def write_test_alert(source: Log, by: str, now_ms: int) -> Alert:
    """Puts an alert on the topic that says of itself that it is a test, and gives it.

    It has an id of its own each time and comes from no step, so nothing that a shard computes,
    counts or replays knows of it.
    """
    name = uuid.uuid4().hex[:20]
    alert = {
        "format": 1,
        "id": name,
        "kind": "operations",
        "state": TEST,
        "severity": "info",
        "detector": TEST,
        "signal": TEST,
        "time": format_time(now_ms),
        "event_index": 0,
        "evidence": {"by": by},
        "version": 0,
        "source": {"topic": TOPIC, "partition": 0, "offset": source.end_offset(TOPIC, 0)},
    }
    source.append([(TOPIC, 0, NewRecord(orjson.dumps(alert), name.encode()))])
    return alert


def _parsed(record: Record, wanted: Wanted) -> Iterator[Alert]:
    """The alert in a record, if it is one and is wanted."""
    try:
        alert = orjson.loads(record.value or b"")
        if wanted.holds(alert) and alert["id"]:
            yield alert
    except (ValueError, TypeError, KeyError) as error:
        where = f"partition {record.partition} offset {record.offset}"
        log.warning("alerts %s is no alert, and is passed over: %s", where, error)

"""A service's log, filled by hand with events and labels at times of their own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from consumers.partitioning import partition_for
from consumers.record import NewRecord
from stream.configuration import load_file
from stream.opening import open_service_log
from tests.stream.builders import T0_MS

MINUTE_MS = 60_000

Sent = tuple[str, str, dict[str, Any], int]


def event(name: str, minute: float, **fields: Any) -> Sent:
    """An event of that minute after T0, which comes at once."""
    time_ms = T0_MS + int(minute * MINUTE_MS)
    return "events", name, {"id": name, "time": time_ms, **(fields or {"x": 1.0})}, time_ms


def label(name: str, value: Any, minute: float, **fields: Any) -> Sent:
    """A label that comes in that minute after T0."""
    body = {"id": name, "label": value, **fields}
    return "labels", name, body, T0_MS + int(minute * MINUTE_MS)


def send(config: Path, *sent: Sent) -> list[int]:
    """Puts them on the log, in their partitions."""
    with open_service_log(load_file(config), create=True) as log:
        partitions = log.partitions()
        return log.append([(t, partition_for(k.encode(), partitions), r) for t, k, r in _new(sent)])


def _new(sent: Sequence[Sent]) -> list[tuple[str, str, NewRecord]]:
    return [
        (
            topic,
            key,
            NewRecord(
                json.dumps(body).encode(), key.encode(), (("driftline-time", b"%d" % time_ms),)
            ),
        )
        for topic, key, body, time_ms in sent
    ]

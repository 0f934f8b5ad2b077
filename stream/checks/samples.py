"""The newest records of an input, as the checks of keys and clocks look at them."""

from __future__ import annotations

from typing import Final

from consumers.record import Record
from consumers.transport import Log

SAMPLE_RECORDS: Final = 2_000
_LEAST: Final = 50


def newest_records(log: Log, topic: str) -> list[Record]:
    """Up to `SAMPLE_RECORDS` of a topic, the same share of each partition, in its order."""
    partitions = log.partitions()
    share = max(_LEAST, SAMPLE_RECORDS // partitions)
    found: list[Record] = []
    for partition in range(partitions):
        begin, end = log.begin_offset(topic, partition), log.end_offset(topic, partition)
        found += log.read(topic, partition, max(begin, end - share), end)
    return found

"""Both ends of a service as its users hold them: a plain producer of events, and a reader that
waits for what is committed. For measuring; a service itself uses neither."""

from __future__ import annotations

import time
from typing import Any

from kafka import KafkaProducer, TopicPartition

from consumers.record import NewRecord
from consumers.transports.kafka.client import (
    PATIENCE_MS,
    PATIENCE_S,
    close_quietly,
    cluster,
    reader,
    translated,
)


class Sender:
    """A producer without transactions, which sends each record at once."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._at = cluster(bootstrap)
        self._topic = topic
        ours: dict[str, Any] = {"acks": "all", "linger_ms": 0, "max_block_ms": PATIENCE_MS}
        with translated(self._at):
            self._producer = KafkaProducer(**self._at.options(KafkaProducer, **ours))
            self._producer.partitions_for(topic)

    def send(self, record: NewRecord) -> None:
        """Sends a record to partition 0; does not wait for it to be there."""
        with translated(self._at):
            self._producer.send(
                self._topic, record.value, record.key, list(record.headers), 0, record.timestamp_ms
            )

    def close(self) -> None:
        """Waits until all that was sent is there, and closes."""
        try:
            with translated(self._at):
                self._producer.flush(timeout=PATIENCE_S)
        finally:
            close_quietly(self._producer, timeout=1)


class Tail:
    """A reader of what is committed to partition 0 of a topic from now on."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._at = cluster(bootstrap)
        source = TopicPartition(topic, 0)
        with translated(self._at):
            self._consumer = reader(self._at)
            self._consumer.assign([source])
            end = self._consumer.end_offsets([source], timeout_ms=PATIENCE_MS)[source]
            self._consumer.seek(source, end)

    def wait(self, timeout_s: float) -> tuple[float, list[bytes]]:
        """The values that came within that time, and when (monotonic seconds)."""
        with translated(self._at):
            polled = self._consumer.poll(timeout_ms=round(timeout_s * 1_000))
        return time.monotonic(), [one.value for records in polled.values() for one in records]

    def close(self) -> None:
        """Closes it."""
        close_quietly(self._consumer, timeout_ms=1_000)

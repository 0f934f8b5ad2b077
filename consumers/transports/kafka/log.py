"""The log on Kafka, as any process may use it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import TopicPartition
from kafka import errors as kafka_errors

from consumers.errors import (
    CommitFailedError,
    LogError,
    LogUnavailableError,
    LogUnreadableError,
    OffsetOutOfRangeError,
)
from consumers.kafka_settings import KafkaSettings
from consumers.record import NewRecord, Record
from consumers.transport import INPUTS, Committed
from consumers.transports.kafka import topics as service_topics
from consumers.transports.kafka.client import (
    PATIENCE_MS,
    PATIENCE_S,
    VISIBLE_S,
    admin,
    close_quietly,
    cluster,
    patiently,
    reader,
    translated,
)
from consumers.transports.kafka.producer import TransactionalProducer

_READ_RECORDS = 1_000
_APPEND_ATTEMPTS = 5

TOPIC_HINT = (
    "put the topic back as it was; or begin a new journal from the old one's snapshots: "
    "driftline topics create --from"
)


class KafkaLog:
    """The topics of one service on a broker; each use connects when it has to.

    Appends are transactions, so offsets have gaps where a transaction ended. All writers of
    commands share one transactional id: a newer writer fences an older one, so every partition
    holds the commands in the same order, and a fenced append is tried again.
    """

    visible_within_s = VISIBLE_S

    def __init__(
        self,
        bootstrap: str,
        service: str,
        topics: Mapping[str, str],
        settings: KafkaSettings | None = None,
    ) -> None:
        self._at = cluster(bootstrap, settings)
        self._group = service
        self._names = service_topics.real_names(service, topics)
        self._transactional_id = f"{service}-append-{uuid.uuid4()}"
        self._commands_id = f"{service}-commands"
        self._count = 0
        self._admin: Any = None
        self._offsets: Any = None
        self._producer: TransactionalProducer | None = None
        self._idle_readers: list[Any] = []

    def create_topics(self, partitions: int) -> None:
        with translated(self._at):
            patiently(
                lambda: service_topics.create(self._connected_admin(), self._names, partitions)
            )

    def delete_topics(self) -> None:
        """Deletes the topics, and with them all that the service ever was; for measuring."""
        with translated(self._at):
            service_topics.delete(self._connected_admin(), self._names)
        self._count = 0

    def partitions(self) -> int:
        if not self._count:
            with translated(self._at):
                self._count = patiently(
                    lambda: service_topics.count(self._connected_admin(), self._names)
                )
        return self._count

    def identities(self) -> dict[str, str]:
        with translated(self._at):
            return patiently(
                lambda: service_topics.identities(self._connected_admin(), self._names)
            )

    def append(self, records: Sequence[tuple[str, int, NewRecord]]) -> list[int]:
        self.partitions()
        if not records:
            return []
        named = [(self._names[role], partition, record) for role, partition, record in records]
        if any(role == "commands" for role, _, _ in records):
            offsets = self._append_commands(named)
        else:
            offsets = self._append(named)
        self._wait_until_visible(named, offsets)
        return offsets

    def _append(self, records: Sequence[tuple[str, int, NewRecord]]) -> list[int]:
        if self._producer is None:
            self._producer = TransactionalProducer(self._at, self._transactional_id)
        try:
            return self._producer.write(records)
        except BaseException:
            self._producer.close()
            self._producer = None
            raise

    def _append_commands(self, records: Sequence[tuple[str, int, NewRecord]]) -> list[int]:
        for attempt in range(_APPEND_ATTEMPTS):
            producer = TransactionalProducer(self._at, self._commands_id)
            try:
                return producer.write(records)
            except CommitFailedError:
                if attempt == _APPEND_ATTEMPTS - 1:
                    raise
            finally:
                producer.close()
        raise AssertionError("the last attempt returns or raises")

    def _wait_until_visible(
        self, records: Sequence[tuple[str, int, NewRecord]], offsets: Sequence[int]
    ) -> None:
        """A transaction is committed before its records can be read; here they can be at once."""
        last = {
            TopicPartition(topic, partition): offset
            for (topic, partition, _), offset in zip(records, offsets, strict=True)
        }
        deadline_s = time.monotonic() + PATIENCE_S
        with self._reader() as consumer:
            while time.monotonic() < deadline_s:
                ends = consumer.end_offsets(list(last), timeout_ms=PATIENCE_MS)
                if all(ends[partition] > offset for partition, offset in last.items()):
                    return

    def read(
        self, topic: str, partition: int, start: int, end: int | None = None
    ) -> Iterator[Record]:
        begin, committed_end = self._range(topic, partition)
        last = committed_end if end is None else min(end, committed_end)
        if start < min(begin, last):
            raise OffsetOutOfRangeError(topic, partition, start, begin, committed_end)
        return self._read(topic, partition, start, last)

    def _read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Record]:
        if start >= end:
            return
        with self._reader() as consumer:
            source = TopicPartition(self._names[topic], partition)
            consumer.assign([source])
            consumer.seek(source, start)
            deadline_s = time.monotonic() + PATIENCE_S
            position = start
            # The position, not the records, says when the end is reached: markers lie before it.
            while position < end:
                try:
                    polled = consumer.poll(timeout_ms=100, max_records=_READ_RECORDS)
                except kafka_errors.OffsetOutOfRangeError as error:
                    begin, committed_end = self._range(topic, partition)
                    raise OffsetOutOfRangeError(
                        topic, partition, position, begin, committed_end
                    ) from error
                for record in polled.get(source, ()):
                    if record.offset >= end:
                        return
                    yield to_record(topic, record)
                reached = consumer.position(source, timeout_ms=PATIENCE_MS)
                if reached != position:
                    position = reached
                    deadline_s = time.monotonic() + PATIENCE_S
                elif time.monotonic() > deadline_s:
                    raise LogUnavailableError(
                        f"Kafka at {self._at} gave nothing of {source.topic} for {PATIENCE_S:.0f} s"
                    )

    def begin_offset(self, topic: str, partition: int) -> int:
        return self._range(topic, partition)[0]

    def end_offset(self, topic: str, partition: int) -> int:
        return self._range(topic, partition)[1]

    def _range(self, topic: str, partition: int) -> tuple[int, int]:
        assert partition < self.partitions()
        source = TopicPartition(self._names[topic], partition)
        with self._reader() as consumer:
            begin = consumer.beginning_offsets([source], timeout_ms=PATIENCE_MS)[source]
            end = consumer.end_offsets([source], timeout_ms=PATIENCE_MS)[source]
        return begin, max(begin, end)

    def committed(self, shard: int) -> Committed | None:
        assert shard < self.partitions()
        with translated(self._at):
            if self._offsets is None:
                self._offsets = reader(self._at, self._group)
            sources = {role: TopicPartition(self._names[role], shard) for role in INPUTS}
            # All in one request, which the client's public calls have not: between two, a worker
            # may commit. Positions in a transaction that is not over yet are waited for.
            answer = self._offsets._coordinator.fetch_committed_offsets(
                list(sources.values()), timeout_ms=round(VISIBLE_S * 1_000)
            )
            found = {role: answer.get(source) for role, source in sources.items()}
        if not any(found.values()):
            return None
        gone = [self._names[role] for role, offset in found.items() if offset is None]
        if gone:
            raise LogUnreadableError(
                f"the group {self._group} has no position of {', '.join(gone)} for shard {shard}, "
                f"though it has others: the topic was deleted and made again",
                TOPIC_HINT,
            )
        notes = {offset.metadata for offset in found.values()}
        if len(notes) != 1:
            raise LogUnreadableError(
                f"the group {self._group} has positions for shard {shard} that driftline did not "
                f"commit: {found}",
                "give the service a `name:` of its own, which is the group's too",
            )
        positions = {role: int(offset.offset) for role, offset in found.items()}
        return Committed(positions, notes.pop())

    def trim(self, topic: str, partition: int, before: int) -> None:
        begin, end = self._range(topic, partition)
        if before > end:
            raise OffsetOutOfRangeError(topic, partition, before, begin, end)
        if before > begin:
            source = TopicPartition(self._names[topic], partition)
            with translated(self._at):
                self._connected_admin().delete_records({source: before}, timeout_ms=PATIENCE_MS)

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close()
            self._producer = None
        for consumer in (*self._idle_readers, self._offsets):
            if consumer is not None:
                close_quietly(consumer, timeout_ms=1_000)
        self._idle_readers.clear()
        self._offsets = None
        if self._admin is not None:
            close_quietly(self._admin)
            self._admin = None

    def _connected_admin(self) -> Any:
        if self._admin is None:
            self._admin = admin(self._at)
        return self._admin

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        """A consumer for this use alone; connecting takes 20 ms, so used ones are kept."""
        with translated(self._at):
            consumer = self._idle_readers.pop() if self._idle_readers else reader(self._at)
            broken = False
            try:
                yield consumer
            except (kafka_errors.KafkaError, LogError):
                broken = True
                raise
            finally:
                # An iterator that is dropped half-way leaves its consumer in order.
                if broken:
                    close_quietly(consumer, timeout_ms=1_000)
                else:
                    consumer.unsubscribe()
                    self._idle_readers.append(consumer)


def to_record(role: str, record: Any) -> Record:
    """The client's record as ours."""
    return Record(
        role,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        tuple([(name, value or b"") for name, value in record.headers]),
    )

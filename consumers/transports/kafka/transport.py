"""One member's transactional view of the log on Kafka."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from kafka import TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from consumers.errors import (
    CommitFailedError,
    CommitUnknownError,
    FencedError,
    LogError,
    OffsetOutOfRangeError,
    PartitionCountError,
    RecordRefusedError,
    TransportClosedError,
    WorkerRunningError,
)
from consumers.kafka_settings import KafkaSettings
from consumers.transport import INPUTS, InputBatch, Polled, StepCommit
from consumers.transports.kafka.assignment import Assignment
from consumers.transports.kafka.client import (
    FENCED_HINT,
    PATIENCE_MS,
    PATIENCE_S,
    close_quietly,
    member,
    translated,
)
from consumers.transports.kafka.log import KafkaLog, to_record
from consumers.transports.kafka.membership import Membership, is_member
from consumers.transports.kafka.producer import ProducerFencedError, TransactionalProducer
from consumers.transports.kafka.watchdog import Watchdog
from consumers.transports.refusals import refuse_long_note

# How long the client may hold the thread while nothing comes: an interrupt is seen after it.
_SLICE_MS = 50
# A commit waits for four things in turn, each with its own patience; longer is no waiting.
_HUNG_S = 6 * PATIENCE_S


class KafkaTransport(KafkaLog):
    """A static member of the service's group, with transactions under its own name.

    `settings.member` names it, stable over restarts. A second worker of that name takes its place:
    the first's next commit, or soon its poll, raises `FencedError`. Making it raises
    `TopicsMissingError`, `PartitionCountError` and `LogUnavailableError`.

    1. The producer comes first: it aborts the transaction that a predecessor left open.
    2. The consumer then joins, and the metadata of every topic is fetched before the first poll,
       since a cold join may spin for ever.
    """

    def __init__(
        self,
        bootstrap: str,
        service: str,
        topics: Mapping[str, str],
        settings: KafkaSettings | None = None,
    ) -> None:
        super().__init__(bootstrap, service, topics, settings)
        self._roles = {self._names[role]: role for role in INPUTS}
        self._assignment = Assignment(self._roles)
        self._positions: dict[int, dict[str, int]] = {}
        self._interrupted = False
        self._spent = False
        self._closing = ExitStack()
        self._closing.callback(super().close)
        self._watchdog = Watchdog(_HUNG_S)
        self._closing.callback(self._watchdog.close)
        with ExitStack() as failing, self._watchdog.watching("join"):
            failing.callback(self._closing.close)
            self.partitions()
            instance = f"{service}-{self._at.settings.member}"
            self._steps = TransactionalProducer(self._at, instance)
            self._closing.callback(self._steps.close)
            with translated(self._at):
                self._consumer = member(self._at, service, instance)
                self._closing.callback(close_quietly, self._consumer, timeout_ms=1_000)
                self._assignment.consumer = self._consumer
                self._consumer.subscribe(list(self._roles), listener=self._assignment)
                for topic in self._roles:
                    self._consumer.partitions_for_topic(topic)
            failing.pop_all()
        self._membership = Membership(self._at, self._consumer, service, instance)

    def poll(
        self, timeout_s: float, max_records: int, full: Collection[tuple[int, str]] = ()
    ) -> Polled:
        deadline_s = time.monotonic() + timeout_s
        fetched: dict[TopicPartition, list[Any]] = {}
        gained: tuple[int, ...] = ()
        lost: tuple[int, ...] = ()
        with self._using("poll", timeout_s), translated(self._at):
            self._pause(full)
            while True:
                left_ms = max(0, round((deadline_s - time.monotonic()) * 1_000))
                fetched = self._fetch(min(left_ms, _SLICE_MS), max_records)
                self._membership.look()
                self._require_whole_shards()
                gained, lost = self._assignment.take_changes()
                for shard in lost:
                    self._positions.pop(shard, None)
                moved = self._advance()
                if fetched or gained or lost or moved or not left_ms or self._interrupted:
                    break
            self._interrupted = False
            rebalancing = self._assignment.rebalancing
            return Polled(self._batches(fetched), gained, lost, rebalancing)

    def _fetch(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        fetcher = self._consumer._fetcher
        if not fetcher._next_partition_records:
            # The client lays by what it has of an input that is paused, and gives it back only
            # where this is None; left as it is, used up, the input would stay silent for ever.
            fetcher._next_partition_records = None
        try:
            fetched: dict[TopicPartition, list[Any]] = self._consumer.poll(
                timeout_ms=timeout_ms, max_records=max_records
            )
        except kafka_errors.OffsetOutOfRangeError as error:
            ((source, offset),) = error.args[0].items()
            role = self._roles[source.topic]
            begin, end = self._range(role, source.partition)
            raise OffsetOutOfRangeError(role, source.partition, offset, begin, end) from error
        return fetched

    def _require_whole_shards(self) -> None:
        if self._assignment.incomplete:
            shard = self._assignment.incomplete[0]
            if shard >= self._count:
                # Somebody has added partitions to some of the topics.
                self._count = 0
                self.partitions()
            raise LogError(
                f"the group gave this member shard {shard} without all of its inputs",
                "let only driftline's workers join the group, all of one version",
            )
        if self._assignment.highest >= self._count:
            raise PartitionCountError(
                f"each topic had {self._count} partitions when this worker started; now there is "
                f"one more, partition {self._assignment.highest}"
            )

    def _pause(self, full: Collection[tuple[int, str]]) -> None:
        for shard in self._positions:
            for role in INPUTS:
                source = TopicPartition(self._names[role], shard)
                if (shard, role) in full:
                    self._consumer.pause(source)
                else:
                    self._consumer.resume(source)

    def _advance(self) -> bool:
        """Takes over the consumer's positions, which jump over markers; whether any has moved."""
        moved = False
        for shard, positions in self._positions.items():
            for role in INPUTS:
                source = TopicPartition(self._names[role], shard)
                position = self._consumer.position(source, timeout_ms=PATIENCE_MS)
                moved = moved or position != positions[role]
                positions[role] = position
        return moved

    def _batches(
        self, fetched: Mapping[TopicPartition, list[Any]]
    ) -> dict[int, dict[str, InputBatch]]:
        if not self._positions:
            return {}
        sources = {
            (shard, role): TopicPartition(self._names[role], shard)
            for shard in self._positions
            for role in INPUTS
        }
        # Asked for anew: those that came with the records may be older than another input's.
        ends = self._consumer.end_offsets(list(sources.values()), timeout_ms=PATIENCE_MS)
        return {
            shard: {
                role: InputBatch(
                    [to_record(role, record) for record in fetched.get(sources[shard, role], ())],
                    position,
                    max(position, ends[sources[shard, role]]),
                )
                for role, position in positions.items()
            }
            for shard, positions in self._positions.items()
        }

    def start(self, shard: int, positions: Mapping[str, int]) -> None:
        with self._using("start"), translated(self._at):
            for role in INPUTS:
                source = TopicPartition(self._names[role], shard)
                try:
                    self._consumer.seek(source, positions[role])
                except kafka_errors.IllegalStateError:
                    # Revoked since it was gained: the next poll says so.
                    break
                self._consumer.resume(source)
            else:
                self._positions[shard] = {role: positions[role] for role in INPUTS}

    def commit(self, steps: Sequence[StepCommit]) -> None:
        with self._using("commit"):
            for step in steps:
                # Here, since the client cannot even abort once the broker has refused a note.
                refuse_long_note(step.note)
            self._commit(steps)

    def _commit(self, steps: Sequence[StepCommit]) -> None:
        records = [
            (self._names[role], step.shard, record)
            for step in steps
            for role, record in step.outputs
        ]
        positions = {
            TopicPartition(self._names[role], step.shard): OffsetAndMetadata(
                step.positions[role], step.note, -1
            )
            for step in steps
            for role in INPUTS
        }
        identity = self._membership.identity
        if identity is None or not is_member(identity):
            raise CommitFailedError("this member has not joined its group")
        try:
            self._steps.write(records, positions, identity)
        except RecordRefusedError as error:
            raise CommitFailedError(str(error), error.hint) from error
        except ProducerFencedError as error:
            if self._membership.is_replaced_soon():
                raise FencedError(
                    "another worker has taken over this one's identity; its step was not committed",
                    FENCED_HINT,
                ) from error
            raise
        except CommitUnknownError as error:
            if self._membership.is_replaced_soon():
                raise WorkerRunningError(
                    "another worker has taken over this one's identity; what became of the "
                    "last step, it has read from the log",
                    FENCED_HINT,
                ) from error
            raise

    def keep_alive(self) -> None:
        # What `poll` does for the group's sake, and nothing else of it.
        self._consumer._coordinator.heartbeat.poll()

    def interrupt(self) -> None:
        # No Event: a signal handler would wait for ever for the lock that its own thread holds.
        self._interrupted = True

    def close(self) -> None:
        self._spent = True
        self._closing.close()

    @contextmanager
    def _using(self, call: str, more_s: float = 0.0) -> Iterator[None]:
        """The transport is spent until the caller has succeeded."""
        if self._spent:
            raise TransportClosedError("the transport was closed, or failed before: join anew")
        self._spent = True
        with self._watchdog.watching(call, more_s):
            yield
        self._spent = False

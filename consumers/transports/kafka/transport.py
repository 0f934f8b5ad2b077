"""One member's transactional view of the log on Kafka."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import MemberState, OffsetAndMetadata

from consumers.errors import (
    CommitFailedError,
    LogError,
    LogUnavailableError,
    OffsetOutOfRangeError,
    RecordRefusedError,
    TransportClosedError,
)
from consumers.transport import INPUTS, InputBatch, Polled, StepCommit
from consumers.transports.kafka.client import (
    PATIENCE_MS,
    close_quietly,
    member,
    translated,
)
from consumers.transports.kafka.log import KafkaLog, to_record
from consumers.transports.kafka.producer import TransactionalProducer
from consumers.transports.refusals import refuse_long_note

# How long the client may hold the thread while nothing comes: an interrupt is seen after it.
_SLICE_MS = 50
# Joining takes a second; a group that is not stable for longer than this is stuck.
_JOIN_S = 10.0


class KafkaTransport(KafkaLog):
    """A static member of the service's group, with transactions under its slot's name.

    `member` names the slot, stable over restarts. A second worker on a slot takes it over: the
    first's next commit fails. Making it raises `TopicsMissingError`, `PartitionCountError` and
    `LogUnavailableError`.

    1. The producer comes first: it aborts the transaction that a predecessor left open.
    2. The consumer then joins, and the metadata of every topic is fetched before the first poll,
       since a cold join may spin for ever.
    """

    def __init__(
        self, bootstrap: str, service: str, topics: Mapping[str, str], member_name: str
    ) -> None:
        super().__init__(bootstrap, service, topics)
        self._roles = {self._names[role]: role for role in INPUTS}
        self._assignment = _Assignment(self._roles)
        self._membership: Any = None
        self._positions: dict[int, dict[str, int]] = {}
        self._interrupted = False
        self._spent = False
        self._closing = ExitStack()
        self._closing.callback(super().close)
        with ExitStack() as failing:
            failing.callback(self._closing.close)
            self.partitions()
            slot = f"{service}-slot-{member_name}"
            self._steps = TransactionalProducer(bootstrap, slot)
            self._closing.callback(self._steps.close)
            with translated(bootstrap):
                self._consumer = member(bootstrap, service, slot)
                self._closing.callback(close_quietly, self._consumer, timeout_ms=1_000)
                self._assignment.consumer = self._consumer
                self._consumer.subscribe(list(self._roles), listener=self._assignment)
                for topic in self._roles:
                    self._consumer.partitions_for_topic(topic)
            failing.pop_all()
        self._stable_s = time.monotonic()

    def poll(
        self, timeout_s: float, max_records: int, full: Collection[tuple[int, str]] = ()
    ) -> Polled:
        self._use()
        deadline_s = time.monotonic() + timeout_s
        fetched: dict[TopicPartition, list[Any]] = {}
        gained: tuple[int, ...] = ()
        lost: tuple[int, ...] = ()
        with translated(self._bootstrap):
            self._pause(full)
            while True:
                left_ms = max(0, round((deadline_s - time.monotonic()) * 1_000))
                fetched = self._fetch(min(left_ms, _SLICE_MS), max_records)
                self._require_membership()
                gained, lost = self._assignment.take_changes()
                for shard in lost:
                    self._positions.pop(shard, None)
                moved = self._advance()
                if fetched or gained or lost or moved or not left_ms or self._interrupted:
                    break
            self._interrupted = False
            polled = Polled(self._batches(fetched), gained, lost)
        self._spent = False
        return polled

    def _fetch(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
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

    def _require_membership(self) -> None:
        """Keeps the identity to commit with: right after the poll, since an evicted member's
        would be one that the broker accepts from anybody."""
        membership = self._consumer.group_metadata()
        now_s = time.monotonic()
        if membership.state == MemberState.STABLE:
            self._membership = membership
            self._stable_s = now_s
        elif now_s - self._stable_s > _JOIN_S:
            raise LogUnavailableError(f"the group {self._group} was not stable for {_JOIN_S:.0f} s")
        if self._assignment.incomplete:
            raise LogError(
                f"the group gave this member shard {self._assignment.incomplete[0]} without all "
                f"of its inputs",
                "let only driftline's workers join the group, all of one version",
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
        self._use()
        with translated(self._bootstrap):
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
        self._spent = False

    def commit(self, steps: Sequence[StepCommit]) -> None:
        self._use()
        if self._membership is None:
            raise CommitFailedError("this member has not joined its group")
        for step in steps:
            # Here, since the client cannot even abort once the broker has refused a note.
            refuse_long_note(step.note)
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
        try:
            self._steps.write(records, positions, self._membership)
        except RecordRefusedError as error:
            raise CommitFailedError(str(error), error.hint) from error
        self._spent = False

    def interrupt(self) -> None:
        # No Event: a signal handler would wait for ever for the lock that its own thread holds.
        self._interrupted = True

    def close(self) -> None:
        self._spent = True
        self._closing.close()

    def _use(self) -> None:
        """The transport is spent until the caller has succeeded."""
        if self._spent:
            raise TransportClosedError("the transport was closed, or failed before: join anew")
        self._spent = True


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """What the group gave and took, as the client's own thread tells it between two polls."""

    def __init__(self, roles: Collection[str]) -> None:
        self.consumer: Any = None
        self.incomplete: list[int] = []
        self._inputs = len(roles)
        self._known: set[int] = set()
        self._gained: set[int] = set()
        self._lost: set[int] = set()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        inputs: dict[int, int] = {}
        for source in assigned:
            # Nothing is fetched before `start` says from where, and no committed position is
            # looked up, of which there may be none.
            self.consumer.seek(source, 0)
            self.consumer.pause(source)
            inputs[source.partition] = inputs.get(source.partition, 0) + 1
        self.incomplete = [shard for shard, count in inputs.items() if count != self._inputs]
        self._gained = set(inputs)

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._lost |= self._known
        self._known = set()
        self._gained = set()

    def take_changes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shards gained and lost since the last call."""
        gained, lost = tuple(sorted(self._gained)), tuple(sorted(self._lost))
        self._known |= self._gained
        self._gained, self._lost = set(), set()
        return gained, lost

"""One producer's transactions: everything of one is committed, or nothing, or it is not known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kafka import TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from consumers.errors import (
    CommitFailedError,
    CommitUnknownError,
    RecordRefusedError,
)
from consumers.record import NewRecord
from consumers.transports.kafka.client import (
    ABSENT,
    PATIENCE_MS,
    PATIENCE_S,
    Cluster,
    close_quietly,
    root,
    translate,
    translated,
    writer,
)

_FENCED = (kafka_errors.ProducerFencedError, kafka_errors.InvalidProducerEpochError)


class ProducerFencedError(CommitFailedError):
    """Nothing was written: a newer producer has this id, or the broker gave up the transaction."""


class TransactionalProducer:
    """Writes transactions under one id; making it aborts what its predecessor left open.

    Of two live producers of one id the newer wins, and the older's writes fail. After any
    exception only `close` may be called: a late answer to a failed transaction could otherwise
    hit the next one.
    """

    def __init__(self, at: Cluster, transactional_id: str) -> None:
        self._at = at
        with translated(at):
            self._producer = writer(at, transactional_id)
            try:
                self._producer.init_transactions()
            except BaseException:
                self.close()
                raise

    def write(
        self,
        records: Sequence[tuple[str, int, NewRecord]],
        positions: Mapping[TopicPartition, OffsetAndMetadata] | None = None,
        membership: Any = None,
    ) -> list[int]:
        """Commits records to (topic, partition) and positions of a group; gives the offsets.

        1. Send every record, flush, and look at each one's result: a batch that timed out fails
           its records, yet the transaction would commit without them.
        2. Add the positions, in the name of the member that polled them, so that the broker
           refuses those of a member that has lost its shards.
        3. Commit. Until here a failure is `CommitFailedError` or `RecordRefusedError`; from here
           on it is `CommitUnknownError`.
        4. See that the producer still has the epoch that it began with: the client answers yes to
           a commit that it never sent, if it had to take a new epoch meanwhile.
        """
        epoch = self._epoch()
        try:
            self._producer.begin_transaction()
            offsets = self._send(records)
            if positions:
                self._wait(
                    self._producer._transaction_manager.send_offsets_to_transaction(
                        positions, membership
                    )
                )
        except (kafka_errors.KafkaError, ValueError, TypeError) as error:
            self._abort()
            translation = translate(error, self._at)
            if isinstance(translation, (RecordRefusedError, CommitFailedError)):
                raise translation from error
            kind = ProducerFencedError if isinstance(root(error), _FENCED) else CommitFailedError
            raise kind(str(translation), translation.hint) from error
        try:
            self._wait(self._producer._transaction_manager.begin_commit())
        except kafka_errors.KafkaError as error:
            raise CommitUnknownError(f"Kafka at {self._at}: {error}") from error
        if self._epoch() != epoch:
            raise CommitUnknownError(
                f"Kafka at {self._at}: the producer's epoch changed while it committed"
            )
        return offsets

    def _epoch(self) -> Any:
        return self._producer._transaction_manager.producer_id_and_epoch

    def _send(self, records: Sequence[tuple[str, int, NewRecord]]) -> list[int]:
        self._announce({TopicPartition(topic, partition) for topic, partition, _ in records})
        send = self._producer.send
        futures = [
            send(
                topic,
                value=ABSENT if value is None and key is None else value,
                key=key,
                headers=list(headers),
                partition=partition,
                timestamp_ms=timestamp_ms,
            )
            for topic, partition, (value, key, headers, timestamp_ms) in records
        ]
        self._producer.flush(timeout=PATIENCE_S)
        return [future.get(0).offset for future in futures]

    def _announce(self, partitions: Collection[TopicPartition]) -> None:
        """Adds the partitions to the transaction at once.

        The client would by itself when it comes to the first record of each, one request after
        another, and write to one before it asks for the next: two rounds more in a small step.
        """
        manager = self._producer._transaction_manager
        with manager._lock:
            for partition in partitions:
                manager.maybe_add_partition_to_transaction(partition)

    def _abort(self) -> None:
        """Spares readers the wait for the transaction's time-out, if the broker still answers."""
        try:
            self._wait(self._producer._transaction_manager.begin_abort())
        except kafka_errors.KafkaError:
            return

    def _wait(self, result: Any) -> None:
        """Waits for a request of the transaction, but not for ever.

        The client's public calls have no time-out, and a request is dropped without an exception
        when a coordinator dies; hence its own result objects, waited for with a deadline.
        """
        self._producer._sender.wakeup()
        if not result.wait(timeout_ms=PATIENCE_MS):
            raise kafka_errors.KafkaTimeoutError(f"no answer within {PATIENCE_S:.0f} s")

    def close(self) -> None:
        close_quietly(self._producer, timeout=1)

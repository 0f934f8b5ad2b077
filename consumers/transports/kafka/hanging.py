"""Transactions that keep readers of a partition from its newest records."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from kafka import IsolationLevel, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import OffsetSpec

from consumers.inspection import OpenTransaction
from consumers.transport import INPUTS
from consumers.transports.kafka.client import PATIENCE_MS, patiently


class _Begun(NamedTuple):
    """One producer's part in a partition."""

    source: TopicPartition
    producer_id: int
    start: int
    # The stamp of its newest record there: the transaction is at least as old.
    newest_ms: int


def open_transactions(admin: Any, names: Mapping[str, str]) -> list[OpenTransaction]:
    """What is open on the inputs and the journal, oldest record first.

    A partition's leader knows the producers and where their transactions begin; the coordinators
    know when, under which id and for how long. One that no coordinator has is asked for again at
    its partition, since it may have ended in between.
    """
    roles = {names[role]: role for role in (*INPUTS, "journal")}
    held = _held_back(admin, roles)
    if not held:
        return []
    begun = _begun(admin, held)
    known = _known(admin, {one.producer_id for one in begun})
    lost = [one for one in begun if (one.source, one.producer_id) not in known]
    if lost:
        still = set(_begun(admin, {one.source: held[one.source] for one in lost}))
        begun = [one for one in begun if one not in lost or one in still]
    found = []
    for one in sorted(begun, key=lambda one: one.start):
        about = known.get((one.source, one.producer_id))
        found.append(
            OpenTransaction(
                roles[one.source.topic],
                one.source.topic,
                one.source.partition,
                one.start,
                held[one.source],
                one.producer_id,
                *((None, one.newest_ms) if about is None else about),
            )
        )
    return found


def _held_back(admin: Any, roles: Mapping[str, str]) -> dict[TopicPartition, int]:
    """Partition → its end, of those whose committed end lies before it."""
    newest = {
        TopicPartition(topic["name"], partition["partition_index"]): OffsetSpec.LATEST
        for topic in admin.describe_topics(list(roles))
        for partition in topic["partitions"]
        if partition["leader_id"] >= 0
    }
    committed = _ends(admin, newest, IsolationLevel.READ_COMMITTED)
    ends = _ends(admin, newest, IsolationLevel.READ_UNCOMMITTED)
    return {source: end for source, end in ends.items() if committed[source] < end}


def _ends(admin: Any, newest: Mapping[TopicPartition, Any], level: Any) -> dict[Any, int]:
    found = admin.list_partition_offsets(newest, isolation_level=level, timeout_ms=PATIENCE_MS)
    return {source: said.offset for source, said in found.items()}


def _begun(admin: Any, held: Mapping[TopicPartition, int]) -> list[_Begun]:
    return [
        _Begun(
            source,
            producer.producer_id,
            producer.current_transaction_start_offset,
            producer.last_timestamp,
        )
        for source, state in admin.describe_producers(list(held)).items()
        for producer in state.active_producers
        if producer.current_transaction_start_offset >= 0
    ]


def _known(
    admin: Any, producers: set[int]
) -> dict[tuple[TopicPartition, int], tuple[str, int, int]]:
    """What coordinators know of the producers: (partition, producer) → id, begin, time-out."""
    listed = admin.list_transactions(producer_id_filters=sorted(producers))
    found = {}
    for name in {one.transactional_id for several in listed.values() for one in several}:
        try:
            about = patiently(partial(admin.describe_transactions, [name]))[name]
        except kafka_errors.TransactionalIdNotFoundError:
            # It expired meanwhile.
            continue
        for source in about.topic_partitions:
            found[source, about.producer_id] = (
                name,
                about.transaction_start_time_ms,
                about.transaction_timeout_ms,
            )
    return found

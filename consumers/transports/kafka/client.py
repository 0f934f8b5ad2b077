"""The client's settings, each for the reason beside it, and its errors told in this package's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.serializer import Serializer

from consumers.errors import (
    LogError,
    LogUnavailableError,
    RecordRefusedError,
    TopicsMissingError,
    WorkerRunningError,
)

# What waits on the broker gives up after this; what is slower counts as gone.
PATIENCE_S: Final = 8.0
PATIENCE_MS: Final = 8_000

_CHECK: Final = "check `log:` and that the broker is up"

_CONNECTION: Final[dict[str, Any]] = {
    "bootstrap_timeout_ms": PATIENCE_MS,
    "retry_backoff_ms": 20,  # the default of 100 stalls a flush by 105 ms
}
_READING: Final[dict[str, Any]] = {
    **_CONNECTION,
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "allow_auto_create_topics": False,
    "auto_offset_reset": "none",  # the default silently skips what was trimmed
    "fetch_max_wait_ms": 20,
}


def reader(bootstrap: str, group: str | None = None) -> Any:
    """A consumer that joins no group; `group` is whose committed positions it can tell."""
    return KafkaConsumer(bootstrap_servers=_servers(bootstrap), group_id=group, **_READING)


def member(bootstrap: str, group: str, slot: str) -> Any:
    """A consumer for a static member of the group, which holds `slot` over restarts."""
    return KafkaConsumer(
        bootstrap_servers=_servers(bootstrap),
        group_id=group,
        group_instance_id=slot,
        # Keeps partition p of all inputs together; sticky assignors split shards.
        partition_assignment_strategy=[RangePartitionAssignor],
        session_timeout_ms=6_000,  # the broker's minimum: how long a dead worker's shards wait
        heartbeat_interval_ms=500,
        fetch_min_bytes=20_000,  # with the short wait it halves tail latency and CPU
        **_READING,
    )


def writer(bootstrap: str, transactional_id: str) -> Any:
    """A transactional producer, not yet initialised."""
    return KafkaProducer(
        bootstrap_servers=_servers(bootstrap),
        transactional_id=transactional_id,
        transaction_timeout_ms=10_000,  # how long a hanging transaction may hold up readers
        batch_size=262_144,  # 12 instead of 28 µs a record
        linger_ms=0,
        request_timeout_ms=5_000,
        delivery_timeout_ms=PATIENCE_MS,
        max_block_ms=PATIENCE_MS,
        allow_auto_create_topics=False,
        value_serializer=_Values(),
        **_CONNECTION,
    )


def admin(bootstrap: str) -> Any:
    """A client for topics; raises `LogUnavailableError` at once where nobody listens."""
    _require_listener(bootstrap)
    return KafkaAdminClient(bootstrap_servers=_servers(bootstrap), **_CONNECTION)


ABSENT: Final = object()
"""Stands for no value in a record without a key, which the client refuses though brokers do not."""


class _Values(Serializer):  # type: ignore[misc]
    def serialize(self, topic: str, headers: object, value: object) -> object:
        return None if value is ABSENT else value


def _servers(bootstrap: str) -> list[str]:
    return bootstrap.split(",")


def _require_listener(bootstrap: str) -> None:
    """The client itself would try for seconds, say less, and leave sockets behind."""
    problems = []
    for address in _servers(bootstrap):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S).close()
            return
        except ValueError:
            problems.append(f"{address} is not HOST:PORT")
        except OSError as error:
            problems.append(f"{address}: {error.strerror or error}")
    raise LogUnavailableError(f"Kafka cannot be reached: {', '.join(problems)}", _CHECK)


@contextmanager
def translated(bootstrap: str) -> Iterator[None]:
    """Turns the client's errors into this package's."""
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise translate(error, bootstrap) from error


def translate(error: Exception, bootstrap: str) -> LogError:
    """The client's error in this package's words."""
    # A producer that has failed wraps what it failed of in each later error.
    causes = [cause for cause in error.args if isinstance(cause, Exception)]
    match causes[0] if causes else error:
        case kafka_errors.UnknownTopicOrPartitionError():
            return TopicsMissingError(f"Kafka at {bootstrap} lacks a topic: {error}")
        case kafka_errors.FencedInstanceIdError() | kafka_errors.ProducerFencedError():
            return WorkerRunningError("another worker has taken over this member's slot")
        case (
            kafka_errors.InvalidTimestampError()
            | kafka_errors.MessageSizeTooLargeError()
            | kafka_errors.RecordListTooLargeError()
            | kafka_errors.InvalidRecordError()
        ):
            return RecordRefusedError(f"Kafka refused a record: {error}")
        case _:
            return LogUnavailableError(f"Kafka at {bootstrap}: {error}", _CHECK)


def close_quietly(client: Any, **how: float) -> None:
    """Closes a client that may be broken, in bounded time."""
    # A client that fails to close is dropped; there is nothing more to give back.
    with suppress(kafka_errors.KafkaError, OSError, RuntimeError):
        client.close(**how)

"""The client's settings, each for the reason beside it, and its errors told in this package's."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.serializer import Serializer

from consumers.errors import (
    CommitFailedError,
    FencedError,
    LogError,
    LogUnavailableError,
    RecordRefusedError,
    TopicsMissingError,
)
from consumers.kafka_settings import KafkaSettings
from consumers.transports.kafka.options import options_for
from consumers.transports.kafka.reasons import REASONS, HungUpError, TlsFailedError

# What waits on the broker gives up after this; what is slower counts as gone.
PATIENCE_S: Final = 8.0
PATIENCE_MS: Final = 8_000

# A transaction that its producer left open is aborted by the broker after this.
TRANSACTION_S: Final = 10.0
# The broker looks for such transactions every ten seconds; markers and fetches take the rest.
VISIBLE_S: Final = 30.0

FENCED_HINT: Final = (
    "give every worker an instance or a slot of its own: `kafka.instance`, `kafka.slot`"
)
_CHECK: Final = "check `log:`, `kafka:` and that the broker is up"

_AGAIN_S: Final = 0.1

T = TypeVar("T")

_CONNECTION: Final[dict[str, Any]] = {
    "bootstrap_timeout_ms": PATIENCE_MS,
    "retry_backoff_ms": 20,  # the default of 100 stalls a flush by 105 ms
    "reconnect_backoff_max_ms": 1_000,  # the default waits up to 30 s for a broker that is back
}
_READING: Final[dict[str, Any]] = {
    **_CONNECTION,
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "allow_auto_create_topics": False,
    "auto_offset_reset": "none",  # the default silently skips what was trimmed
    "fetch_max_wait_ms": 20,
}
_FETCH_MIN_BYTES: Final = 20_000  # with the short wait it halves tail latency and CPU


@dataclass(frozen=True, slots=True)
class Cluster:
    """The brokers' addresses and how to connect to them; in a message, the addresses."""

    bootstrap: str
    settings: KafkaSettings

    def __str__(self) -> str:
        return self.bootstrap

    def options(self, kind: Any, **ours: Any) -> dict[str, Any]:
        """What one of the client's classes is made with: ours, unless the settings say other."""
        given = options_for(kind, self.settings)
        return {"bootstrap_servers": _servers(self.bootstrap), **ours, **given}


def cluster(bootstrap: str, settings: KafkaSettings | None = None) -> Cluster:
    """A cluster by its addresses, in plain text unless the settings say other."""
    return Cluster(bootstrap, settings or KafkaSettings())


def reader(at: Cluster, group: str | None = None) -> Any:
    """A consumer that joins no group; `group` is whose committed positions it can tell."""
    return KafkaConsumer(**at.options(KafkaConsumer, group_id=group, **_READING))


def member(at: Cluster, group: str, slot: str) -> Any:
    """A consumer for a static member of the group, which holds `slot` over restarts."""
    session_ms = round(at.settings.session_timeout.total_seconds() * 1_000)
    ours: dict[str, Any] = {
        "group_id": group,
        "group_instance_id": slot,
        # Keeps partition p of all inputs together; sticky assignors split shards.
        "partition_assignment_strategy": [RangePartitionAssignor],
        # How long a dead worker's shards wait; 6 s is the least that a broker takes by default.
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": min(500, session_ms // 4),
        "max_poll_interval_ms": round(at.settings.max_poll_interval.total_seconds() * 1_000),
        "fetch_min_bytes": _FETCH_MIN_BYTES,
        **_READING,
    }
    return KafkaConsumer(**at.options(KafkaConsumer, **ours))


def writer(at: Cluster, transactional_id: str) -> Any:
    """A transactional producer, not yet initialised."""
    ours: dict[str, Any] = {
        "transactional_id": transactional_id,
        "transaction_timeout_ms": round(TRANSACTION_S * 1_000),
        "batch_size": 262_144,  # 12 instead of 28 µs a record
        "linger_ms": 0,
        "request_timeout_ms": 5_000,
        "delivery_timeout_ms": PATIENCE_MS,
        "max_block_ms": PATIENCE_MS,
        "allow_auto_create_topics": False,
        "value_serializer": _Values(),
        **_CONNECTION,
    }
    return KafkaProducer(**at.options(KafkaProducer, **ours))


def admin(at: Cluster) -> Any:
    """A client for topics; raises `LogUnavailableError` at once where nobody listens."""
    _require_listener(at.bootstrap)
    return KafkaAdminClient(**at.options(KafkaAdminClient, **_CONNECTION))


def _is_news(record: logging.LogRecord) -> bool:
    """False for what the client calls an error, a hundred times a second, while it waits for a
    transaction to end."""
    return not (
        isinstance(record.args, tuple)
        and any(isinstance(arg, kafka_errors.UnstableOffsetCommitError) for arg in record.args)
    )


logging.getLogger("kafka.coordinator.consumer").addFilter(_is_news)


ABSENT: Final = object()
"""Stands for no value in a record without a key, which the client refuses though brokers do not."""


class _Values(Serializer):  # type: ignore[misc]
    def serialize(self, topic: str, headers: object, value: object) -> object:
        return None if value is ABSENT else value


def _servers(bootstrap: str) -> list[str]:
    return bootstrap.split(",")


def _require_listener(bootstrap: str) -> None:
    """The client itself would try for seconds, say less, and leave sockets behind."""
    REASONS.forget()
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
def translated(at: Cluster) -> Iterator[None]:
    """Turns the client's errors into this package's."""
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise translate(error, at) from error


def translate(error: Exception, at: Cluster) -> LogError:
    """The client's error in this package's words."""
    match root(error):
        case kafka_errors.UnknownTopicOrPartitionError():
            return TopicsMissingError(f"Kafka at {at} lacks a topic: {error}")
        case kafka_errors.FencedInstanceIdError():
            return FencedError("another worker has taken over this one's identity", FENCED_HINT)
        case (
            kafka_errors.CommitFailedError()
            | kafka_errors.IllegalGenerationError()
            | kafka_errors.UnknownMemberIdError()
        ):
            return CommitFailedError(
                "the group has put this worker out and given its shards to others, since it was "
                "stopped or too slow; its step was not committed",
                "if it was only slow, set `kafka.session_timeout` or `kafka.max_poll_interval` "
                "higher",
            )
        case (
            kafka_errors.SaslAuthenticationFailedError()
            | kafka_errors.UnsupportedSaslMechanismError()
            | kafka_errors.IllegalSaslStateError()
        ):
            return LogUnavailableError(
                f"Kafka at {at} does not let this client in: {error}",
                "check `kafka.sasl_mechanism`, `kafka.sasl_username` and the password",
            )
        case (
            kafka_errors.TopicAuthorizationFailedError()
            | kafka_errors.GroupAuthorizationFailedError()
            | kafka_errors.TransactionalIdAuthorizationFailedError()
            | kafka_errors.ClusterAuthorizationFailedError()
        ):
            return LogUnavailableError(
                f"Kafka at {at} refuses this user: {error}",
                "give it the rights that `driftline doctor` lists",
            )
        case (
            kafka_errors.InvalidTimestampError()
            | kafka_errors.MessageSizeTooLargeError()
            | kafka_errors.RecordListTooLargeError()
            | kafka_errors.InvalidRecordError()
        ):
            return RecordRefusedError(f"Kafka refused a record: {error}")
        case TlsFailedError():
            return LogUnavailableError(
                f"Kafka at {at} and this client do not agree on TLS: {error}",
                "check `kafka.security_protocol`, `kafka.ssl_cafile` and the certificate's names",
            )
        case HungUpError():
            known = at.settings.security_protocol
            return LogUnavailableError(
                f"Kafka at {at} does not let this client in: it ends each connection before "
                f"anything can be asked, and `kafka.security_protocol` is {known}",
                "check `kafka.security_protocol`, `kafka.sasl_mechanism`, `kafka.sasl_username` "
                "and the password",
            )
        case kafka_errors.KafkaTimeoutError():
            reason = REASONS.recent()
            if reason is not None:
                return translate(reason, at)
            return LogUnavailableError(f"Kafka at {at}: {error}", _CHECK)
        case _:
            return LogUnavailableError(f"Kafka at {at}: {error}", _CHECK)


def root(error: Exception) -> Exception:
    """What a failed producer first failed of: it wraps that in each later error."""
    causes = [cause for cause in error.args if isinstance(cause, Exception)]
    return root(causes[0]) if causes else error


def patiently(ask: Callable[[], T]) -> T:
    """What `ask` gives; asks again, up to `PATIENCE_S`, while a coordinator is being chosen, or
    where the client has just asked the one broker that is away."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except (
            kafka_errors.CoordinatorNotAvailableError,
            kafka_errors.CoordinatorLoadInProgressError,
            kafka_errors.NotCoordinatorError,
            kafka_errors.KafkaConnectionError,
        ):
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_AGAIN_S)


def close_quietly(client: Any, **how: float) -> None:
    """Closes a client that may be broken, in bounded time."""
    # A client that fails to close is dropped; there is nothing more to give back.
    with suppress(kafka_errors.KafkaError, OSError, RuntimeError):
        client.close(**how)

"""The three logs behind the one protocol: memory, SQLite, Kafka; opened here by URL."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from consumers.errors import SettingsError
from consumers.inspection import Inspection
from consumers.kafka_settings import KafkaSettings
from consumers.transport import TOPICS, Log, Transport
from consumers.transports.memory import MemoryLog
from consumers.transports.sqlite import SqliteLog, SqliteTransport

_AS_THEY_ARE: Mapping[str, str] = MappingProxyType({})
_FORMS = "`memory:`, `sqlite:PATH` or `kafka://HOST:PORT,HOST:PORT`"


def open_log(
    url: str,
    service: str,
    topics: Mapping[str, str] = _AS_THEY_ARE,
    kafka: KafkaSettings | None = None,
) -> Log:
    """The service's log as any process may use it; nothing is created or connected to yet.

    `topics` maps roles to a broker's own names for them, `kafka` says how to connect; only Kafka
    has either. Each `memory:` log is a new one. Raises `SettingsError` for a URL or a role that
    there is not.
    """
    scheme, place = _parse(url, topics)
    if scheme == "memory":
        return MemoryLog()
    if scheme == "sqlite":
        return SqliteLog(place, service)
    # Imported here alone: the client takes 0.2 s that the embedded logs need not wait for.
    from consumers.transports.kafka import KafkaLog

    return KafkaLog(place, service, topics, kafka)


def open_transport(
    url: str,
    service: str,
    topics: Mapping[str, str] = _AS_THEY_ARE,
    kafka: KafkaSettings | None = None,
) -> Transport:
    """A worker's view of the service's log, joined to it as `kafka.member`; topics must exist."""
    scheme, place = _parse(url, topics)
    if scheme == "memory":
        log = MemoryLog()
        log.create_topics(1)
        return log.join()
    if scheme == "sqlite":
        return SqliteTransport(place, service)
    from consumers.transports.kafka import KafkaTransport

    return KafkaTransport(place, service, topics, kafka)


def open_inspection(
    url: str,
    service: str,
    topics: Mapping[str, str] = _AS_THEY_ARE,
    kafka: KafkaSettings | None = None,
) -> Inspection | None:
    """What the log's cluster says of itself; None for a log that is no cluster's."""
    scheme, place = _parse(url, topics)
    if scheme != "kafka":
        return None
    from consumers.transports.kafka.inspection import KafkaInspection

    return KafkaInspection(place, service, topics, kafka)


def _parse(url: str, topics: Mapping[str, str]) -> tuple[str, str]:
    """The scheme, and what follows it."""
    unknown = sorted(set(topics) - set(TOPICS))
    if unknown:
        raise SettingsError(
            f"topics can rename {', '.join(TOPICS)}, not {', '.join(unknown)}",
        )
    scheme, _, place = url.partition(":")
    if scheme == "kafka":
        place = place.removeprefix("//")
    if (scheme == "memory" and not place) or (scheme in {"sqlite", "kafka"} and place):
        return scheme, place
    raise SettingsError(f"a log is {_FORMS}, not {url!r}", f"set `log:` to {_FORMS}")

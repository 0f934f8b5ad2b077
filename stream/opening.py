"""From a configuration to its open log, its snapshots and its keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from consumers.transport import Log, Transport
from consumers.transports import open_log, open_transport
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.keyfile import open_keyring
from learners.snapshots.opening import open_store
from stream.configuration import Configuration
from stream.errors import ConfigurationError
from stream.history import History, read_history
from stream.shard.checkpoint import Snapshots


@contextmanager
def open_service_log(configuration: Configuration, *, create: bool) -> Iterator[Log]:
    """The service's log, as any process may use it; its topics are made if `create` says so."""
    if configuration.log == "memory:":
        raise ConfigurationError(
            "a log in memory ends with its process, so nothing could be read from it",
            "set `log: sqlite:PATH`; `driftline backtest` needs no log",
        )
    log = open_log(configuration.log, configuration.name, configuration.topics, configuration.kafka)
    try:
        if create:
            log.create_topics(configuration.log_partitions)
        yield log
    finally:
        log.close()


def history_of(log: Log) -> History:
    """A service's history, by the indexes in this user's cache as far as they go."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return read_history(log, Path(cache) / "driftline" / "history")


@contextmanager
def open_worker_transport(configuration: Configuration) -> Iterator[Transport]:
    """A worker's view of the service's log, whose topics are made if they are not there yet."""
    with open_service_log(configuration, create=True):
        pass
    transport = join(configuration)
    try:
        yield transport
    finally:
        transport.close()


def join(configuration: Configuration) -> Transport:
    """A worker's view of the service's log, joined anew; topics must exist."""
    return open_transport(
        configuration.log, configuration.name, configuration.topics, configuration.kafka
    )


def log_opener(configuration: Configuration) -> Callable[[], Log] | None:
    """Opens another view of the log for a thread beside the worker's; None where a worker has the
    log to itself, and nobody waits for it meanwhile."""
    if not configuration.log.startswith("kafka:"):
        return None
    return lambda: open_log(
        configuration.log, configuration.name, configuration.topics, configuration.kafka
    )


@contextmanager
def open_snapshots(configuration: Configuration) -> Iterator[Snapshots]:
    """The store and the keys of a service, and the thread that writes beside the stream."""
    settings = configuration.snapshots
    # One thread, so that puts and deletes happen in the order in which they were asked for.
    with ThreadPoolExecutor(1, thread_name_prefix="driftline-snapshots") as executor:
        archive = SnapshotArchive(open_store(settings), open_keyring(settings))
        yield Snapshots(settings, archive, executor)

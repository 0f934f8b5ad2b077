"""All checks of a service's cluster, before and after those of its log."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial

from consumers.errors import ConsumersError
from consumers.inspection import Inspection
from consumers.transport import Log
from consumers.transports import open_inspection
from learners.snapshots.archive import SnapshotArchive
from stream.checks.brokers import check_brokers, check_topics, is_unreadable
from stream.checks.clocks import check_clocks
from stream.checks.finding import Finding
from stream.checks.group import check_group
from stream.checks.keys import check_keys
from stream.checks.retention import check_retention
from stream.checks.rights import check_rights
from stream.checks.settings import check_settings
from stream.checks.transactions import check_transactions
from stream.configuration import Configuration


@contextmanager
def inspected(configuration: Configuration) -> Iterator[Inspection | None]:
    """What the log's cluster says of itself; None where the log has none."""
    cluster = open_inspection(
        configuration.log, configuration.name, configuration.topics, configuration.kafka
    )
    try:
        yield cluster
    finally:
        if cluster is not None:
            cluster.close()


def check_cluster(cluster: Inspection) -> Generator[Finding, None, bool]:
    """What can be said without reading the log; returns whether it can be read.

    Raises `ConsumersError` for no broker at all.
    """
    yield from check_brokers(cluster)
    readable = True
    for finding in told("topics", lambda: check_topics(cluster)):
        yield finding
        readable = readable and not is_unreadable(finding)
    yield from told("settings", lambda: check_settings(cluster))
    yield from told("rights", lambda: check_rights(cluster))
    return readable


def check_log_of_cluster(
    cluster: Inspection,
    configuration: Configuration,
    log: Log,
    archive: SnapshotArchive | None,
    now_ms: int,
) -> Iterator[Finding]:
    """What needs the log's records, or the shards that there are."""
    shards = log.partitions()
    if archive is not None:
        ask = partial(_retention, cluster, log, archive, now_ms)
        yield from told("retention", ask)
    yield from told("keys", lambda: check_keys(configuration, log))
    yield from told("transactions", lambda: check_transactions(cluster, now_ms))
    yield from told("clocks", lambda: check_clocks(cluster.settings(), log, now_ms))
    yield from told("group", lambda: check_group(cluster, shards))


def _retention(
    cluster: Inspection, log: Log, archive: SnapshotArchive, now_ms: int
) -> Iterator[Finding]:
    settings = cluster.settings()
    for shard in range(log.partitions()):
        yield from check_retention(settings, log, shard, archive, now_ms)


def told(check: str, find: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings; if a broker refuses to answer, that is the finding."""
    try:
        yield from find()
    except ConsumersError as error:
        yield Finding(check, "problem", str(error), error.hint)

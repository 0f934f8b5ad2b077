"""A service on a broker to which things happen, and what a doctor says of it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from consumers.record import NewRecord
from consumers.transport import TOPICS
from stream.checks.brokers import check_brokers, check_topics
from stream.checks.clocks import check_clocks
from stream.checks.cluster import inspected
from stream.checks.finding import Finding
from stream.checks.group import check_group
from stream.checks.keys import check_keys
from stream.checks.rights import check_rights
from stream.checks.settings import check_settings
from stream.checks.transactions import check_transactions
from stream.configuration import Configuration
from stream.doctor import examine
from stream.opening import open_service_log, open_snapshots, open_worker_transport
from stream.worker import Worker
from tests.stream.builders import LOGISTIC, configuration

PATIENCE_S = 40.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Patient:
    """A service under a name of its own; its snapshots are in a folder."""

    def __init__(self, folder: Path, bootstrap: str, **fields: Any) -> None:
        self.folder = folder
        self.bootstrap = bootstrap
        self.name: str = fields.get("name", f"shop-{uuid.uuid4().hex[:8]}")
        self.configuration: Configuration = configuration(
            **{
                "name": self.name,
                "log": f"kafka://{bootstrap}",
                "log_partitions": 2,
                "model": LOGISTIC,
                "snapshots": {"url": f"file:{folder}/snapshots", "versions": {"every": None}},
                **fields,
            }
        )

    def topic(self, role: str) -> str:
        return self.configuration.topics.get(role, f"{self.name}.{role}")

    def topics(self) -> dict[str, str]:
        """Role → the broker's name for its topic."""
        return {role: self.topic(role) for role in TOPICS}

    def create(self) -> Patient:
        """Its topics, as `topics create` makes them."""
        with open_service_log(self.configuration, create=True):
            return self

    def write(self, role: str, partition: int, *records: NewRecord) -> None:
        with open_service_log(self.configuration, create=False) as log:
            log.append([(role, partition, record) for record in records])

    def work(self) -> None:
        """A worker does what there is to do, and leaves a snapshot behind."""
        with (
            open_worker_transport(self.configuration) as transport,
            open_snapshots(self.configuration) as snapshots,
        ):
            worker = Worker(self.configuration, transport, snapshots)
            worker.run_until_idle()
            worker.leave()

    def alter(self, role: str, **settings: object) -> None:
        """Other settings of a topic; `_` stands for the dot."""
        named = {name.replace("_", "."): str(value) for name, value in settings.items()}
        resource = ConfigResource(ConfigResourceType.TOPIC, self.topic(role), named)
        with self.admin() as admin:
            admin.alter_configs([resource])
            wait_until(lambda: self._has(admin, role, named))

    def _has(self, admin: Any, role: str, named: dict[str, str]) -> bool:
        name = self.topic(role)
        asked = [ConfigResource(ConfigResourceType.TOPIC, name)]
        found = admin.describe_configs(asked, config_filter="all")["topic"][name]
        return all(found[setting]["value"] == value for setting, value in named.items())

    @contextmanager
    def admin(self) -> Iterator[Any]:
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            yield client
        finally:
            client.close()

    @contextmanager
    def producer(self, **options: Any) -> Iterator[Any]:
        """A client of somebody else."""
        client = KafkaProducer(bootstrap_servers=self.bootstrap, **options)
        try:
            yield client
        finally:
            client.close(timeout=5)

    def examine(self, later_ms: int = 0) -> list[Finding]:
        """All findings; with `later_ms` they are told against a clock that much ahead."""
        return list(examine(self.configuration, now_ms() + later_ms))

    def found(self, check: str, later_ms: int = 0) -> list[tuple[str, str]]:
        """State and detail of one check's findings, made as `examine` makes them."""
        with (
            inspected(self.configuration) as cluster,
            open_service_log(self.configuration, create=False) as log,
        ):
            assert cluster is not None
            now = now_ms() + later_ms
            alone: dict[str, Callable[[], Iterable[Finding]]] = {
                "brokers": lambda: check_brokers(cluster),
                "topics": lambda: check_topics(cluster),
                "replicas": lambda: check_topics(cluster),
                "settings": lambda: check_settings(cluster),
                "rights": lambda: check_rights(cluster),
                "keys": lambda: check_keys(self.configuration, log),
                "transactions": lambda: check_transactions(cluster, now),
                "clocks": lambda: check_clocks(cluster.settings(), log, now),
                "group": lambda: check_group(cluster, log.partitions()),
            }
            return told(list(alone[check]()), check)


def told(findings: Sequence[Finding], check: str) -> list[tuple[str, str]]:
    """State and detail of one check's findings; whatever is to be done has a hint."""
    assert all(one.hint is not None for one in findings if one.state != "ok")
    return [(one.state, one.detail) for one in findings if one.check == check]


def wait_until(condition: Any) -> Any:
    """What the condition gives once it is true; fails if that takes too long."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline_s, "this never came"
        time.sleep(0.1)


def event(name: object, **fields: Any) -> NewRecord:
    """An event with its id for a key."""
    return _record({"id": str(name), "time": now_ms(), "x": 1.0, **fields})


def label(name: object, value: bool = True) -> NewRecord:
    """A label with its event's key."""
    return _record({"id": str(name), "label": value})


def _record(body: dict[str, Any]) -> NewRecord:
    return NewRecord(json.dumps(body).encode(), body["id"].encode())

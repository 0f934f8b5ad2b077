"""Two brokers, one of which may be killed, with users who may do only what they were allowed."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import KafkaConnectionError

from consumers.inspection import Right
from tests.integration.kafka.broker import LIBS, Broker
from tests.integration.kafka.doctor.patient import wait_until

PASSWORD = "correct-horse"
USERS = ("worker", "reader", "nobody")

# Later lines of a file win. The brokers' sessions outlast pauses of a busy machine.
_BOTH = """
advertised.listeners=PLAINTEXT://{own},GUARDED://{guarded}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=\\
 org.apache.kafka.common.security.plain.PlainLoginModule required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
offsets.topic.replication.factor=2
transaction.state.log.replication.factor=2
"""
_FIRST = """
listeners=PLAINTEXT://{own},GUARDED://{guarded},CONTROLLER://{at}
broker.session.timeout.ms=5000
"""
_SECOND = """
process.roles=broker
node.id=2
controller.quorum.voters=1@{at}
listeners=PLAINTEXT://{own},GUARDED://{guarded}
"""

_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}


class Cluster:
    """`bootstrap` lets everybody in, who may do everything; `guarded` asks for a password."""

    def __init__(self, bootstrap: str, guarded: str, second: Broker) -> None:
        self.bootstrap = bootstrap
        self.guarded = guarded
        self.second = second.bootstrap
        self._second = second

    def login(self, user: str) -> dict[str, Any]:
        """The `kafka` section of a configuration."""
        return {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_username": user,
            "sasl_password": PASSWORD,
        }

    def allow(self, user: str, rights: Iterable[Right]) -> None:
        """Gives rights; a name that ends in * is a prefix."""
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            client.create_acls([_acl(user, right) for right in rights])
        finally:
            client.close()

    def lose_second(self) -> None:
        """Kills the second broker, and waits until the first one knows."""
        self._second.kill()
        self._wait_for(alive=1)

    def find_second(self) -> None:
        """Starts it, and waits until the first one knows."""
        self._second.start()
        self._wait_for(alive=2)

    def _wait_for(self, alive: int) -> None:
        def are_there() -> bool:
            # A client may ask the dead one.
            with suppress(KafkaConnectionError):
                brokers = client.describe_cluster()["brokers"]
                return sum(not one["is_fenced"] for one in brokers) == alive
            return False

        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            wait_until(are_there)
        finally:
            client.close()


@contextmanager
def two_brokers(folder: Path) -> Iterator[Cluster]:
    """Starts them for the while; on a machine without Java the test is skipped loudly."""
    if shutil.which("java") is None or not any(LIBS.glob("kafka_*.jar")):
        pytest.skip("NO KAFKA TESTS: they need java and the jars of `make test-tools`")
    homes = folder / "first", folder / "second"
    for home in homes:
        home.mkdir()
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(Broker, homes)
    guarded = _free_address()
    (voters,) = [line for line in _lines(homes[0]) if line.startswith("controller.quorum.voters=")]
    known = {
        "at": voters.split("@")[1],
        "users": " ".join(f'user_{user}="{PASSWORD}"' for user in USERS),
    }
    _add(homes[0], (_BOTH + _FIRST).format(own=first.bootstrap, guarded=guarded, **known))
    other = _free_address()
    _add(homes[1], (_BOTH + _SECOND).format(own=second.bootstrap, guarded=other, **known))
    # It was formatted as the first node of a cluster of that id.
    identity = homes[1] / "logs" / "meta.properties"
    identity.write_text(identity.read_text().replace("node.id=1", "node.id=2"))
    try:
        with ThreadPoolExecutor() as threads:
            list(threads.map(Broker.start, (first, second)))
        cluster = Cluster(first.bootstrap, guarded, second)
        cluster._wait_for(alive=2)
        yield cluster
    finally:
        # Nothing of it is kept, so nothing need be flushed.
        first.kill()
        second.kill()


def _acl(user: str, right: Right) -> Any:
    pattern = "PREFIXED" if right.name.endswith("*") else "LITERAL"
    return ACL(
        f"User:{user}",
        "*",
        ACLOperation[right.operation],
        ACLPermissionType.ALLOW,
        ResourcePattern(
            _KINDS[right.kind], right.name.removesuffix("*"), ACLResourcePatternType[pattern]
        ),
    )


def _lines(home: Path) -> list[str]:
    return (home / "server.properties").read_text().splitlines()


def _add(home: Path, settings: str) -> None:
    with (home / "server.properties").open("a") as file:
        file.write(settings)


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"

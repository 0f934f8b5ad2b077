"""Two brokers, one of which may be killed, with users who may do only what they were allowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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
from tests.integration.kafka.broker import Broker, free_port, require_tools
from tests.integration.kafka.doctor.patient import wait_until

PASSWORD = "correct-horse"
USERS = ("worker", "reader", "nobody")

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
        self.wait_for(alive=1)

    def find_second(self) -> None:
        """Starts it, and waits until the first one knows."""
        self._second.start()
        self.wait_for(alive=2)

    def wait_for(self, alive: int) -> None:
        """Waits until the first one knows so many to be alive."""

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
    require_tools()
    guarded, other, quorum = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(
            lambda made: Broker(_home(folder, made[0]), _properties(quorum, *made[1:])),
            [
                ("first", guarded, {"listeners": f"+,GUARDED://{guarded},QUORUM://{quorum}"}),
                ("second", other, {"process.roles": "broker", "node.id": "2"}),
            ],
        )
    try:
        with ThreadPoolExecutor() as threads:
            list(threads.map(Broker.start, (first, second)))
        cluster = Cluster(first.bootstrap, guarded, second)
        cluster.wait_for(alive=2)
        yield cluster
    finally:
        # Nothing of it is kept, so nothing need be flushed.
        first.kill()
        second.kill()


def _home(folder: Path, name: str) -> Path:
    home = folder / name
    home.mkdir()
    return home


def _properties(quorum: str, guarded: str, own: Mapping[str, str]) -> dict[str, str]:
    """What both have and one has alone. The first is the controller, at an address that both know;
    what a test's broker has for that otherwise is one more listener here."""
    users = " ".join(f'user_{user}="{PASSWORD}"' for user in USERS)
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return {
        "controller.quorum.voters": f"1@{quorum}",
        "controller.listener.names": "QUORUM",
        "listeners": f"+,GUARDED://{guarded}",
        "advertised.listeners": f"+,GUARDED://{guarded}",
        "listener.security.protocol.map": "+,QUORUM:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config": f"{login} required {users};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "offsets.topic.replication.factor": "2",
        "transaction.state.log.replication.factor": "2",
        # Longer than the pauses of a busy machine.
        "broker.session.timeout.ms": "5000",
        **own,
    }


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

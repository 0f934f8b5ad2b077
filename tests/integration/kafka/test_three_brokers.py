"""Three brokers: a leader or a coordinator dies and another takes its place, or none can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from tests.integration.kafka.broker import Broker, free_port, require_tools
from tests.integration.kafka.conftest import Calm
from tests.integration.kafka.service import Service, make_service, stream_of
from tests.integration.kafka.workers import Workers
from tests.simulation.streams import Meant

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("kafka-three"),
    pytest.mark.timeout(300),
]

SHARDS = 2
EVENTS = 500
PATIENCE_S = 60.0
GROUPS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"


class Three:
    """Three brokers. The first is the controller too, so only the others may die for long."""

    def __init__(self, brokers: list[Broker]) -> None:
        self.brokers = brokers

    @property
    def bootstrap(self) -> str:
        """All three."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def leader(self, topic: str, partition: int = 0) -> int:
        """The number of the broker that leads a partition, from 1; -1 for none."""
        number: int = self._partition(topic, partition)["leader_id"]
        return number

    def relieve_first(self) -> None:
        """Has others lead what the first one leads: it passes to them when it comes back."""
        self.wait_until_whole(GROUPS, TRANSACTIONS)
        if 1 in (self.leader(GROUPS), self.leader(TRANSACTIONS)):
            self.brokers[0].kill()
            self.brokers[0].start()
            wait_until(lambda: min(self.leader(GROUPS), self.leader(TRANSACTIONS)) > 1)
            self.wait_until_whole(GROUPS, TRANSACTIONS)

    def wait_until_whole(self, *topics: str) -> None:
        """Waits until every partition of the topics is on all three."""
        wait_until(
            lambda: all(
                len(one["isr_nodes"]) == 3 for topic in topics for one in self._partitions(topic)
            )
        )

    def _partition(self, topic: str, partition: int) -> dict[str, Any]:
        return next(one for one in self._partitions(topic) if one["partition_index"] == partition)

    def _partitions(self, topic: str) -> list[dict[str, Any]]:
        client = KafkaAdminClient(bootstrap_servers=self.brokers[0].bootstrap)
        try:
            found: list[dict[str, Any]] = client.describe_topics([topic])[0]["partitions"]
            return found
        finally:
            client.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """A broker that has just died may be the one that is asked."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        with suppress(KafkaError):
            if condition():
                return
        assert time.monotonic() < deadline_s, "this never came"


def is_done(service: Service, stream: list[Meant]) -> bool:
    """Whether all of the stream has been committed, as far as anybody can be asked."""
    with suppress(KafkaError):
        return service.is_done(stream)
    return False


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    require_tools()
    folder = tmp_path_factory.mktemp("three")
    quorum = f"127.0.0.1:{free_port()}"
    with ThreadPoolExecutor() as threads:
        brokers = list(threads.map(lambda node: _node(folder, node, quorum), (1, 2, 3)))
    try:
        with ThreadPoolExecutor() as threads:
            list(threads.map(Broker.start, brokers))
        three = Three(brokers)
        _use(three.bootstrap)
        three.wait_until_whole(GROUPS, TRANSACTIONS)
        yield three
    finally:
        for broker in brokers:
            broker.kill()


def _node(folder: Path, number: int, quorum: str) -> Broker:
    home = folder / str(number)
    home.mkdir()
    is_first = number == 1
    return Broker(
        home,
        {
            "node.id": str(number),
            "process.roles": "broker,controller" if is_first else "broker",
            "controller.quorum.voters": f"1@{quorum}",
            # What a test's broker has for its controller is one more listener here.
            "controller.listener.names": "QUORUM",
            "listeners": f"+,QUORUM://{quorum}" if is_first else "+",
            "listener.security.protocol.map": "+,QUORUM:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "offsets.topic.replication.factor": "3",
            "transaction.state.log.replication.factor": "3",
            "transaction.state.log.min.isr": "2",
            "auto.leader.rebalance.enable": "false",
            "broker.session.timeout.ms": "3000",
        },
    )


def _use(bootstrap: str) -> None:
    """A group and a transaction, so that the topics of both are there."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics({"used": {"num_partitions": 1, "replication_factor": 3}})
    admin.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id="used")
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id="used")
    try:
        producer.init_transactions()
        consumer.commit({TopicPartition("used", 0): OffsetAndMetadata(0, "", -1)})
    finally:
        producer.close()
        consumer.close()


@pytest.mark.parametrize("topic", ["journal", GROUPS, TRANSACTIONS])
def test_a_leader_that_dies_is_replaced_and_nothing_is_lost_or_doubled(
    three: Three, workers: Workers, calm: Calm, tmp_path: Path, topic: str
) -> None:
    three.relieve_first()
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, three.bootstrap, stream, SHARDS)
    worker = workers.start(service, poll_records=5)
    worker.until(lambda: service.entries() > 20)
    if topic == "journal":
        victim = max(three.leader(f"{service.name}.journal", shard) for shard in range(SHARDS))
    else:
        victim = three.leader(topic)
    assert victim > 1, "the controller must live"

    # when it dies for good, as far as this stream goes
    three.brokers[victim - 1].kill()
    worker.until(lambda: is_done(service, stream))
    worker.stop()
    three.brokers[victim - 1].start()

    service.check(calm(SHARDS, EVENTS), stream)


def test_while_too_few_replicas_are_left_nothing_is_committed_and_then_all(
    three: Three, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, three.bootstrap, stream, SHARDS)
    worker = workers.start(service, poll_records=5)
    worker.until(lambda: service.entries() > 20)

    # when two of three are away for longer than the client waits for a delivery
    for broker in three.brokers[1:]:
        broker.kill()
    worker.until_said("joining anew")
    for broker in three.brokers[1:]:
        broker.start()

    worker.until(lambda: is_done(service, stream))
    worker.stop()
    service.check(calm(SHARDS, EVENTS), stream)

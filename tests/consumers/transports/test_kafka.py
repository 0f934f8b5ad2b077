"""What only a log on a real broker does: groups, hanging transactions, topics made by others."""

import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.producer.transaction_manager import AddPartitionsToTxnHandler
from kafka.structs import OffsetAndMetadata

from consumers.errors import (
    CommitFailedError,
    CommitUnknownError,
    LogUnreadableError,
    PartitionCountError,
    TopicsMissingError,
)
from consumers.kafka_settings import KafkaSettings
from consumers.record import NewRecord
from consumers.transport import INPUTS, Committed, Log
from consumers.transports import open_log, open_transport
from consumers.transports.kafka.client import admin, cluster
from consumers.transports.kafka.producer import TransactionalProducer
from tests.consumers.transports.worlds import (
    PATIENCE_S,
    UrlWorld,
    Worker,
    at,
    expect,
    record,
    step,
    values,
)

pytestmark = pytest.mark.kafka


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def world(kafka: str, closing: ExitStack) -> UrlWorld:
    world = UrlWorld(f"kafka://{kafka}", f"flights-{uuid.uuid4()}", closing)
    world.log().create_topics(2)
    return world


def wait_until(condition: Callable[[], bool]) -> None:
    """The broker says yes to a change before it tells everybody of it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "this never came"


def test_a_transaction_left_open_by_a_dead_worker_is_aborted_by_the_next(
    kafka: str, world: UrlWorld, closing: ExitStack
) -> None:
    # given a worker that died after sending, before committing
    dead = TransactionalProducer(cluster(kafka), f"{world.service}-{KafkaSettings().member}")
    closing.callback(dead.close)
    dead._producer.begin_transaction()
    dead._send([(f"{world.service}.journal", 0, record("lost"))])

    # when the next one takes its slot and commits
    worker = Worker(world.join()).start(0)
    worker.transport.commit([step(0, [("journal", record("next"))], "1")])

    # then readers need not wait for the dead one's transaction to time out
    expect(world.log(), "journal", 0, ["next"])


def test_an_output_too_large_fails_the_commit_and_leaves_nothing(world: UrlWorld) -> None:
    worker = Worker(world.join()).start(0, 1)
    too_large = NewRecord(b"x" * 2_000_000)

    with pytest.raises(CommitFailedError):
        worker.transport.commit(
            [
                step(0, [("journal", record("lost"))] * 1_000, "1"),
                step(1, [("journal", too_large)], "1"),
            ]
        )
    worker.transport.close()

    heir = Worker(world.join()).start(0, 1)
    heir.transport.commit([step(0, [("journal", record("next"))], "2")])
    expect(world.log(), "journal", 0, ["next"])
    assert world.log().committed(0) == Committed(at(), "2")
    assert world.log().committed(1) is None


def test_members_share_the_shards_each_whole(world: UrlWorld, closing: ExitStack) -> None:
    # given a member that owns both shards
    world.log().append(
        [(role, shard, record(f"{role}{shard}")) for role in INPUTS for shard in (0, 1)]
    )
    first, second = (
        Worker(open_transport(world.url, world.service, kafka=KafkaSettings(slot=slot)))
        for slot in (0, 1)
    )
    closing.callback(second.transport.close)
    closing.callback(first.transport.close)
    first.start(0, 1)

    # when another joins
    owned: dict[Worker, set[int]] = {first: {0, 1}, second: set()}
    while not (len(owned[first]) == 1 and len(owned[second]) == 1):
        for worker, shards in owned.items():
            polled = worker.transport.poll(0.05, 10)
            shards -= set(polled.lost)
            shards |= set(polled.gained)
            # then a shard that was lost gives nothing more, and one gained not yet
            assert not set(polled.inputs) & {*polled.lost, *polled.gained}
            assert set(polled.inputs) <= shards

    # and each goes on with all the inputs of its own
    assert owned[first] | owned[second] == {0, 1}
    for worker, (shard,) in owned.items():
        worker.records.clear()
        worker.transport.start(shard, at())
        assert [worker.take(shard, role, 1) for role in INPUTS] == [[f"{r}{shard}"] for r in INPUTS]
        worker.transport.commit([step(shard, [("journal", record("mine"))], "1")])
        expect(world.log(), "journal", shard, ["mine"])


def test_commands_of_many_writers_stand_in_the_same_order_on_every_partition(
    world: UrlWorld,
) -> None:
    logs = [world.log() for _ in range(3)]

    def write(log: Log, name: str) -> None:
        for number in range(3):
            command = record(f"{name}{number}")
            with suppress(CommitUnknownError, CommitFailedError):
                log.append([("commands", partition, command) for partition in (0, 1)])

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, logs, "abc"))

    on_first = values(list(world.log().read("commands", 0, 0)))
    assert on_first
    assert on_first == values(list(world.log().read("commands", 1, 0)))


def test_topics_keep_what_recovery_needs_and_inputs_refuse_the_future(
    kafka: str, world: UrlWorld, closing: ExitStack
) -> None:
    client = admin(cluster(kafka))
    closing.callback(client.close)

    def setting(role: str, name: str) -> object:
        resource = ConfigResource(ConfigResourceType.TOPIC, f"{world.service}.{role}")
        found = client.describe_configs([resource], config_filter="all")
        return found["topic"][f"{world.service}.{role}"][name]["value"]

    assert setting("events", "message.timestamp.after.max.ms") == "3600000"
    assert {setting(role, "retention.ms") for role in ("events", "commands", "journal")} == {"-1"}
    assert setting("status", "cleanup.policy") == "compact"


def test_topics_of_unequal_partition_counts_are_refused(
    kafka: str, world: UrlWorld, closing: ExitStack
) -> None:
    client = admin(cluster(kafka))
    closing.callback(client.close)
    labels = f"{world.service}.labels"
    client.create_partitions({labels: 3})
    wait_until(lambda: len(client.describe_topics([labels])[0]["partitions"]) == 3)

    with pytest.raises(PartitionCountError, match=r"labels has 3"):
        world.log().create_topics(2)
    with pytest.raises(PartitionCountError, match=r"labels has 3"):
        world.log().partitions()
    with pytest.raises(PartitionCountError):
        world.join()


@pytest.mark.parametrize(
    ("roles", "said"),
    [(INPUTS, "there is one more, partition 2"), (("labels",), "labels has 3")],
    ids=["of every input", "of one input"],
)
def test_partitions_that_are_added_while_a_worker_runs_end_it(
    kafka: str, world: UrlWorld, closing: ExitStack, roles: tuple[str, ...], said: str
) -> None:
    # It hears of them when it asks for the metadata again, every five minutes otherwise.
    often = KafkaSettings(options={"metadata_max_age_ms": 500})
    transport = open_transport(world.url, world.service, kafka=often)
    closing.callback(transport.close)
    worker = Worker(transport).start(0, 1)
    client = admin(cluster(kafka))
    closing.callback(client.close)

    client.create_partitions({f"{world.service}.{role}": 3 for role in roles})

    with pytest.raises(PartitionCountError, match=said):
        worker.poll_until(lambda: False)


def test_a_missing_topic_is_named(kafka: str, world: UrlWorld, closing: ExitStack) -> None:
    client = admin(cluster(kafka))
    closing.callback(client.close)
    alerts = f"{world.service}.alerts"
    client.delete_topics([alerts])
    wait_until(lambda: client.describe_topics([alerts])[0]["error_code"] != 0)

    with pytest.raises(TopicsMissingError, match=r"\.alerts$"):
        world.log().partitions()


def test_positions_that_somebody_else_committed_are_not_taken_for_ours(
    kafka: str, world: UrlWorld, closing: ExitStack
) -> None:
    client = admin(cluster(kafka))
    closing.callback(client.close)
    source = TopicPartition(f"{world.service}.events", 0)
    client.alter_group_offsets(world.service, {source: OffsetAndMetadata(0, "theirs", -1)})

    with pytest.raises(LogUnreadableError) as caught:
        world.log().committed(0)
    assert caught.value.hint is not None


def test_positions_read_while_a_worker_commits_are_of_one_commit(world: UrlWorld) -> None:
    worker = Worker(world.join()).start(0)
    worker.transport.commit([step(0, [], "0")])
    log = world.log()
    is_over = threading.Event()
    found: list[Committed | None] = []

    def read() -> None:
        while not is_over.is_set():
            found.append(log.committed(0))

    with ThreadPoolExecutor(1) as executor:
        reading = executor.submit(read)
        for number in range(1, 100):
            positions = dict.fromkeys(INPUTS, number)
            worker.transport.commit([step(0, [], str(number), **positions)])
        is_over.set()
        reading.result()

    # Never a mixture of two, and later ones later.
    notes = [int(one.note) for one in found if one is not None]
    assert all(
        one == Committed(at(**dict.fromkeys(INPUTS, n)), str(n))
        for one, n in zip(found, notes, strict=True)
    )
    assert notes == sorted(notes)
    assert len(set(notes)) > 10


def test_topics_can_have_other_names(world: UrlWorld, closing: ExitStack) -> None:
    renamed = {"events": f"{world.service}.raw"}
    log = open_log(world.url, world.service, renamed)
    closing.callback(log.close)
    log.create_topics(2)

    log.append([("events", 0, record("raw"))])

    assert [(r.topic, r.value) for r in log.read("events", 0, 0)] == [("events", b"raw")]
    assert world.log().end_offset("events", 0) == 0


def test_a_transaction_asks_for_all_of_its_partitions_at_once(
    world: UrlWorld, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a producer whose requests to add partitions are counted, those tried again once
    asked: list[int] = []
    begin = AddPartitionsToTxnHandler.__init__

    def counted(
        self: AddPartitionsToTxnHandler, manager: object, partitions: Collection[TopicPartition]
    ) -> None:
        asked.append(len(partitions))
        begin(self, manager, partitions)

    monkeypatch.setattr(AddPartitionsToTxnHandler, "__init__", counted)
    producer = TransactionalProducer(cluster(kafka), f"counted-{uuid.uuid4()}")
    topics = [f"{world.service}.{role}" for role in ("predictions", "alerts", "journal")]

    # when it writes to several topics
    for number in range(5):
        producer.write([(topic, 0, record(str(number))) for topic in topics])
    producer.close()

    # then each transaction has asked once: a round to the broker, not one for each topic
    assert asked == [3] * 5

"""The faults of the Kafka client that would lose or double records, one by one, and what we do.

Each test makes the client do on a real broker what it does when things go wrong, at the place where
it does it. Without our guard the commit would be taken for done, or nothing would ever happen.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka import errors as kafka_errors
from kafka.structs import MemberState

from consumers.errors import (
    CommitFailedError,
    CommitUnknownError,
    LogUnavailableError,
    RecordRefusedError,
    TransportClosedError,
)
from consumers.record import NewRecord
from consumers.transport import INPUTS, Committed
from consumers.transports.kafka import membership
from consumers.transports.kafka.transport import KafkaTransport
from consumers.transports.kafka.watchdog import EXIT_HUNG, Watchdog
from tests.consumers.transports.worlds import UrlWorld, Worker, at, expect, record, step, values

pytestmark = pytest.mark.kafka


@pytest.fixture
def world(kafka: str) -> Iterator[UrlWorld]:
    with ExitStack() as closing:
        world = UrlWorld(f"kafka://{kafka}", f"flights-{uuid.uuid4()}", closing)
        world.log().create_topics(1)
        yield world


def started(world: UrlWorld) -> tuple[Worker, KafkaTransport]:
    """A worker that has its shard."""
    worker = Worker(world.join()).start(0)
    assert isinstance(worker.transport, KafkaTransport)
    return worker, worker.transport


def check_only_the_next_is_there(world: UrlWorld, transport: KafkaTransport) -> None:
    """Nothing of the failed commit is, nor will be."""
    with pytest.raises(TransportClosedError):
        transport.commit([step(0, [("journal", record("again"))], "1")])
    transport.close()
    _, heir = started(world)
    heir.commit([step(0, [("journal", record("next"))], "next")])
    expect(world.log(), "journal", 0, ["next"])
    assert world.log().committed(0) == Committed(at(), "next")


class Expired:
    """What the client gives for a record whose batch was not delivered in time."""

    def get(self, timeout: float | None = None) -> Any:
        raise kafka_errors.KafkaTimeoutError("batch expired")


class Dropped:
    """The result of a request that nobody answers any more."""

    def wait(self, timeout_ms: int | None = None) -> bool:
        assert timeout_ms is not None, "the client would wait for ever"
        return False


class Done:
    """The result of a request that was answered."""

    def wait(self, timeout_ms: int | None = None) -> bool:
        return True


def test_1_a_batch_that_expired_is_missing_from_a_transaction_that_commits(
    world: UrlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, transport = started(world)
    send = transport._steps._producer.send

    def sent(topic: str, **fields: Any) -> Any:
        return Expired() if fields["value"] == b"lost" else send(topic, **fields)

    monkeypatch.setattr(transport._steps._producer, "send", sent)
    outputs = [("journal", record("kept")), ("journal", record("lost"))]
    with pytest.raises(CommitFailedError):
        transport.commit([step(0, outputs, "1", events=2)])

    check_only_the_next_is_there(world, transport)


def test_2_a_commit_across_a_new_epoch_is_said_to_be_done_and_never_was(
    world: UrlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, transport = started(world)
    manager = transport._steps._producer._transaction_manager

    def begin_commit() -> Done:
        old = manager.producer_id_and_epoch
        manager.producer_id_and_epoch = type(old)(old.producer_id, old.epoch + 1)
        return Done()

    monkeypatch.setattr(manager, "begin_commit", begin_commit)
    with pytest.raises(CommitUnknownError, match="epoch changed"):
        transport.commit([step(0, [("journal", record("lost"))], "1", events=2)])

    check_only_the_next_is_there(world, transport)


def test_3_positions_of_a_failed_commit_are_not_in_the_next_one(
    world: UrlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, transport = started(world)
    writer, wait = transport._steps, transport._steps._wait

    def lost_answer(result: Any) -> None:
        # They have been added by now, and the client keeps them over an abort.
        monkeypatch.setattr(writer, "_wait", wait)
        wait(result)
        raise kafka_errors.KafkaTimeoutError("the answer was lost")

    monkeypatch.setattr(writer, "_wait", lost_answer)
    with pytest.raises(CommitFailedError, match="the answer was lost"):
        transport.commit([step(0, [("journal", record("lost"))], "1", events=2)])

    check_only_the_next_is_there(world, transport)


@pytest.mark.parametrize("gone", [{"generation_id": -1, "member_id": ""}, {"generation_id": -1}])
def test_4_who_was_put_out_of_the_group_commits_nothing(
    world: UrlWorld, gone: dict[str, Any]
) -> None:
    _, transport = started(world)
    # What the client gives as its identity then; the broker takes it from anybody.
    transport._membership.identity = transport._membership.identity._replace(**gone)
    with pytest.raises(CommitFailedError, match="not joined"):
        transport.commit([step(0, [("journal", record("doubled"))], "1", events=2)])

    check_only_the_next_is_there(world, transport)


def test_5_bytes_that_cannot_be_decoded_hold_up_nothing(world: UrlWorld) -> None:
    worker, _ = started(world)
    world.log().append([("events", 0, NewRecord(b"\xff\xfe")), ("events", 0, record("good"))])

    worker.poll_until(lambda: len(worker.records.get((0, "events"), [])) == 2)

    assert [found.value for found in worker.records[0, "events"]] == [b"\xff\xfe", b"good"]


def test_6_what_writes_beside_a_worker_uses_no_producer_again_that_failed(world: UrlWorld) -> None:
    _, transport = started(world)
    transport.append([("events", 0, record("first"))])
    before = transport._producer
    too_large = NewRecord(b"x" * 2_000_000)
    with pytest.raises(RecordRefusedError):
        transport.append([("events", 0, record("lost")), ("events", 0, too_large)])
    transport.append([("events", 0, record("second"))])

    assert transport._producer is not before
    assert values(list(world.log().read("events", 0, 0))) == ["first", "second"]


def test_7_every_topic_is_known_before_the_first_poll(
    world: UrlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A cold consumer that has to look for them while it joins may spin for ever.
    calls: list[str] = []
    for name in ("partitions_for_topic", "poll"):
        real = getattr(KafkaConsumer, name)

        def spied(self: Any, *args: Any, real: Any = real, name: str = name, **more: Any) -> Any:
            calls.append(f"{name} {args[0]}" if args else name)
            return real(self, *args, **more)

        monkeypatch.setattr(KafkaConsumer, name, spied)
    started(world)

    before = calls[: calls.index("poll")]
    assert {f"partitions_for_topic {world.service}.{role}" for role in INPUTS} <= set(before)


def test_7_a_group_that_never_comes_to_rest_is_joined_anew(
    world: UrlWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, transport = started(world)
    found = transport._consumer.group_metadata()._replace(state=MemberState.REBALANCING)
    monkeypatch.setattr(transport._consumer, "group_metadata", lambda: found)
    monkeypatch.setattr(membership, "JOIN_S", 0.3)

    with pytest.raises(LogUnavailableError, match="not stable"):
        worker.poll_until(lambda: False)
    with pytest.raises(TransportClosedError):
        worker.poll()


@pytest.mark.parametrize(
    ("request_of", "error"),
    [("send_offsets_to_transaction", CommitFailedError), ("begin_commit", CommitUnknownError)],
)
def test_8_a_request_that_is_never_answered_has_a_deadline(
    world: UrlWorld,
    monkeypatch: pytest.MonkeyPatch,
    request_of: str,
    error: type[Exception],
) -> None:
    _, transport = started(world)
    manager = transport._steps._producer._transaction_manager
    monkeypatch.setattr(manager, request_of, lambda *_: Dropped())
    with pytest.raises(error, match="no answer within"):
        transport.commit([step(0, [("journal", record("lost"))], "1", events=2)])

    check_only_the_next_is_there(world, transport)


def test_8_a_call_that_hangs_inside_the_client_is_noticed() -> None:
    said: list[str] = []
    hung = threading.Event()

    def on_hung(message: str) -> None:
        said.append(message)
        hung.set()

    watchdog = Watchdog(0.2, on_hung)
    with watchdog.watching("poll"):
        pass
    with watchdog.watching("commit", more_s=0.1):
        assert hung.wait(20.0)
    watchdog.close()
    [message] = said
    assert "the Kafka client's commit has not returned" in message


def test_8_and_ends_the_process_to_be_started_again() -> None:
    program = (
        "import threading\n"
        "from consumers.transports.kafka.watchdog import Watchdog\n"
        "with Watchdog(0.2).watching('commit'):\n"
        "    threading.Event().wait()\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == EXIT_HUNG

"""What a worker gets from its transport, the same from each of the three logs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consumers.errors import (
    CommitFailedError,
    LogError,
    OffsetOutOfRangeError,
    TransportClosedError,
    WorkerRunningError,
)
from consumers.transport import MAX_NOTE_BYTES, OUTPUTS, Committed
from tests.consumers.transports.worlds import (
    PATIENCE_S,
    Worker,
    World,
    at,
    expect,
    record,
    step,
    values,
)


def append(world: World, topic: str, partition: int, *texts: str) -> list[int]:
    return world.log().append([(topic, partition, record(text)) for text in texts])


def test_a_worker_gains_every_shard_and_gets_nothing_of_one_before_starting_it(
    world: World,
) -> None:
    append(world, "events", 0, "a")
    append(world, "events", 1, "b")
    worker = Worker(world.join())

    worker.poll_until(lambda: worker.gained == {0, 1})
    worker.poll(0.1)
    assert worker.records == {}

    worker.transport.start(1, at())
    assert worker.take(1, "events", 1) == ["b"]
    assert (0, "events") not in worker.records


def test_records_come_once_in_order_and_at_most_so_many_of_an_input(world: World) -> None:
    texts = [str(number) for number in range(25)]
    append(world, "events", 0, *texts)
    append(world, "labels", 0, *reversed(texts))
    append(world, "commands", 1, "stop")
    worker = Worker(world.join()).start(0, 1)

    assert worker.take(0, "events", 25, max_records=7) == texts
    assert worker.take(0, "labels", 25, max_records=7) == texts[::-1]
    assert worker.take(1, "commands", 1) == ["stop"]

    # and at the end of each input the position says so
    worker.drain(0, 1)
    assert not any(worker.records.values())
    log = world.log()
    assert worker.position == {
        (shard, role): log.end_offset(role, shard) for shard, role in worker.position
    }


def test_the_end_shows_what_is_left_to_fetch(world: World) -> None:
    offsets = append(world, "events", 0, *[str(number) for number in range(10)])
    worker = Worker(world.join()).start(0)

    worker.poll_until(lambda: len(worker.records.get((0, "events"), [])) > 0, max_records=4)

    position = worker.position[0, "events"]
    assert offsets[0] < position <= offsets[4]
    assert worker.end[0, "events"] > offsets[-1]


def test_what_is_appended_later_is_seen_by_a_later_poll(world: World) -> None:
    worker = Worker(world.join()).start(0)
    worker.drain(0)

    append(world, "events", 0, "one")
    assert worker.take(0, "events", 1) == ["one"]
    append(world, "labels", 0, "two")
    append(world, "events", 0, "three")
    assert worker.take(0, "labels", 1) == ["two"]
    assert worker.take(0, "events", 1) == ["three"]


def test_a_label_written_before_an_event_lies_within_the_end_seen_with_the_event(
    world: World,
) -> None:
    # given a label on the log, and after it an event
    worker = Worker(world.join()).start(0)
    worker.drain(0)
    (label,) = append(world, "labels", 0, "label")
    (event,) = append(world, "events", 0, "event")

    # when the event has been polled, whatever order the inputs were fetched in
    worker.poll_until(lambda: worker.position[0, "events"] > event)

    # then the label was polled too, or its end says that it is still to come
    assert worker.end[0, "labels"] > label


def test_a_full_input_is_not_fetched_while_others_are(world: World) -> None:
    worker = Worker(world.join()).start(0)
    worker.drain(0)
    position = worker.position[0, "events"]
    append(world, "events", 0, "event")
    append(world, "labels", 0, "label")
    full = ((0, "events"),)

    # when the events are full, then only labels come, and the end shows what waits
    while not worker.records[0, "labels"]:
        worker.poll(full=full)
    worker.poll(0.1, full=full)
    assert worker.records[0, "events"] == []
    assert worker.position[0, "events"] == position < worker.end[0, "events"]

    # and when they are not any more, the event comes
    assert worker.take(0, "events", 1) == ["event"]


def test_an_input_that_was_full_gives_the_rest_though_no_other_has_news(world: World) -> None:
    # given labels of which some were polled, and others that came along
    worker = Worker(world.join()).start(0)
    worker.drain(0)
    texts = [str(number) for number in range(10)]
    append(world, "labels", 0, *texts)
    worker.poll_until(lambda: len(worker.records[0, "labels"]) > 0, max_records=4)

    # when they were full while an event came, and are not any more
    append(world, "events", 0, "event")
    while not worker.records[0, "events"]:
        worker.poll(full=((0, "labels"),))

    # then the rest of them comes
    assert worker.take(0, "labels", 10) == texts


def test_a_poll_without_news_waits_as_long_as_it_may(world: World) -> None:
    worker = Worker(world.join()).start(0)
    worker.drain(0)

    began_s = time.monotonic()
    worker.poll(0.2)

    assert 0.15 < time.monotonic() - began_s < PATIENCE_S
    assert not any(worker.records.values())


@contextmanager
def meanwhile(action: threading.Timer) -> Iterator[None]:
    action.start()
    try:
        yield
    finally:
        action.join()


def test_an_append_by_another_ends_the_wait(world: World) -> None:
    worker = Worker(world.join()).start(0)
    worker.drain(0)

    began_s = time.monotonic()
    with meanwhile(threading.Timer(0.05, append, (world, "labels", 0, "news"))):
        worker.poll(60)

    assert time.monotonic() - began_s < PATIENCE_S
    assert values(worker.records[0, "labels"]) == ["news"]


def test_an_interrupt_ends_the_wait_or_else_that_of_the_next_poll(world: World) -> None:
    worker = Worker(world.join()).start(0)
    worker.drain(0)
    began_s = time.monotonic()

    with meanwhile(threading.Timer(0.05, worker.transport.interrupt)):
        worker.poll(60)
    worker.transport.interrupt()
    worker.poll(60)

    assert time.monotonic() - began_s < PATIENCE_S


def test_starting_at_an_older_position_replays(world: World) -> None:
    offsets = append(world, "events", 0, "a", "b", "c", "d")
    worker = Worker(world.join()).start(0)
    assert worker.take(0, "events", 4) == ["a", "b", "c", "d"]

    worker.transport.start(0, at(events=offsets[2]))

    assert worker.take(0, "events", 2) == ["c", "d"]


def test_a_position_that_was_trimmed_or_is_not_there_yet_is_an_error(world: World) -> None:
    offsets = append(world, "events", 0, "a", "b", "c")
    log = world.log()
    log.trim("events", 0, offsets[2])

    for position in (offsets[1], log.end_offset("events", 0) + 10):
        transport = world.join()
        with pytest.raises(OffsetOutOfRangeError):
            Worker(transport).start(0, events=position).drain(0)
        transport.close()


def test_a_commit_puts_outputs_positions_and_note_on_the_log(world: World) -> None:
    append(world, "events", 0, "a", "b")
    worker = Worker(world.join()).start(0, 1)
    worker.drain(0, 1)
    position = worker.position[0, "events"]
    outputs = [(role, record(f"{role}-{number}")) for number in range(3) for role in OUTPUTS]

    worker.transport.commit([step(0, outputs, note="7 ✓", events=position)])

    log = world.log()
    for role in OUTPUTS:
        expect(log, role, 0, [f"{role}-{number}" for number in range(3)])
        expect(log, role, 1, [])
    assert log.committed(0) == Committed(at(events=position), "7 ✓")
    assert worker.transport.committed(0) == log.committed(0)
    assert log.committed(1) is None


def test_several_shards_commit_together_and_the_latest_commit_counts(world: World) -> None:
    append(world, "events", 0, "a", "b")
    append(world, "labels", 1, "c")
    worker = Worker(world.join()).start(0, 1)
    worker.drain(0, 1)
    events, labels = worker.position[0, "events"], worker.position[1, "labels"]

    worker.transport.commit([step(0, [("journal", record("j0"))], "1", events=1)])
    worker.transport.commit(
        [
            step(0, [("journal", record("j1"))], "2", events=events),
            step(1, [("journal", record("k0")), ("alerts", record("k"))], "1", labels=labels),
        ]
    )
    worker.transport.commit([step(1, [], "2", labels=labels)])

    log = world.log()
    assert log.committed(0) == Committed(at(events=events), "2")
    assert log.committed(1) == Committed(at(labels=labels), "2")
    expect(log, "journal", 0, ["j0", "j1"])
    expect(log, "journal", 1, ["k0"])
    expect(log, "alerts", 1, ["k"])


def test_a_failed_commit_leaves_nothing_of_any_shard_and_spends_the_transport(
    world: World,
) -> None:
    # given a worker with a commit behind it
    (offset, _) = append(world, "events", 0, "a", "b")
    transport = Worker(world.join()).start(0, 1).transport
    transport.commit([step(0, [("predictions", record("kept"))], "1", events=offset + 1)])

    # when the second shard's part of a commit cannot be written
    too_long = "n" * (MAX_NOTE_BYTES + 1)
    with pytest.raises(CommitFailedError):
        transport.commit(
            [
                step(0, [("predictions", record("lost"))], "2", events=offset + 2),
                step(1, [("predictions", record("lost"))], too_long),
            ]
        )

    # then nothing of either is there, and this transport does nothing any more
    log = world.log()
    expect(log, "predictions", 0, ["kept"])
    expect(log, "predictions", 1, [])
    assert log.committed(0) == Committed(at(events=offset + 1), "1")
    assert log.committed(1) is None
    with pytest.raises(TransportClosedError):
        transport.poll(0, 1)
    transport.close()

    # and the next one goes on from what was committed
    worker = Worker(world.join()).start(0, events=offset + 1)
    assert worker.take(0, "events", 1) == ["b"]
    worker.transport.commit([step(0, [("predictions", record("again"))], "2", events=offset + 2)])
    expect(log, "predictions", 0, ["kept", "again"])


def test_what_a_dead_worker_had_not_committed_comes_again(world: World) -> None:
    offsets = append(world, "events", 0, "a", "b", "c")
    worker = Worker(world.join()).start(0)
    worker.take(0, "events", 3)
    worker.transport.commit([step(0, [], "1", events=offsets[0] + 1)])

    world.kill(worker.transport)

    heir = Worker(world.join())
    committed = world.log().committed(0)
    assert committed is not None
    heir.start(0, **committed.positions)
    assert heir.take(0, "events", 2) == ["b", "c"]


def test_of_two_workers_one_is_refused_while_others_read_and_append(world: World) -> None:
    worker = Worker(world.join()).start(0)

    try:
        second = Worker(world.join())
    except WorkerRunningError:
        # The log has one worker: it goes on, and the next may come when it has left.
        append(world, "events", 0, "beside")
        worker.transport.commit([step(0, [("journal", record("first"))], "1")])
        written = ["first", "second"]
        worker.transport.close()
        second = Worker(world.join()).start(0)
    else:
        # The newcomer takes the slot over: nothing of the first is written any more.
        second.start(0)
        append(world, "events", 0, "beside")
        with pytest.raises(CommitFailedError):
            worker.transport.commit([step(0, [("journal", record("first"))], "1")])
        written = ["second"]
        worker.transport.close()

    assert second.take(0, "events", 1) == ["beside"]
    second.transport.commit([step(0, [("journal", record("second"))], "2")])
    expect(world.log(), "journal", 0, written)


def test_a_worker_appends_beside_its_steps(world: World) -> None:
    worker = Worker(world.join()).start(0)

    worker.transport.append([("status", 0, record("up", "0")), ("events", 0, record("self"))])

    assert worker.take(0, "events", 1) == ["self"]
    expect(world.log(), "status", 0, ["up"])
    assert worker.transport.partitions() == 2
    expect(worker.transport, "status", 0, ["up"])


def test_a_closed_transport_does_nothing(world: World) -> None:
    transport = Worker(world.join()).start(0).transport

    transport.close()
    transport.close()
    transport.interrupt()

    for use in (
        lambda: transport.poll(0, 1),
        lambda: transport.start(0, at()),
        lambda: transport.commit([step(0, [], "1")]),
    ):
        with pytest.raises(LogError):
            use()
    assert world.log().committed(0) is None

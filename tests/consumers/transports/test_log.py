"""What any process gets from a log, the same from each of the three."""

import time
from collections.abc import Callable

import pytest

from consumers.errors import (
    OffsetOutOfRangeError,
    PartitionCountError,
    RecordRefusedError,
    TopicsMissingError,
)
from consumers.record import NewRecord
from consumers.transport import INPUTS, MAX_AHEAD_MS, STATUS, TOPICS, Log
from tests.consumers.transports.worlds import World, record, values


def read_values(log: Log, topic: str, partition: int, start: int = 0) -> list[str]:
    return values(list(log.read(topic, partition, start)))


def test_before_its_topics_exist_every_use_of_a_log_says_so(new_world: Callable[[], World]) -> None:
    world = new_world()
    log = world.log()

    for use in (
        log.partitions,
        world.join,
        lambda: log.append([("events", 0, record("e"))]),
        lambda: log.read("events", 0, 0),
        lambda: log.end_offset("events", 0),
        lambda: log.committed(0),
    ):
        with pytest.raises(TopicsMissingError):
            use()


def test_topics_are_made_once_and_their_partition_count_is_fixed(
    new_world: Callable[[], World],
) -> None:
    # given a log made twice with one count
    world = new_world()
    world.log().create_topics(2)
    world.log().create_topics(2)

    # when another count is asked for, then it is refused and nothing changes
    with pytest.raises(PartitionCountError):
        world.log().create_topics(3)
    log = world.log()
    assert log.partitions() == 2
    assert [log.begin_offset(topic, 1) for topic in TOPICS] == [0] * len(TOPICS)
    assert [log.end_offset(topic, 1) for topic in TOPICS] == [0] * len(TOPICS)
    assert [log.committed(shard) for shard in range(2)] == [None, None]


def test_every_byte_of_a_record_comes_back(world: World) -> None:
    now_ms = time.time_ns() // 1_000_000
    binary = bytes(range(256))
    written = [
        NewRecord(b"value", b"key", (("name", b"value"),), now_ms - 5),
        NewRecord(None, None, (), now_ms - 1_000_000_000),
        NewRecord(b"", b"", (("", b""), ("", b"")), now_ms + MAX_AHEAD_MS - 60_000),
        NewRecord(binary, binary, (("é\x00\x01\x02", binary), ("b", b"\x01\x02\x00\x01\x03"))),
        NewRecord(b"x" * 900_000, None, (("a", b"\x00"),)),
    ]
    log = world.log()

    offsets = log.append(
        [(topic, 1, new) for topic in TOPICS if topic != STATUS for new in written]
    )

    for index, topic in enumerate(topic for topic in TOPICS if topic != STATUS):
        read = list(log.read(topic, 1, 0))
        first = index * len(written)
        assert [r.offset for r in read] == offsets[first : first + len(written)]
        assert [(r.topic, r.partition) for r in read] == [(topic, 1)] * len(written)
        assert [(r.value, r.key, r.headers) for r in read] == [new[:3] for new in written]
        assert [r.timestamp_ms for r in read[:3]] == [new.timestamp_ms for new in written[:3]]
        assert read_values(log, topic, 0) == []


def test_records_are_stamped_when_written_and_stamps_never_go_back(world: World) -> None:
    log = world.log()
    before_ms = time.time_ns() // 1_000_000
    for number in range(5):
        log.append([("events", 0, record(str(number)))])
    after_ms = time.time_ns() // 1_000_000

    stamps = [r.timestamp_ms for r in log.read("events", 0, 0)]

    assert stamps == sorted(stamps)
    assert before_ms <= stamps[0] and stamps[-1] <= after_ms


@pytest.mark.parametrize("role", INPUTS)
def test_an_append_is_all_or_nothing_and_an_input_from_the_future_is_refused(
    world: World, role: str
) -> None:
    # given a record stamped over an hour ahead among others, on another partition
    log = world.log()
    ahead_ms = time.time_ns() // 1_000_000 + MAX_AHEAD_MS + 60_000

    # when they are appended
    with pytest.raises(RecordRefusedError):
        log.append(
            [
                ("events", 0, record("first")),
                (role, 1, NewRecord(b"ahead", timestamp_ms=ahead_ms)),
                ("labels", 1, record("last")),
            ]
        )

    # then none is there, and the log can be used on
    offsets = log.append([("events", 0, record("next")), ("labels", 1, record("too"))])
    assert len(offsets) == 2
    assert read_values(log, "events", 0) == ["next"]
    assert read_values(log, "labels", 1) == ["too"]
    assert read_values(log, role, 1) == (["too"] if role == "labels" else [])


def test_an_append_keeps_the_order_of_each_partition_and_gives_every_offset(world: World) -> None:
    log = world.log()
    records = [
        (topic, partition, record(f"{topic}-{partition}-{number}"))
        for number in range(3)
        for topic in ("labels", "events")
        for partition in (1, 0)
    ]

    offsets = log.append(records) + log.append(records)

    for topic in ("labels", "events"):
        for partition in (0, 1):
            expected = [
                (offset, new.value)
                for offset, (to, where, new) in zip(offsets, records * 2, strict=True)
                if (to, where) == (topic, partition)
            ]
            read = log.read(topic, partition, 0)
            assert [(r.offset, r.value) for r in read] == expected
            assert log.end_offset(topic, partition) > expected[-1][0]


def test_a_range_read_gives_what_lies_in_it(world: World) -> None:
    log = world.log()
    offsets = log.append([("journal", 0, record(str(number))) for number in range(10)])
    end = log.end_offset("journal", 0)

    def read(start: int, stop: int | None = None) -> list[str]:
        return values(list(log.read("journal", 0, start, stop)))

    assert read(0) == [str(number) for number in range(10)]
    assert read(offsets[3], offsets[6]) == ["3", "4", "5"]
    assert read(offsets[9]) == ["9"]
    assert read(offsets[8], end + 100) == ["8", "9"]
    assert read(offsets[3], offsets[3]) == []
    assert read(offsets[6], offsets[3]) == []
    assert read(end) == []
    assert read(end + 100) == []


def test_a_read_ends_where_the_log_ended_when_it_was_asked_for(world: World) -> None:
    log = world.log()
    log.append([("events", 0, record("before"))])

    read = log.read("events", 0, 0)
    log.append([("events", 0, record("after"))])

    assert values(list(read)) == ["before"]
    assert read_values(log, "events", 0) == ["before", "after"]


def test_trimming_deletes_what_is_older_and_reading_it_is_an_error(world: World) -> None:
    log = world.log()
    offsets = log.append([("events", 1, record(str(number))) for number in range(6)])
    end = log.end_offset("events", 1)

    # when trimmed, and then trimmed less
    log.trim("events", 1, offsets[4])
    log.trim("events", 1, offsets[2])

    # then the begin offset stands at the higher, and only the rest can be read
    assert log.begin_offset("events", 1) == offsets[4]
    assert log.end_offset("events", 1) == end
    assert read_values(log, "events", 1, offsets[4]) == ["4", "5"]
    assert list(log.read("events", 1, 0, 0)) == []
    with pytest.raises(OffsetOutOfRangeError) as caught:
        log.read("events", 1, offsets[3])
    assert (caught.value.offset, caught.value.begin) == (offsets[3], offsets[4])
    with pytest.raises(OffsetOutOfRangeError):
        log.trim("events", 1, end + 1)

    # and all of it can go, and the offsets go on
    log.trim("events", 1, end)
    assert log.begin_offset("events", 1) == log.end_offset("events", 1) == end
    (next_offset,) = log.append([("events", 1, record("next"))])
    assert next_offset >= end
    assert read_values(world.log(), "events", 1, end) == ["next"]


def test_a_read_that_is_overtaken_by_a_trim_fails_rather_than_leave_out(world: World) -> None:
    log = world.log()
    count = 5_000
    offsets = log.append([("events", 0, record(str(number))) for number in range(count)])
    read = log.read("events", 0, 0)
    seen = [next(read)]

    log.trim("events", 0, offsets[-1])

    try:
        seen.extend(read)
    except OffsetOutOfRangeError:
        pass
    else:
        assert len(seen) == count
    assert values(seen) == [str(number) for number in range(len(seen))]


def test_several_reads_can_be_under_way_at_once_and_be_dropped(world: World) -> None:
    log = world.log()
    log.append([(role, 0, record(f"{role}{n}")) for role in INPUTS for n in range(3)])

    reads = [log.read(role, 0, 0) for role in INPUTS]
    rows = [values([next(read) for read in reads]) for _ in range(2)]
    del reads

    assert rows == [[f"{role}{n}" for role in INPUTS] for n in range(2)]
    assert read_values(log, "labels", 0) == ["labels0", "labels1", "labels2"]


def test_many_records_come_back_in_order(world: World) -> None:
    log = world.log()
    texts = [f"{number:06}" for number in range(5_000)]

    log.append([("labels", 0, record(text, key=text)) for text in texts])

    assert read_values(log, "labels", 0) == texts


def test_status_keeps_at_least_the_newest_of_each_key(world: World) -> None:
    log = world.log()
    for number in range(3):
        log.append([(STATUS, 0, record(f"{key}{number}", key)) for key in ("a", "b")])
    log.append([(STATUS, 0, record("a3", "a"))])

    newest = {r.key: r.value for r in log.read(STATUS, 0, log.begin_offset(STATUS, 0))}

    assert newest == {b"a": b"a3", b"b": b"b2"}


def test_closing_loses_nothing_and_can_be_done_twice(world: World) -> None:
    log = world.log()
    log.append([("alerts", 0, record("kept"))])

    log.close()
    log.close()

    assert read_values(world.log(), "alerts", 0) == ["kept"]

"""Ingest: each row once, resumable after any batch, where its events and labels meet."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from consumers.errors import CommitFailedError, FileError
from consumers.partitioning import partition_for
from consumers.record import NewRecord, Record
from consumers.transports.memory import MemoryLog
from stream import ingest as ingest_module
from stream.errors import ConfigurationError
from stream.file_stream import LabelSource
from stream.ingest import ingest
from tests.stream.builders import T0_MS, configuration, write_csv
from tests.stream.workers import worker

LATE = LabelSource("y", delay=timedelta(seconds=3))
CONFIGURATION = configuration()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(ingest_module, "BATCH_RECORDS", 7)
    monkeypatch.setattr(ingest_module, "_LOOK_BACK", 2)


def new_log(partitions: int = 1) -> MemoryLog:
    log = MemoryLog()
    log.create_topics(partitions)
    return log


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"id": f"e{number}", "time": T0_MS + number * 1000, "x": number * 0.5, "y": number % 2 == 0}
        for number in range(start, start + count)
    ]


def records(log: MemoryLog, topic: str) -> list[Record]:
    return [
        record
        for partition in range(log.partitions())
        for record in log.read(topic, partition, log.begin_offset(topic, partition))
    ]


def numbers(log: MemoryLog) -> Counter[int]:
    return Counter(
        int(dict(record.headers)["driftline-row"])
        for topic in ("events", "labels")
        for record in records(log, topic)
    )


def die_after(log: MemoryLog, appends: int, point: str) -> None:
    """Makes the log fail at `point` of the append after so many."""
    left = [appends]

    def fault(passed: str) -> None:
        if passed == point:
            left[0] -= 1
            if left[0] < 0:
                raise CommitFailedError("killed")

    log.faults = fault


@pytest.mark.parametrize("point", ["append.before", "append.after"])
@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("batches", [0, 1, 2, 5])
def test_after_a_kill_at_any_batch_it_goes_on_and_every_row_is_there_once(
    tmp_path, batches, partitions, point
):
    # given: 20 events and their labels
    path = write_csv(tmp_path / "rows.csv", rows(20))
    log = new_log(partitions)
    die_after(log, batches, point)
    with pytest.raises(CommitFailedError):
        ingest(log, CONFIGURATION, path, LATE)
    there = len(numbers(log))

    # when
    log.faults = lambda passed: None
    written, skipped = ingest(log, CONFIGURATION, path, LATE)

    # then
    assert (written, skipped) == (40 - there, there)
    assert numbers(log) == Counter(range(40))
    assert ingest(log, CONFIGURATION, path, LATE) == (0, 40)
    whole = new_log(partitions)
    ingest(whole, CONFIGURATION, path, LATE)
    for topic in ("events", "labels"):
        again, once = records(log, topic), records(whole, topic)
        assert [record.value for record in again] == [record.value for record in once]


def test_it_resumes_though_another_producer_appended_in_between(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(20))
    log = new_log()
    die_after(log, 2, "append.before")
    with pytest.raises(CommitFailedError):
        ingest(log, CONFIGURATION, path, LATE)
    log.faults = lambda passed: None
    theirs = [("events", 0, NewRecord(b"theirs %d" % number)) for number in range(30)]
    log.append(theirs)
    log.append([("labels", 0, NewRecord(b"theirs", b"k", (("driftline-row", b"999"),)))])
    assert ingest(log, CONFIGURATION, path, LATE) == (26, 14)


def test_a_second_file_is_ingested_beside_the_first_and_each_resumes_by_itself(tmp_path):
    one = write_csv(tmp_path / "one.csv", rows(10))
    two = write_csv(tmp_path / "two.csv", rows(5, start=10))
    log = new_log()
    assert ingest(log, CONFIGURATION, one, LATE) == (20, 0)
    assert ingest(log, CONFIGURATION, two, LATE) == (10, 0)
    assert ingest(log, CONFIGURATION, one, LATE) == (0, 20)
    assert ingest(log, CONFIGURATION, two, LATE) == (0, 10)


def test_a_file_that_has_grown_is_taken_up_where_it_ended(tmp_path):
    configured = configuration(events={"id": "id", "time": "time", "label": "y"})
    path = write_csv(tmp_path / "rows.csv", rows(10))
    log = new_log()
    ingest(log, configured, path, LabelSource())
    write_csv(path, rows(13))
    assert ingest(log, configured, path, LabelSource()) == (3, 10)
    assert [record.key for record in records(log, "events")][-1] == b"e12"


@pytest.mark.parametrize("changed", ["grown", "delayed", "edited"])
def test_a_file_whose_records_stand_elsewhere_now_is_refused_and_nothing_is_written(
    tmp_path, changed
):
    # given a file whose labels come after its events, so that rows added later would stand among
    # records that were numbered without them
    path = write_csv(tmp_path / "rows.csv", rows(10))
    log = new_log()
    ingest(log, CONFIGURATION, path, LATE)
    before = records(log, "events"), records(log, "labels")

    # when it grows, its labels come at other times, or its last row is another
    labels = LabelSource("y", delay=timedelta(seconds=0)) if changed == "delayed" else LATE
    now = rows(13) if changed == "grown" else rows(10)
    if changed != "grown":
        now[-1]["y"] = not now[-1]["y"]
    write_csv(path, now)

    # then going on by number would lose events
    with pytest.raises(ConfigurationError, match="ingested up to its record 19"):
        ingest(log, CONFIGURATION, path, labels)
    assert (records(log, "events"), records(log, "labels")) == before


def test_an_event_and_its_label_lie_in_the_partition_of_their_key(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(40))
    log = new_log(4)
    ingest(log, CONFIGURATION, path, LATE)
    used = set()
    for topic in ("events", "labels"):
        for record in records(log, topic):
            assert record.key is not None
            assert record.partition == partition_for(record.key, 4)
            used.add(record.partition)
    assert used == {0, 1, 2, 3}
    events = {record.key: record.partition for record in records(log, "events")}
    assert events == {record.key: record.partition for record in records(log, "labels")}


def test_labels_go_where_their_events_do_also_with_a_key_of_another_column(tmp_path):
    keyed = [{**row, "shop": f"s{number % 3}"} for number, row in enumerate(rows(12))]
    path = write_csv(tmp_path / "rows.csv", keyed)
    log = new_log(3)
    ingest(log, configuration(events={"id": "id", "time": "time", "key": "shop"}), path, LATE)
    assert {record.key for record in records(log, "labels")} == {b"s0", b"s1", b"s2"}
    for record in records(log, "labels"):
        assert record.partition == partition_for(record.key or b"", 3)


def test_events_and_labels_of_many_shards_meet_when_they_run(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(40))
    log = new_log(3)
    ingest(log, CONFIGURATION, path, LATE)
    with worker(log) as one:
        one.run_until_idle()
        parts = [runner.shard.parts for runner in one.runners.values()]
    assert sum(part.counters.joined for part in parts) == 40
    assert [part.counters.dead_letters for part in parts] == [{}, {}, {}]


def test_without_an_id_rows_go_round_the_partitions(tmp_path):
    configured = configuration(events={"id": None, "time": "time", "label": "y"})
    log = new_log(3)
    ingest(log, configured, write_csv(tmp_path / "rows.csv", rows(9)), LabelSource())
    assert [log.end_offset("events", partition) for partition in range(3)] == [3, 3, 3]


def test_each_record_carries_its_time_its_number_and_its_file(tmp_path):
    # given: labels that become known between the events, in the order of their times
    path = write_csv(tmp_path / "rows.csv", rows(6))
    log = new_log()
    ingest(log, CONFIGURATION, path, LATE)
    merged = sorted(
        (int(headers["driftline-row"]), record.topic, record.key, headers)
        for topic in ("events", "labels")
        for record in records(log, topic)
        if (headers := dict(record.headers))
    )
    # By hand: e4 comes with the label of e1 and goes first.
    assert [(topic[0], key) for _, topic, key, _ in merged] == [
        ("e", b"e0"),
        ("e", b"e1"),
        ("e", b"e2"),
        ("e", b"e3"),
        ("l", b"e0"),
        ("e", b"e4"),
        ("l", b"e1"),
        ("e", b"e5"),
        ("l", b"e2"),
        ("l", b"e3"),
        ("l", b"e4"),
        ("l", b"e5"),
    ]
    assert merged[4][3]["driftline-time"] == b"%d" % (T0_MS + 3000)
    (file,) = {headers["driftline-file"] for *_, headers in merged}
    assert file.startswith(b"rows.csv:")


def test_another_file_of_the_same_name_is_ingested_and_one_that_grew_is_resumed(tmp_path):
    # given a file that is on the log
    log = new_log()
    path = tmp_path / "events.csv"
    ingest(log, configuration(), write_csv(path, rows(3)), LabelSource())

    # when it grows, only what is new is written
    assert ingest(log, configuration(), write_csv(path, rows(5)), LabelSource()) == (2, 3)

    # when the next day brings another of the same name, it is written whole
    other = [{**row, "id": f"next-{row['id']}"} for row in rows(4)]
    assert ingest(log, configuration(), write_csv(path, other), LabelSource()) == (4, 0)


def test_rows_without_a_time_come_when_they_are_appended(tmp_path):
    configured = configuration(events={"id": None, "time": None, "label": "y"})
    log = new_log()
    ingest(log, configured, write_csv(tmp_path / "rows.csv", rows(3)), LabelSource())
    for record in records(log, "events"):
        assert "driftline-time" not in dict(record.headers)


def test_it_can_stop_before_a_time_and_goes_on_from_there(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(20))
    whole, log = new_log(), new_log()
    ingest(whole, CONFIGURATION, path, LATE)

    first = ingest(log, CONFIGURATION, path, LATE, until_ms=T0_MS + 10_000)
    held = [records(log, topic)[-1].value for topic in ("events", "labels")]
    rest = ingest(log, CONFIGURATION, path, LATE)

    # Events of the seconds 0 to 9, and the labels that came 3 s after the first seven of them.
    assert first == (17, 0)
    assert held == [records(whole, "events")[9].value, records(whole, "labels")[6].value]
    assert rest == (23, 17)
    for topic in ("events", "labels"):
        assert [r.value for r in records(log, topic)] == [r.value for r in records(whole, topic)]


def test_a_rate_bounds_the_batches_and_spreads_them_over_time(tmp_path, monkeypatch):
    # given: a clock that moves only while ingest sleeps
    now_s, slept = [0.0], []

    def sleep(seconds_s: float) -> None:
        slept.append(seconds_s)
        now_s[0] += seconds_s

    monkeypatch.setattr("stream.ingest.time.monotonic", lambda: now_s[0])
    monkeypatch.setattr("stream.ingest.time.sleep", sleep)
    progress: list[tuple[int, int]] = []
    path = write_csv(tmp_path / "rows.csv", rows(20))
    log = new_log()
    ingest(log, CONFIGURATION, path, LATE, rate=50, on_progress=lambda *at: progress.append(at))
    assert now_s[0] == pytest.approx(40 / 50)
    assert [written for written, _ in progress] == [5, 10, 15, 20, 25, 30, 35, 40]


@pytest.mark.parametrize(
    ("fields", "labels", "words"),
    [
        ({"events": {"id": "id", "time": "time", "label": "z"}}, LabelSource("y"), "events.label"),
        ({}, LabelSource("y"), "events.label"),
        ({"events": {"id": "id", "time": "time", "label": "y"}}, LATE, "come with their events"),
        ({"events": {"id": None, "time": "time"}}, LATE, "joined by id"),
        ({"events": {"id": "id", "time": None}}, LATE, "events.time"),
        ({}, LabelSource(delay=timedelta(1)), "no label"),
    ],
)
def test_labels_that_would_not_meet_their_events_are_refused_before_anything_is_written(
    tmp_path, fields, labels, words
):
    log = new_log()
    path = write_csv(tmp_path / "rows.csv", rows(3))
    with pytest.raises(ConfigurationError, match=words) as caught:
        ingest(log, configuration(**fields), path, labels)
    assert caught.value.hint
    assert records(log, "events") == []


@pytest.mark.parametrize("column", ["id", "time", "y", "x", "shop"])
def test_a_file_without_a_column_that_is_needed_is_refused(tmp_path, column):
    configured = configuration(
        events={"id": "id", "time": "time", "label": "y", "features": ["x"], "key": "shop"}
    )
    path = write_csv(
        tmp_path / "rows.csv",
        [
            {name: value for name, value in {**row, "shop": "s"}.items() if name != column}
            for row in rows(3)
        ],
    )
    with pytest.raises(FileError, match=f"column '{column}'"):
        ingest(new_log(), configured, path, LabelSource())

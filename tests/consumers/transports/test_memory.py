"""What only the log in memory does: it fails where it is told to, and its clock is given."""

import pytest

from consumers.errors import CommitFailedError, TransportClosedError, WorkerRunningError
from consumers.record import NewRecord
from consumers.transports.memory import FAULT_POINTS, MemoryLog
from tests.consumers.transports.worlds import Worker, record, step, values


class CrashError(Exception):
    """What the simulated process dies of."""


def memory_log() -> MemoryLog:
    log = MemoryLog()
    log.create_topics(1)
    return log


def crash_at(log: MemoryLog, point: str) -> None:
    def fail(passed: str) -> None:
        assert passed in FAULT_POINTS
        if passed == point:
            raise CrashError(point)

    log.faults = fail


@pytest.mark.parametrize(
    ("point", "written"), [("commit.before", []), ("commit.after", ["prediction"])]
)
def test_a_commit_fails_before_or_after_all_of_it_is_written(
    point: str, written: list[str]
) -> None:
    # given
    log = memory_log()
    transport = Worker(log.join()).start(0).transport
    crash_at(log, point)

    # when
    with pytest.raises(CrashError):
        transport.commit([step(0, [("predictions", record("prediction"))], "1")])

    # then
    assert values(list(log.read("predictions", 0, 0))) == written
    assert (log.committed(0) is not None) == bool(written)
    with pytest.raises(TransportClosedError):
        transport.poll(0, 1)


@pytest.mark.parametrize(("point", "written"), [("append.before", []), ("append.after", ["a"])])
def test_an_append_fails_before_or_after_all_of_it_is_written(
    point: str, written: list[str]
) -> None:
    log = memory_log()
    crash_at(log, point)

    with pytest.raises(CrashError):
        log.append([("events", 0, record("a"))])

    assert values(list(log.read("events", 0, 0))) == written


def test_a_poll_can_fail_too() -> None:
    log = memory_log()
    transport = log.join()
    crash_at(log, "poll")

    with pytest.raises(CrashError):
        transport.poll(0, 1)


def test_a_killed_worker_that_comes_back_writes_nothing() -> None:
    # given a worker that was declared dead, and its heir
    log = memory_log()
    zombie = Worker(log.join()).start(0).transport
    with pytest.raises(WorkerRunningError):
        log.join()
    log.kill_worker()
    heir = Worker(log.join()).start(0).transport

    # when the dead one commits, then it is refused, and its closing does not hurt the heir
    with pytest.raises(CommitFailedError):
        zombie.commit([step(0, [("journal", record("zombie"))], "1")])
    zombie.close()
    heir.commit([step(0, [("journal", record("heir"))], "1")])
    assert values(list(log.read("journal", 0, 0))) == ["heir"]


def test_stamps_are_those_of_the_given_clock_and_never_go_back() -> None:
    times = iter([5_000, 3_000, 7_000])
    log = MemoryLog(clock_ms=lambda: next(times), max_ahead_ms=None)
    log.create_topics(1)

    log.append([("events", 0, record("a"))])
    log.append([("events", 0, record("b")), ("events", 0, NewRecord(b"c", timestamp_ms=2**60))])
    Worker(log.join()).start(0).transport.commit([step(0, [("alerts", record("d"))], "1")])

    assert [r.timestamp_ms for r in log.read("events", 0, 0)] == [5_000, 5_000, 2**60]
    assert [r.timestamp_ms for r in log.read("alerts", 0, 0)] == [7_000]


def test_trimmed_commits_keep_the_stamps_of_the_rest() -> None:
    times = iter(range(1_000, 9_000, 1_000))
    log = MemoryLog(clock_ms=lambda: next(times))
    log.create_topics(1)
    transport = Worker(log.join()).start(0).transport
    for number in range(4):
        transport.commit([step(0, [("journal", record(f"{number}{n}")) for n in range(2)], "n")])

    log.trim("journal", 0, 3)

    read = [(r.offset, r.timestamp_ms, r.value) for r in log.read("journal", 0, 3)]
    assert read == [
        (3, 2_000, b"11"),
        (4, 3_000, b"20"),
        (5, 3_000, b"21"),
        (6, 4_000, b"30"),
        (7, 4_000, b"31"),
    ]

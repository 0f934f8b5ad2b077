"""What only the log in a file can suffer: killed processes, full disks, other people's files."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consumers.errors import (
    LogFullError,
    LogUnavailableError,
    LogUnreadableError,
    TopicsMissingError,
    WorkerRunningError,
)
from consumers.record import NewRecord
from consumers.transport import Committed, Log
from consumers.transports.sqlite import SqliteLog, SqliteTransport
from tests.consumers.transports.worlds import Worker, at, record, step, values

ROOT = Path(__file__).resolve().parents[3]

PRELUDE = """
import os, sys, time
from consumers.record import NewRecord
from consumers.transport import StepCommit
from consumers.transports.sqlite import SqliteLog, SqliteTransport
path = sys.argv[1]
def say(word):
    print(word, flush=True)
def step(shard, outputs, note):
    return StepCommit(shard, outputs, {"events": 0, "labels": 0, "commands": 0}, note)
"""

IN_A_COMMIT = """
class Waiting(list):
    def __iter__(self):
        say("inside")  # the first step has been written, the transaction is open
        time.sleep(60)
        return iter(())
transport = SqliteTransport(path, "flights")
transport.commit([step(0, [("journal", NewRecord(b"kept"))], "1")])
transport.commit([
    step(0, [("journal", NewRecord(b"lost"))] * 5_000, "2"), step(1, Waiting(), "2"),
])
"""

COMMITTING = """
transport = SqliteTransport(path, "flights")
number = 0
while True:
    number += 1
    outputs = [("journal", NewRecord(b"%d" % number))] * 20
    transport.commit([step(0, outputs, str(number)), step(1, outputs, str(number))])
    say(number)
"""

APPENDING = """
log = SqliteLog(path, "flights")
for number in range(100):
    log.append([("events", 0, NewRecord(b"%d" % number, sys.argv[2].encode())) for _ in range(3)])
"""

FORKING = """
transport = SqliteTransport(path, "flights")
if os.fork() == 0:
    say(os.getpid())
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "flights.db"
    SqliteLog(path, "flights").create_topics(2)
    return path


@contextmanager
def process(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        (sys.executable, "-c", PRELUDE + script, *map(str, arguments)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def journal(log: Log, shard: int) -> list[str]:
    return values(list(log.read("journal", shard, 0)))


def test_a_process_killed_in_a_commit_leaves_nothing_of_it_and_frees_the_log(path: Path) -> None:
    # given a worker with a commit behind it, and another one half written
    with process(IN_A_COMMIT, path) as child:
        assert line(child) == "inside"

        # then readers see the first alone, and a second worker is told who works here
        log = SqliteLog(path, "flights")
        assert journal(log, 0) == ["kept"]
        with pytest.raises(WorkerRunningError, match=f"process {child.pid} on ") as caught:
            SqliteTransport(path, "flights")
        assert caught.value.hint is not None

        # when it is killed
        child.kill()
        child.wait()

    # then nothing of the second commit is there, and the next worker starts at once
    assert journal(log, 0) == ["kept"]
    assert log.committed(0) == Committed(at(), "1")
    assert log.committed(1) is None
    worker = Worker(SqliteTransport(path, "flights")).start(0, 1)
    worker.transport.commit([step(0, [("journal", record("next"))], "2")])
    assert journal(log, 0) == ["kept", "next"]
    worker.transport.close()


@pytest.mark.parametrize("commits", [1, 3, 8])
def test_wherever_a_process_is_killed_its_commits_are_whole(path: Path, commits: int) -> None:
    with process(COMMITTING, path) as child:
        confirmed = 0
        while confirmed < commits:
            confirmed = int(line(child))
        child.kill()
        child.wait()

    log = SqliteLog(path, "flights")
    committed = log.committed(0)
    assert committed is not None
    last = int(committed.note)
    assert last >= confirmed
    assert log.committed(1) == committed
    for shard in (0, 1):
        assert journal(log, shard) == [str(n) for n in range(1, last + 1) for _ in range(20)]


def test_a_worker_s_lock_is_not_kept_by_its_children(path: Path) -> None:
    with process(FORKING, path) as child:
        grandchild = int(line(child))
        with pytest.raises(WorkerRunningError):
            SqliteTransport(path, "flights")

        child.kill()
        os.waitpid(child.pid, 0)

        # The grandchild still sleeps and holds what it inherited, but not the lock.
        try:
            SqliteTransport(path, "flights").close()
        finally:
            os.kill(grandchild, signal.SIGKILL)


def test_several_processes_append_beside_a_worker_without_loss(path: Path) -> None:
    worker = Worker(SqliteTransport(path, "flights")).start(0)
    with process(APPENDING, path, "a") as first, process(APPENDING, path, "b") as second:
        texts = worker.take(0, "events", 600, max_records=70)
        assert first.wait() == second.wait() == 0

    worker.drain(0)
    assert not worker.records[0, "events"]
    assert sorted(texts) == sorted(str(n) for n in range(100) for _ in range(6))
    read = list(SqliteLog(path, "flights").read("events", 0, 0))
    assert values(read) == texts
    assert [r.offset for r in read] == list(range(600))
    for key in (b"a", b"b"):
        mine = [int(r.value or b"") for r in read if r.key == key]
        assert mine == sorted(mine)
    worker.transport.close()


def test_a_symbolic_link_leads_to_the_same_lock(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    transport = SqliteTransport(link, "flights")

    with pytest.raises(WorkerRunningError):
        SqliteTransport(path, "flights")

    transport.close()
    SqliteTransport(path, "flights").close()


def test_a_file_of_two_names_is_refused(path: Path) -> None:
    path.with_name("other.db").hardlink_to(path)

    with pytest.raises(LogUnreadableError, match="2 names"):
        SqliteTransport(path, "flights")


def test_a_full_disk_fails_a_commit_and_leaves_the_log_readable(path: Path) -> None:
    # given a worker whose file may not grow
    transport = SqliteTransport(path, "flights")
    transport.commit([step(0, [("journal", record("kept"))], "1")])
    allow_pages(transport, 40)
    large = [("predictions", NewRecord(b"x" * 1_000))] * 1_000

    # when a commit needs more
    with pytest.raises(LogFullError) as caught:
        transport.commit([step(0, [("journal", record("lost"))], "2"), step(1, large, "2")])

    # then it has written nothing, and readers, and the next worker with more space, go on
    assert caught.value.hint is not None
    log = SqliteLog(path, "flights")
    assert journal(log, 0) == ["kept"]
    assert log.committed(0) == Committed(at(), "1")
    assert log.committed(1) is None
    transport.close()
    heir = SqliteTransport(path, "flights")
    heir.commit([step(1, large, "2")])
    assert len(list(log.read("predictions", 1, 0))) == 1_000
    heir.close()


def test_a_full_disk_fails_an_append_and_the_log_can_be_used_on(path: Path) -> None:
    log = SqliteLog(path, "flights")
    log.append([("events", 0, record("kept"))])
    allow_pages(log, 40)

    with pytest.raises(LogFullError):
        log.append([("events", 0, NewRecord(b"x" * 1_000))] * 1_000)

    assert log.append([("events", 0, record("small"))]) == [1]
    assert values(list(log.read("events", 0, 0))) == ["kept", "small"]


def allow_pages(log: SqliteLog, pages: int) -> None:
    """The file may not grow beyond so many pages: SQLite reports it as it does a full disk."""
    log._db().execute(f"PRAGMA max_page_count = {pages}")


def test_looking_for_a_log_makes_nothing(tmp_path: Path) -> None:
    for use in (
        lambda: SqliteLog(tmp_path / "sub" / "no.db", "flights").partitions(),
        lambda: SqliteTransport(tmp_path / "no.db", "flights"),
    ):
        with pytest.raises(TopicsMissingError, match=r"no\.db"):
            use()

    assert list(tmp_path.iterdir()) == []


def foreign_text(path: Path) -> None:
    path.write_text("id,time\n1,2013-01-01\n" * 500)


def foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE records (id INTEGER)")
    db.close()


def newer_format(path: Path) -> None:
    SqliteLog(path, "flights").create_topics(1)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 2")
    db.close()


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (foreign_text, "is not a log"),
        (foreign_database, "is a database of another program"),
        (newer_format, "is of format 2; this driftline reads format 1"),
        (folder, "is not a file"),
    ],
)
def test_what_is_no_log_of_ours_is_refused_and_left_as_it_was(
    tmp_path: Path, make: object, reason: str
) -> None:
    path = tmp_path / "flights.db"
    assert callable(make)
    make(path)
    before = contents(tmp_path)

    for use in (
        lambda: SqliteLog(path, "flights").create_topics(1),
        lambda: SqliteLog(path, "flights").append([("events", 0, record("a"))]),
        lambda: SqliteTransport(path, "flights"),
    ):
        with pytest.raises(LogUnreadableError, match=reason) as caught:
            use()
        assert caught.value.hint is not None

    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes | None]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


def test_the_log_of_another_service_is_refused_and_left_as_it_was(path: Path) -> None:
    before = path.read_bytes()

    for use in (
        lambda: SqliteLog(path, "trains").create_topics(2),
        lambda: SqliteLog(path, "trains").append([("events", 0, record("a"))]),
        lambda: SqliteTransport(path, "trains"),
    ):
        with pytest.raises(LogUnreadableError, match="the log of 'flights', not of 'trains'"):
            use()

    assert path.read_bytes() == before
    SqliteTransport(path, "flights").close()


def test_a_damaged_log_says_so(path: Path) -> None:
    log = SqliteLog(path, "flights")
    log.append([("events", 0, record(str(number) * 50)) for number in range(1_000)])
    log.close()
    with path.open("r+b") as file:
        file.seek(4 * 8_192)
        file.write(b"\xff" * 8_192 * 4)

    with pytest.raises(LogUnreadableError, match="damaged") as caught:
        list(SqliteLog(path, "flights").read("events", 0, 0))
    assert caught.value.hint is not None


def test_a_log_left_in_the_middle_of_a_checkpoint_is_whole(path: Path) -> None:
    # given a log whose changes still stand in its journal, and the same a checkpoint later
    log = SqliteLog(path, "flights")
    texts = [f"{number:0100}" for number in range(1_000)]
    log.append([("events", 0, record(text)) for text in texts])
    left = path.with_name("left.db")
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{left}{suffix}")
    log.close()

    # when only the first page of that checkpoint has reached the file
    with left.open("r+b") as file:
        file.write(path.read_bytes()[:8_192])

    # then nothing is missing
    worker = Worker(SqliteTransport(left, "flights")).start(0)
    assert worker.take(0, "events", len(texts)) == texts
    worker.transport.close()


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(LogUnavailableError, match="file"):
        SqliteLog(tmp_path / "file" / "flights.db", "flights").create_topics(1)


def test_a_slow_reader_does_not_hold_up_checkpoints(path: Path) -> None:
    log = SqliteLog(path, "flights")
    log.append([("events", 0, record(str(number))) for number in range(3_000)])
    read = SqliteLog(path, "flights").read("events", 0, 0)
    next(read)

    # when 48 MB are written beside a reader that has not finished
    for _ in range(24):
        log.append([("labels", 0, NewRecord(b"x" * 1_000_000)) for _ in range(2)])

    # then the journal of changes has been folded into the file meanwhile
    assert path.with_name("flights.db-wal").stat().st_size < 24_000_000
    assert len(list(read)) == 2_999


def test_large_records_are_read_a_few_at_a_time(path: Path) -> None:
    log = SqliteLog(path, "flights")
    log.append([("events", 0, NewRecord(bytes([number]) * 1_000_000)) for number in range(80)])
    worker = Worker(SqliteTransport(path, "flights")).start(0)

    worker.poll(max_records=1_000)

    assert 16 <= len(worker.records[0, "events"]) < 80
    worker.drain(0)
    assert [(r.value or b"")[0] for r in worker.records[0, "events"]] == list(range(80))
    worker.transport.close()


def test_stamps_never_go_back_though_the_clock_does(path: Path) -> None:
    times = iter([5_000, 3_000, 7_000])
    log = SqliteLog(path, "flights", clock_ms=lambda: next(times))

    for text in ("a", "b", "c"):
        log.append([("events", 0, record(text))])

    assert [r.timestamp_ms for r in log.read("events", 0, 0)] == [5_000, 5_000, 7_000]
    log.close()

"""Nothing is lost on a real disk: workers of the SQLite log are killed with SIGKILL, and the file
is read back with sqlite3 alone.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from consumers.transports.sqlite import SqliteLog
from tests.simulation.oracle import expected
from tests.simulation.streams import Meant, draw_stream, ended

pytestmark = [pytest.mark.xdist_group("crash"), pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL
WAIT_MS = 600_000
SHARDS = 2
BOUNDARIES = (
    "polled",
    "applied",
    "commit.before",
    "written",
    "commit.after",
    "committed",
    "snapshot put",
    "published",
    "retired",
)


class Written(NamedTuple):
    """What one shard has put out, and its journal."""

    predictions: list[Any]
    alerts: list[Any]
    dead: list[tuple[str, int, str]]
    journal: list[Any]
    positions: tuple[int, ...]
    note: Any

    @property
    def digest(self) -> str:
        digest = self.journal[-1]["digest"]
        assert isinstance(digest, str)
        return digest


@dataclass
class Service:
    """A service in a folder of its own: its configuration, its log, its snapshots."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "service.yaml"

    @property
    def database(self) -> Path:
        return self.folder / "log.db"

    def written(self) -> list[Written]:
        """Every shard's results, read without any of the service's code."""
        db = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return [_written(db, shard) for shard in range(SHARDS)]
        finally:
            db.close()

    def journal(self, shard: int) -> list[Any]:
        """A shard's journal as it stands; empty before anything was committed."""
        db = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return [json.loads(value) for _, value, _ in _rows(db, "journal", shard)]
        finally:
            db.close()

    def entries(self) -> int:
        """How many journal entries there are by now."""
        db = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            (count,) = db.execute(
                "SELECT sum(next_offset) FROM partitions WHERE topic = 'journal'"
            ).fetchone()
            return int(count)
        finally:
            db.close()

    def stored(self, shard: int) -> set[str]:
        folder = self.folder / "snapshots"
        return {
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and path.parent.name == str(shard)
        }


class Driver:
    """The warmed process that workers are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stream.crash_driver"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def life(self, service: Service, *, poll_size: int = 11, **how: Any) -> int:
        """One worker's life; its exit code, `KILLED` if it was."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"config": str(service.config), "poll_size": poll_size, **how}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code = json.loads(self._process.stdout.readline())
        assert isinstance(code, int)
        return code

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def stream() -> list[Meant]:
    return ended(
        draw_stream(
            random.Random(11),
            task="binary",
            shards=SHARDS,
            events=500,
            wait_ms=WAIT_MS,
            inline=True,
        ),
        WAIT_MS,
    )


@pytest.fixture(scope="module")
def calm(
    driver: Driver, stream: list[Meant], tmp_path_factory: pytest.TempPathFactory
) -> list[Written]:
    """What a worker writes that nobody kills, in steps of another size."""
    service = _service(tmp_path_factory.mktemp("calm"), stream)
    assert driver.life(service, poll_size=300) == 0
    return service.written()


def test_an_uninterrupted_run_does_what_the_oracle_says(calm: list[Written], stream: list[Meant]):
    for shard, written in enumerate(calm):
        wanted = expected(
            [meant for meant in stream if meant.shard == shard], WAIT_MS, default=False
        )
        assert [source for source, _ in written.predictions] == wanted.predicted
        assert written.dead == wanted.dead
        assert written.alerts, "the stream drifts"


def test_killed_at_each_boundary_nothing_is_lost(
    driver: Driver, stream: list[Meant], calm: list[Written], tmp_path: Path
):
    rng = random.Random(3)
    for round_ in range(2):
        service = _service(tmp_path / str(round_), stream)
        for boundary in BOUNDARIES:
            code = driver.life(service, poll_size=5, boundary=boundary, nth=rng.randrange(1, 4))
            assert code == KILLED, f"no worker came to {boundary}"
            _check_published_exist(service)
        assert driver.life(service) == 0
        _check_same(service, calm, driver)


def test_killed_twenty_times_at_random_nothing_is_lost(
    driver: Driver, stream: list[Meant], calm: list[Written], tmp_path: Path
):
    _kill_at_random(driver, stream, calm, tmp_path, kills=20, seed=5)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(20))
def test_killed_a_hundred_times_at_random_nothing_is_lost(
    driver: Driver, stream: list[Meant], calm: list[Written], tmp_path: Path, seed: int
):
    _kill_at_random(driver, stream, calm, tmp_path, kills=100, seed=seed)


def test_the_command_line_survives_a_kill_and_leaves_nothing_to_replay_on_sigterm(
    driver: Driver, tmp_path: Path
):
    # Given a service with a long backlog
    stream = ended(
        draw_stream(
            random.Random(12),
            task="binary",
            shards=SHARDS,
            events=12_000,
            wait_ms=WAIT_MS,
            inline=True,
        ),
        WAIT_MS,
    )
    calm = _service(tmp_path / "calm", stream)
    assert driver.life(calm, poll_size=5_000) == 0
    # And no snapshot but the one of SIGTERM
    service = _service(tmp_path / "killed", stream, min_interval="1h")
    # When it is killed in the middle of it
    first = _run(service)
    _wait_for_entries(first, service, SHARDS * 2)
    first.kill()
    first.communicate()
    assert first.returncode == KILLED
    # And stopped with SIGTERM in the middle of the rest
    second = _run(service)
    done = service.entries()
    _wait_for_entries(second, service, done + SHARDS)
    second.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    _, said = second.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert second.returncode == 0, said
    assert _positions(service) != _positions(calm), "there was a backlog when it stopped"
    # Then the next one replays nothing
    third = _run(service, "--until-idle")
    _, said = third.communicate(timeout=60)
    assert third.returncode == 0, said
    assert said.count(" 0 records replayed") == SHARDS, said
    # And everything is as if nothing had been
    _check_same(service, calm.written(), driver)


def _kill_at_random(
    driver: Driver,
    stream: list[Meant],
    calm: list[Written],
    folder: Path,
    *,
    kills: int,
    seed: int,
) -> None:
    """Kills workers after random times until there were so many; a log worked to its end is
    checked, and another begun."""
    rng = random.Random(seed)
    killed = 0
    for number in itertools.count():
        service = _service(folder / str(number), stream)
        while killed < kills:
            code = driver.life(service, poll_size=5, delay_s=rng.uniform(0.01, 0.25))
            if code == 0:
                break
            assert code == KILLED
            _check_published_exist(service)
            killed += 1
        assert driver.life(service) == 0
        _check_same(service, calm, driver)
        if killed == kills:
            return


def _check_same(service: Service, calm: list[Written], driver: Driver) -> None:
    """The service's results are those of the uninterrupted run, and its store is as the journal
    says."""
    # One more clean start and stop, which deletes what nobody needs.
    assert driver.life(service) == 0
    for shard, (written, wanted) in enumerate(zip(service.written(), calm, strict=True)):
        assert written.predictions == wanted.predictions
        assert written.alerts == wanted.alerts
        assert written.dead == wanted.dead
        assert written.digest == wanted.digest
        assert written.positions == wanted.positions
        _check_journal(written)
        published = _published(written.journal)
        assert 1 <= len(published) <= 2
        stored = service.stored(shard)
        assert published <= stored
        newest = max(published).rpartition("-")[0]
        assert [key for key in stored - published if key.rpartition("-")[0] < newest] == []


def _check_published_exist(service: Service) -> None:
    """At no time is a published snapshot missing that has not been retired."""
    for shard in range(SHARDS):
        journal = service.journal(shard)
        assert _published(journal) <= service.stored(shard)


def _check_journal(written: Written) -> None:
    journal = written.journal
    assert [entry["sequence"] for entry in journal] == list(range(len(journal)))
    for before, after in itertools.pairwise(journal):
        assert after["start"] == before["end"]
    last = journal[-1]
    assert tuple(last["end"][topic] for topic in ("events", "labels", "commands")) == (
        written.positions
    )
    assert written.note == {"journal": last["journal"], "sequence": last["sequence"]}


def _published(journal: list[Any]) -> set[str]:
    keys: set[str] = set()
    for entry in journal:
        keys |= {named["key"] for named in entry.get("published", [])}
        keys -= set(entry.get("retired", []))
    return keys


def _service(folder: Path, stream: list[Meant], **snapshots: Any) -> Service:
    """A service whose log holds the stream."""
    folder.mkdir(exist_ok=True)
    service = Service(folder)
    content = {
        "name": "shop",
        "log": f"sqlite:{service.database}",
        "log_partitions": SHARDS,
        "events": {"id": "id", "time": "at", "label": "y"},
        "labels": {"wait": "10m"},
        "task": "binary",
        "model": ["preprocessing.StandardScaler", "linear_model.LogisticRegression"],
        "detectors": [
            {"name": "error", "signal": "error", "method": "ADWIN"},
            {"name": "a", "signal": "feature:a", "method": "PageHinkley", "threshold": 20},
        ],
        "snapshots": {
            "url": f"file:{folder / 'snapshots'}",
            **(snapshots or {"min_interval": "1ms", "every_events": 60}),
        },
    }
    service.config.write_text(yaml.safe_dump(content))
    # A log is filled once and copied: the same stamps in all, and no time lost.
    filled = folder.parent / f"filled-{len(stream)}.db"
    if not filled.exists():
        log = SqliteLog(filled, "shop")
        log.create_topics(SHARDS)
        log.append([meant.record() for meant in stream])
        log.close()
    shutil.copy(filled, service.database)
    return service


def _run(service: Service, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stream.cli.main", "run", str(service.config), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for_entries(process: subprocess.Popen[str], service: Service, count: int) -> None:
    """Returns when the journal has so many entries."""
    while service.entries() < count:
        assert process.poll() is None, process.communicate()
        # Only to leave the processor to the one who is waited for.
        time.sleep(0.005)


def _positions(service: Service) -> list[tuple[int, ...]]:
    return [written.positions for written in service.written()]


def _rows(db: sqlite3.Connection, topic: str, shard: int) -> list[tuple[Any, ...]]:
    """(key, value, headers) of every record."""
    (partition,) = db.execute(
        "SELECT id FROM partitions WHERE topic = ? AND partition = ?", (topic, shard)
    ).fetchone()
    return db.execute(
        "SELECT key, value, headers FROM records WHERE id >> 40 = ? ORDER BY id", (partition,)
    ).fetchall()


def _written(db: sqlite3.Connection, shard: int) -> Written:
    *positions, note = db.execute(
        "SELECT events, labels, commands, note FROM positions WHERE shard = ?", (shard,)
    ).fetchone()
    predictions = [(json.loads(value), key) for key, value, _ in _rows(db, "predictions", shard)]
    dead = []
    for _, _, blob in _rows(db, "dead-letters", shard):
        parts = [part.decode() for part in blob.split(b"\0")]
        headers = dict(zip(parts[::2], parts[1::2], strict=True))
        dead.append((headers["topic"], int(headers["offset"]), headers["reason"]))
    return Written(
        predictions=[(body["source"]["offset"], body) for body, _ in predictions],
        alerts=[(key, json.loads(value)) for key, value, _ in _rows(db, "alerts", shard)],
        dead=dead,
        journal=[json.loads(value) for _, value, _ in _rows(db, "journal", shard)],
        positions=tuple(positions),
        note=json.loads(note),
    )

"""Workers that come and go: restarted one after another, ended by SIGTERM, killed for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.kafka.conftest import Calm
from tests.integration.kafka.service import Service, make_service, stream_of
from tests.integration.kafka.workers import KILLED, ROOT, WorkerProcess, Workers

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("kafka-faults"),
    pytest.mark.timeout(600),
]

PATIENCE_S = 60.0
SIGTERM_S = 10.0
RESTART_S = 15.0
TAKEOVER_S = 30.0


def test_three_workers_are_restarted_one_after_another_and_no_shard_moves(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    _restart_in_turn(kafka, workers, calm, tmp_path, rounds=1, events=1_200)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_three_workers_are_restarted_one_after_another_ten_times(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    _restart_in_turn(kafka, workers, calm, tmp_path, rounds=10, events=20_000)


def _restart_in_turn(
    kafka: str, workers: Workers, calm: Calm, folder: Path, *, rounds: int, events: int
) -> None:
    # given three workers with a shard each and a long backlog
    stream = stream_of(3, events)
    service = make_service(folder, kafka, stream, 3)
    running = [workers.start(service, slot=slot, poll_records=2) for slot in range(3)]
    owned = {f"host-{slot}": [slot] for slot in range(3)}
    _wait(lambda: service.owners() == owned)
    for worker in running:
        worker.until(lambda worker=worker: _began(worker) > 0)  # type: ignore[misc]

    # when each is ended and started again
    for slot in [0, 1, 2] * rounds:
        others = running[:slot] + running[slot + 1 :]
        before = [_began(worker) for worker in others]
        running[slot].stop()
        running[slot] = workers.start(service, slot=slot, poll_records=2)
        running[slot].until_said("recovered")
        # then its shard is its own again, and the others' have not moved
        assert service.owners() == owned
        assert [_began(worker) for worker in others] == before
    assert not service.is_done(stream), "all of it was under load"

    # and everything is as if nothing had been
    running[0].until(lambda: service.is_done(stream))
    for worker in running:
        worker.stop()
    service.check(calm(3, events), stream)


def test_a_killed_worker_is_back_at_work_in_seconds_and_ends_by_sigterm(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    # given a service of default settings with a long backlog
    stream = stream_of(2, 8_000)
    service = make_service(
        tmp_path, kafka, stream, 2, snapshots={"url": f"file:{tmp_path / 'snapshots'}"}
    )
    # when it is killed in the middle of it, with a transaction open, and started again
    code = workers.life(service, poll_records=2_000, boundary="written", nth=5)
    assert code == KILLED
    done = service.entries()
    began_s = time.monotonic()
    second = _run(service)
    # More than what is left of that transaction: its records, aborted, and its markers.
    _wait(lambda: service.entries() > done + 4)
    restarted_s = time.monotonic() - began_s

    # and then ended in the middle of the rest
    began_s = time.monotonic()
    second.send_signal(signal.SIGTERM)
    _, said = second.communicate(timeout=PATIENCE_S)
    ended_s = time.monotonic() - began_s
    assert second.returncode == 0, said
    print(f"\nat work {restarted_s:.1f} s after a kill -9, ended {ended_s:.1f} s after SIGTERM")

    # then both were quick, and nothing is lost
    assert restarted_s < RESTART_S
    assert ended_s < SIGTERM_S
    assert not service.is_done(stream), "there was a backlog when it ended"
    workers.finish(service, poll_records=2_000)
    service.check(calm(2, 8_000), stream)


def test_when_a_worker_dies_for_good_the_other_recovers_its_twelve_shards(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    # given two workers with twelve shards each, in the middle of their work
    stream = stream_of(24, 1_600)
    service = make_service(tmp_path, kafka, stream, 24)
    dying, heir = (workers.start(service, slot=slot, poll_records=24) for slot in (0, 1))
    _wait(lambda: sorted(map(len, service.owners().values())) == [12, 12])
    heir.until(lambda: _began(heir) == 12)
    dying.until(lambda: _began(dying) >= 12)

    # when one is killed
    dying.kill()
    began_s = time.monotonic()
    assert not service.is_done(stream)
    heir.until(lambda: len(_shards(heir)) == 24)
    recovered_s = time.monotonic() - began_s
    print(f"\ntwelve shards recovered {recovered_s:.1f} s after their worker died")

    # then the other goes on with all of them
    assert recovered_s < TAKEOVER_S
    heir.until(lambda: service.is_done(stream))
    heir.stop()
    service.check(calm(24, 1_600), stream)


def _began(worker: WorkerProcess) -> int:
    """How often a shard has begun its work there."""
    return sum("recovered from" in line or "starts a new" in line for line in _lines(worker))


def _shards(worker: WorkerProcess) -> set[str]:
    """The shards that have begun their work there."""
    return {line.split("shard ")[1].split()[0] for line in _lines(worker) if " shard " in line}


def _lines(worker: WorkerProcess) -> list[str]:
    return worker.said().splitlines()


def _wait(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "this never came"


def _run(service: Service) -> subprocess.Popen[str]:
    """The command itself, imports and all."""
    return subprocess.Popen(
        [sys.executable, "-m", "stream.cli.main", "run", str(service.config)],
        cwd=ROOT,
        env={**os.environ, "DRIFTLINE_KAFKA__INSTANCE": "host"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

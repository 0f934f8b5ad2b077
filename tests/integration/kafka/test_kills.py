"""Nothing is lost on a real Kafka: workers are killed with SIGKILL, and the topics are read back by
another client.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from tests.integration.kafka.conftest import Calm
from tests.integration.kafka.forking import BOUNDARIES
from tests.integration.kafka.service import make_service, stream_of
from tests.integration.kafka.workers import KILLED, Workers

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("kafka-faults"),
    pytest.mark.timeout(600),
]

SHARDS = 2
EVENTS = 500


def test_killed_at_each_boundary_nothing_is_lost(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    rng = random.Random(3)
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, kafka, stream, SHARDS)
    for boundary in BOUNDARIES:
        nth = rng.randrange(1, 4)
        code = workers.life(service, poll_records=5, boundary=boundary, nth=nth)
        assert code == KILLED, f"no worker came to {boundary}"

    workers.finish(service)
    service.check(calm(SHARDS, EVENTS), stream)


def test_killed_at_twenty_random_moments_nothing_is_lost(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    _kill_at_random(kafka, workers, calm, tmp_path, kills=20, seed=5)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_killed_at_a_hundred_random_moments_nothing_is_lost(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    _kill_at_random(kafka, workers, calm, tmp_path, kills=100, seed=6)


def _kill_at_random(
    kafka: str, workers: Workers, calm: Calm, folder: Path, *, kills: int, seed: int
) -> None:
    """Kills workers after random times until there were so many; a log worked to its end is
    checked, and another begun."""
    rng = random.Random(seed)
    stream = stream_of(SHARDS, EVENTS)
    killed = 0
    for number in itertools.count():
        service = make_service(folder / str(number), kafka, stream, SHARDS)
        while killed < kills:
            worker = workers.start(service, "--until-idle", poll_records=5)
            if worker.wait(rng.uniform(0.2, 1.7)) is not None:
                assert worker.code == 0, worker.said()
                break
            worker.kill()
            killed += 1
        workers.finish(service)
        service.check(calm(SHARDS, EVENTS), stream)
        if killed == kills:
            return

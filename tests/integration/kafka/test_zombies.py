"""A worker that others take for dead, and that is not: what it still writes is refused."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from stream.cli.output import REPLACED
from tests.integration.kafka.conftest import Calm
from tests.integration.kafka.service import make_service, stream_of
from tests.integration.kafka.workers import Workers

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("kafka-faults"),
    pytest.mark.timeout(300),
]

SHARDS = 2
EVENTS = 500
TAKEN_OVER = "another worker has taken over"
PUT_OUT = "the group has put this worker out"
REASONS = {"commit.before": PUT_OUT, "written": "ProducerFencedError"}


@pytest.mark.parametrize("boundary", REASONS)
def test_one_stopped_past_its_session_is_refused_and_joins_anew(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path, boundary: str
) -> None:
    # given a worker that is stopped with a step in hand
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, kafka, stream, SHARDS)
    zombie = workers.start(service, poll_records=5, boundary=boundary, nth=8, fate=signal.SIGSTOP)
    zombie.until_reached()

    # when another has taken its shards over, and it wakes up
    heir = workers.start(service, slot=1)
    heir.until(lambda: service.is_done(stream))
    zombie.send(signal.SIGCONT)

    # then its step is refused, it says why, and joins anew
    zombie.until_said(REASONS[boundary])
    zombie.until_said("joining anew")
    zombie.until_said("recovered")
    heir.stop()
    zombie.stop()
    assert "UnstableOffset" not in heir.said(), "waiting for a transaction's end is no error"
    service.check(calm(SHARDS, EVENTS), stream)


def test_one_that_did_not_poll_for_too_long_is_refused_and_joins_anew(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    # given a worker that hangs with a step in hand, while its heartbeats go on
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(
        tmp_path, kafka, stream, SHARDS, kafka={"session_timeout": "30s", "max_poll_interval": "2s"}
    )
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    late = workers.start(service, poll_records=5, boundary="commit.before", nth=8, fate=gate)
    late.until_reached()

    # when another has taken its shards over, and it goes on
    heir = workers.start(service, slot=1)
    heir.until(lambda: service.is_done(stream))
    gate.write_text("go on")

    # then its step is refused, it says why, and joins anew
    late.until_said(PUT_OUT)
    late.until_said("joining anew")
    late.until_said("recovered")
    heir.stop()
    late.stop()
    service.check(calm(SHARDS, EVENTS), stream)


def test_of_two_with_one_identity_the_older_is_refused_while_it_works(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, kafka, stream, SHARDS)
    # given a worker that is held up with a step in hand
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    older = workers.start(service, poll_records=5, boundary="commit.before", nth=8, fate=gate)
    older.until_reached()

    # when another comes with its name
    younger = workers.start(service)
    younger.until(lambda: service.is_done(stream))
    gate.write_text("go on")

    # then it ends and says why, and nothing of it was written
    assert older.ended(20.0) == REPLACED
    assert TAKEN_OVER in older.said()
    assert "hint: give every worker an instance or a slot of its own" in older.said()
    younger.stop()
    service.check(calm(SHARDS, EVENTS), stream)


def test_of_two_with_one_identity_the_older_ends_while_it_waits_for_events(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, kafka, stream, SHARDS)
    older = workers.start(service)
    older.until(lambda: service.is_done(stream))

    younger = workers.start(service)

    assert older.ended(20.0) == REPLACED
    assert TAKEN_OVER in older.said()
    younger.until_said("recovered")
    younger.stop()
    service.check(calm(SHARDS, EVENTS), stream)

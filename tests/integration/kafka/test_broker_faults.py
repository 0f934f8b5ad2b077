"""Brokers that die or fall silent in the middle of a transaction, and what others leave in the
inputs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer

from tests.integration.kafka.broker import Broker, broker_of_its_own
from tests.integration.kafka.conftest import Calm
from tests.integration.kafka.service import INPUTS, Service, make_service, stream_of
from tests.integration.kafka.workers import KILLED, WorkerProcess, Workers

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("kafka-faults"),
    pytest.mark.timeout(300),
]

SHARDS = 2
EVENTS = 500
# A worker waits 8 s for an answer, the broker 10 s for the transaction to end; to learn whether
# another worker has its name takes a few seconds more where nobody answers.
GIVEN_UP_S = 10.0
SAID_SO_S = 20.0


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with broker_of_its_own() as broker:
        yield broker


def test_a_broker_killed_within_a_transaction_loses_nothing_and_doubles_nothing(
    broker: Broker, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    # given a worker with a whole transaction written and open
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, broker.bootstrap, stream, SHARDS)
    worker, gate = _held_with_a_transaction(workers, service)

    # when the broker dies, and is back after the worker has given up
    broker.kill()
    gave_up_s = _let_go(worker, gate)
    broker.start()

    # then the worker goes on by itself
    print(f"\ngave up {gave_up_s:.1f} s after the broker's death")
    assert gave_up_s < GIVEN_UP_S
    worker.until(lambda: service.is_done(stream))
    worker.stop()
    service.check(calm(SHARDS, EVENTS), stream)


def test_a_broker_killed_under_load_loses_nothing_and_doubles_nothing(
    broker: Broker, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, broker.bootstrap, stream, SHARDS)
    worker = workers.start(service, poll_records=5)

    for entries in (20, 60):
        worker.until(lambda entries=entries: service.entries() > entries)  # type: ignore[misc]
        broker.kill()
        broker.start()

    worker.until(lambda: service.is_done(stream))
    worker.stop()
    service.check(calm(SHARDS, EVENTS), stream)


def test_a_coordinator_that_falls_silent_is_given_up_within_the_transactions_time(
    broker: Broker, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    # given a worker with a whole transaction written and open
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, broker.bootstrap, stream, SHARDS)
    worker, gate = _held_with_a_transaction(workers, service)

    # when the coordinator answers nothing any more, and hears of the commit only later
    broker.stop()
    try:
        gave_up_s = _let_go(worker, gate)
    finally:
        broker.go_on()

    # then the worker does not hang, reads what became of its step, and goes on
    print(f"\ngave up {gave_up_s:.1f} s after the coordinator fell silent")
    assert gave_up_s < SAID_SO_S
    worker.until(lambda: service.is_done(stream))
    worker.stop()
    service.check(calm(SHARDS, EVENTS), stream)


def test_recovery_knows_that_it_is_complete_though_the_inputs_end_with_what_was_aborted(
    kafka: str, workers: Workers, calm: Calm, tmp_path: Path
) -> None:
    # given inputs whose last records another producer has aborted
    stream = stream_of(SHARDS, EVENTS)
    service = make_service(tmp_path, kafka, stream, SHARDS)
    _abort_some(service)
    # and a worker that dies with its last step committed
    worker = workers.start(service, poll_records=300)
    worker.until(lambda: service.is_done(stream))
    worker.kill()

    # when more is aborted, and the next one recovers
    _abort_some(service)
    workers.finish(service)

    # then it comes to its end, as does one that dies at once and one more after it
    assert workers.life(service, boundary="polled", nth=3) == KILLED
    _abort_some(service)
    workers.finish(service)
    service.check(calm(SHARDS, EVENTS), stream)


def _held_with_a_transaction(workers: Workers, service: Service) -> tuple[WorkerProcess, Path]:
    gate = service.folder / "gate"
    os.mkfifo(gate)
    worker = workers.start(service, poll_records=5, boundary="written", nth=8, fate=gate)
    worker.until_reached()
    return worker, gate


def _let_go(worker: WorkerProcess, gate: Path) -> float:
    """Lets a worker go on; how long (s) until it gives up its transaction."""
    began_s = time.monotonic()
    gate.write_text("go on")
    worker.until_said("joining anew")
    return time.monotonic() - began_s


def _abort_some(service: Service) -> None:
    """Another producer's transactions at the end of every input, none of them committed."""
    producer = KafkaProducer(
        bootstrap_servers=service.bootstrap, transactional_id=f"{service.name}-other"
    )
    producer.init_transactions()
    try:
        for _ in range(2):
            producer.begin_transaction()
            for role in INPUTS:
                for source in service.partitions(role):
                    for number in range(5):
                        producer.send(
                            source.topic, b'{"id": "%d"}' % number, partition=source.partition
                        )
            producer.flush()
            producer.abort_transaction()
    finally:
        producer.close()

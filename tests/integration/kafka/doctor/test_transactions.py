"""Transactions that keep a shard from its newest records."""

from __future__ import annotations

import pytest

from consumers.errors import LogUnavailableError
from consumers.transports.kafka.inspection import KafkaInspection
from consumers.transports.kafka.rights import needed
from tests.integration.kafka.doctor.patient import Patient, wait_until

pytestmark = pytest.mark.kafka

MINUTE_MS = 60_000
WELL = [("ok", "none keeps the shards from their newest records")]


def test_a_transaction_that_outlives_its_time_out_hangs(patient):
    service = patient()
    options = {"transactional_id": f"{service.name}-x", "transaction_timeout_ms": 2 * MINUTE_MS}
    with service.producer(**options) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(service.topic("events"), b"{}", partition=1).get(10)

        young = service.found("transactions")
        ((old, waits),) = service.found("transactions", later_ms=2 * MINUTE_MS)
        ((hung, hangs),) = service.found("transactions", later_ms=3 * MINUTE_MS)
        (hint,) = [
            one.hint for one in service.examine(3 * MINUTE_MS) if one.check == "transactions"
        ]

        producer.commit_transaction()
        wait_until(lambda: service.found("transactions", later_ms=3 * MINUTE_MS) == WELL)

    assert young == WELL
    assert old == "warning"
    assert waits.startswith("shard 1 gets nothing of events from offset 0 on: ")
    assert f"({service.name}-x) in {service.name}.events-1 is open since " in waits
    assert hung == "problem"
    assert "longer than its time-out of 2 min" in hangs
    assert f"abort --topic {service.name}.events --partition 1 --start-offset 0" in (hint or "")


@pytest.mark.xdist_group("kafka-doctor")
def test_one_of_which_no_coordinator_tells_hangs_after_the_longest_time_out(cluster, tmp_path):
    owner = Patient(tmp_path, cluster.bootstrap).create()
    service = Patient(tmp_path, cluster.guarded, name=owner.name, kafka=cluster.login("worker"))
    cluster.allow("worker", needed(service.name, service.topics()))
    wait_until(lambda: [state for state, _ in service.found("rights")] == ["ok"])
    # The worker's user may not hear of other people's transactions.
    with owner.producer(transactional_id="somebody", transaction_timeout_ms=MINUTE_MS) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(owner.topic("labels"), b"{}", partition=0).get(10)

        ((old, _),) = service.found("transactions", later_ms=5 * MINUTE_MS)
        ((hung, hangs),) = service.found("transactions", later_ms=16 * MINUTE_MS)
        producer.abort_transaction()

    assert old == "warning"
    assert hung == "problem"
    assert "shard 0 gets nothing of labels from offset 0 on" in hangs
    assert "time-out of 15 min, and no coordinator tells of it" in hangs


def test_brokers_that_cannot_tell_are_asked_by_hand(patient, monkeypatch):
    def too_old(self):
        raise LogUnavailableError("Kafka at old:9092: IncompatibleBrokerVersion")

    monkeypatch.setattr(KafkaInspection, "open_transactions", too_old)

    ((state, detail),) = patient().found("transactions")

    assert state == "warning"
    assert "whether a transaction hangs cannot be found out" in detail

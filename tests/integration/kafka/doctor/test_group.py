"""Who is in the service's group: its workers, or somebody who does not belong there."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from kafka import KafkaConsumer
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from consumers.inspection import GroupFacts, MemberFacts
from consumers.transport import INPUTS
from stream.checks.group import judge_group
from stream.opening import open_worker_transport
from tests.integration.kafka.doctor.patient import told, wait_until

pytestmark = pytest.mark.kafka


@contextmanager
def member(service, topics=INPUTS, *, assignor=RangePartitionAssignor, instance=None):
    """Somebody's consumer in the service's group, once it has its partitions."""
    consumer = KafkaConsumer(
        bootstrap_servers=service.bootstrap,
        group_id=service.name,
        group_instance_id=instance,
        partition_assignment_strategy=[assignor],
        enable_auto_commit=False,
    )
    try:
        names = [service.topic(role) for role in topics]
        consumer.subscribe(names)
        for name in names:
            # Or a cold one may join for ever.
            consumer.partitions_for_topic(name)
        wait_until(lambda: consumer.poll(timeout_ms=100) or consumer.assignment())
        yield consumer
    finally:
        consumer.close()


def test_without_workers_the_group_is_empty(patient):
    assert patient().found("group") == [("ok", "no worker is running")]


def test_a_worker_and_its_shards(patient):
    service = patient(kafka={"instance": "a", "slot": 3})
    with open_worker_transport(service.configuration) as transport:
        wait_until(lambda: transport.poll(0.1, 10).gained == (0, 1))

        found = service.found("group")

    assert found == [("ok", f"{service.name}-a-3 on 127.0.0.1 has shards 0, 1")]


def test_a_reader_of_other_topics_in_the_group(patient):
    service = patient()
    with member(service, ["predictions"]):
        findings = service.found("group")

    problems = [said for state, said in findings if state == "problem"]
    assert len(problems) == len(findings) == 3
    assert f"reads {service.name}.predictions, not the service's inputs" in problems[0]
    assert "without a static name" in problems[1]
    assert "no member has all inputs of shards 0, 1: nobody works on them" in problems[2]


def test_a_member_under_a_name_that_no_worker_has(patient):
    service = patient()
    with member(service, instance="backup-0"):
        findings = service.found("group")

    (problem,) = [said for state, said in findings if state == "problem"]
    assert problem.startswith("backup-0 on 127.0.0.1 is in the group")
    assert "under a name that no worker of it has" in problem


def test_members_that_give_out_partitions_one_by_one(patient):
    service = patient()
    instance = f"{service.name}-a-0"
    with member(service, instance=instance, assignor=RoundRobinPartitionAssignor):
        findings = service.found("group")

    (problem,) = [said for state, said in findings if state == "problem"]
    assert "gives out partitions by roundrobin, not by range: it splits shards" in problem


NAMES = {role: f"shop.{role}" for role in INPUTS}
ALL = frozenset(NAMES.values())


def worker(instance, holds):
    return MemberFacts("driftline", "10.0.0.1", instance, ALL, holds)


def judged(*members, state="Stable"):
    group = GroupFacts("shop", state, "range", members)
    return told(list(judge_group(group, NAMES, 2)), "group")


def test_a_shard_in_two_hands_is_a_problem():
    whole = {name: frozenset({0, 1}) for name in ALL}
    less = whole | {"shop.labels": frozenset({0})}
    rest = {"shop.labels": frozenset({1})}

    assert judged(worker("shop-a-0", whole)) == [("ok", "shop-a-0 on 10.0.0.1 has shards 0, 1")]
    assert judged(worker("shop-a-0", less), worker("shop-b-0", rest)) == [
        ("ok", "shop-a-0 on 10.0.0.1 has shards 0"),
        ("problem", "shop-a-0 on 10.0.0.1 has shards 1 without all of their inputs"),
        ("problem", "shop-b-0 on 10.0.0.1 has shards 1 without all of their inputs"),
        ("problem", "no member has all inputs of shards 1: nobody works on them"),
    ]


def test_a_worker_too_many_has_nothing_to_do_and_that_is_well():
    whole = {name: frozenset({0, 1}) for name in ALL}

    found = judged(worker("shop-a-0", whole), worker("shop-b-0", {}))

    assert [state for state, _ in found] == ["ok", "ok"]
    assert "there are more workers than partitions" in found[1][1]


def test_a_group_that_gives_out_its_shards_anew_is_a_warning():
    ((state, detail),) = judged(worker("shop-a-0", {}), state="PreparingRebalance")

    assert state == "warning"
    assert "giving out its shards anew (PreparingRebalance), to 1 members" in detail

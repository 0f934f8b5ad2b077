"""Brokers that are away or too old, and topics of which there are too few copies."""

import gc

import pytest
from kafka.protocol.broker_version_data import BROKER_API_VERSIONS

from consumers.inspection import BrokerFacts
from consumers.transport import TOPICS
from consumers.transports.kafka.inspection import lacks
from stream.checks.brokers import judge_brokers
from tests.integration.kafka.doctor.patient import Patient, told, wait_until

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("kafka-doctor"),
    # The client leaves sockets behind where nobody listens any more.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture(scope="module")
def replicated(cluster, tmp_path_factory):
    """A service whose topics have two copies each, of which two have to be in sync."""
    patient = Patient(tmp_path_factory.mktemp("replicated"), cluster.bootstrap)
    settings = {"min.insync.replicas": "2"}
    make = {"num_partitions": 2, "replication_factor": 2, "configs": settings}
    with patient.admin() as admin:
        admin.create_topics({patient.topic(role): make for role in TOPICS}, wait_for_metadata=True)
    return patient


@pytest.fixture(scope="module")
def scattered(cluster, tmp_path_factory):
    """A service whose partitions have one copy each: 0 on the second broker, 1 on the first."""
    patient = Patient(tmp_path_factory.mktemp("scattered"), cluster.bootstrap)
    make = {"assignments": {0: [2], 1: [1]}}
    with patient.admin() as admin:
        admin.create_topics({patient.topic(role): make for role in TOPICS}, wait_for_metadata=True)
    return patient


@pytest.fixture(scope="module")
def without_second(cluster, replicated, scattered):
    """What is found of the two services while the second broker is dead."""
    assert not any("leads" in said for _, said in scattered.found("replicas"))
    cluster.lose_second()
    try:
        yield replicated.examine(), scattered.examine()
    finally:
        cluster.find_second()
        gc.collect()


def test_brokers_that_can_be_reached_and_their_version(replicated):
    ((state, detail),) = replicated.found("brokers")

    assert state == "ok"
    assert detail.startswith("2 can be reached: Kafka 4.")


def test_a_log_where_nobody_listens_is_one_problem(tmp_path):
    patient = Patient(tmp_path, "127.0.0.1:1")

    findings = [one for one in patient.examine() if one.state == "problem"]

    assert [one.check for one in findings] == ["log"]
    assert "127.0.0.1:1: Connection refused" in findings[0].detail


def test_a_broker_without_static_members_or_fenced_commits_is_too_old():
    def judged(version):
        facts = BrokerFacts(1, "old:9092", "x", lacks(BROKER_API_VERSIONS[version]))
        return told(list(judge_brokers([facts])), "brokers")

    ((old, said),) = judged((2, 2))
    ((enough, _),) = judged((2, 5))

    assert (old, enough) == ("problem", "ok")
    assert "static members" in said
    assert "who lost the shard" in said


def test_copies_that_are_all_in_sync_are_well(replicated):
    findings = replicated.examine()

    assert told(findings, "topics") == [("ok", "all 8 are there")]
    assert told(findings, "replicas") == [("ok", "2 copies or more of each partition, all in sync")]


def test_one_copy_of_two_that_acknowledges_is_a_warning(replicated):
    replicated.alter("events", min_insync_replicas=1)
    ((state, detail),) = replicated.found("replicas")
    replicated.alter("events", min_insync_replicas=2)

    assert state == "warning"
    assert f"enough to acknowledge a record of {replicated.name}.events:" in detail


def test_a_broker_that_dies_is_told_with_what_is_behind_and_refuses_writes(
    cluster, replicated, without_second
):
    findings, _ = without_second

    assert ("warning", f"broker 2 at {cluster.second} is away") in told(findings, "brokers")
    copies = told(findings, "replicas")
    assert {state for state, _ in copies} == {"problem"}
    (behind,) = [said for _, said in copies if said.startswith("not all copies are in sync")]
    (refused,) = [said for _, said in copies if said.endswith("writes are refused")]
    assert f"{replicated.name}." in behind
    assert f"{replicated.name}." in refused
    # The log can still be read, and is looked at.
    assert told(findings, "keys")


def test_a_partition_whose_only_broker_is_away_is_led_by_nobody(scattered, without_second):
    _, findings = without_second

    ((_, dead),) = [one for one in told(findings, "replicas") if "leads" in one[1]]
    assert f"{scattered.topic('alerts')}-0" in dead
    assert f"{scattered.topic('alerts')}-1" not in dead
    # Nothing waits in vain for what is there.
    assert not told(findings, "keys")


def test_more_copies_wanted_than_there_are_refuse_every_write(patient):
    service = patient()
    assert not any(state == "problem" for state, _ in service.found("replicas"))

    service.alter("journal", min_insync_replicas=2)

    (problem,) = [said for state, said in service.found("replicas") if state == "problem"]
    assert f"the replicas of {service.name}.journal (1 of 2)" in problem


def test_one_copy_is_a_warning(patient):
    service = patient()

    ((state, detail),) = service.found("replicas")

    assert state == "warning"
    assert detail.startswith(f"there is one copy of {service.name}.alerts, ")


def test_before_the_topics_are_made_there_is_nothing_to_say_of_them(kafka, tmp_path):
    findings = Patient(tmp_path, kafka).examine()

    assert not any(one.state == "problem" for one in findings)
    assert told(findings, "topics") == told(findings, "settings") == []
    ((state, _),) = told(findings, "log")
    assert state == "warning"


def test_a_topic_that_is_missing_beside_the_others_is_a_problem(patient):
    service = patient()
    with service.admin() as admin:
        admin.delete_topics([service.topic("journal")])
    wait_until(lambda: [state for state, _ in service.found("topics")] != ["ok"])

    findings = service.examine()

    ((state, detail),) = told(findings, "topics")
    assert state == "problem"
    assert f"there is no {service.name}.journal" in detail


def test_other_partition_counts_are_a_problem(patient):
    service = patient()
    with service.admin() as admin:
        admin.create_partitions({service.topic("labels"): 3})
        wait_until(
            lambda: len(admin.describe_topics([service.topic("labels")])[0]["partitions"]) == 3
        )

    ((state, detail),) = told(service.examine(), "log")

    assert state == "problem"
    assert f"{service.name}.labels has 3" in detail

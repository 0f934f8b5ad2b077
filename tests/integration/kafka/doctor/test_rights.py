"""Users who may do too little: each missing right is named, with what it is missing for."""

from __future__ import annotations

import pytest

from consumers.transports.kafka import client
from consumers.transports.kafka.rights import needed
from tests.docs.markdown import code_spans, section, tables
from tests.house.files import ROOT
from tests.integration.kafka.doctor.patient import Patient, event, told, wait_until

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("kafka-doctor"),
    # The client leaves sockets behind where it is not let in.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture
def guarded(cluster, tmp_path):
    """Makes a service that logs in as a user."""

    def make(user):
        owner = Patient(tmp_path, cluster.bootstrap).create()
        return Patient(tmp_path, cluster.guarded, name=owner.name, kafka=cluster.login(user))

    return make


def rights_of(service):
    return list(needed(service.name, service.topics()))


def test_the_document_lists_what_is_checked():
    ((_, *rows),) = tables(
        section(ROOT / "docs" / "kafka.md", "## What the user has to be allowed")
    )

    listed = [
        (operation, kind, name)
        for kind, names, operations, _ in rows
        for name in code_spans(names)
        for operation in code_spans(operations)
    ]

    topics = Patient(ROOT, "nowhere:1", name="flights").topics()
    assert sorted(listed) == sorted(right[:3] for right in needed("flights", topics))


def test_a_user_with_the_rights_of_the_document_lacks_none_and_can_work(cluster, guarded):
    service = guarded("worker")
    cluster.allow("worker", rights_of(service))
    wait_until(lambda: [state for state, _ in service.found("rights")] == ["ok"])

    # These keys belong to these partitions.
    service.write("events", 0, event(0))
    service.write("events", 1, event(1))
    service.work()

    findings = service.examine()
    assert told(findings, "rights") == [("ok", "this user may do all that the service needs")]
    # Topics are made with one copy here.
    assert {one.check for one in findings if one.state != "ok"} == {"replicas"}


def test_each_right_that_is_missing_is_named_with_who_needs_it(cluster, guarded):
    service = guarded("reader")
    name = service.name
    taken = {
        ("READ", f"{name}.journal"): ("problem", "which a worker needs"),
        ("WRITE", f"{name}.predictions"): ("problem", "which a worker needs"),
        ("WRITE", f"{name}.events"): ("warning", "`ingest`"),
        ("DESCRIBE_CONFIGS", f"{name}.status"): ("warning", "which `doctor` needs"),
        ("READ", name): ("problem", "which a worker needs"),
        ("WRITE", f"{name}-*"): ("problem", "which a worker needs"),
    }
    cluster.allow("reader", [one for one in rights_of(service) if one[:3:2] not in taken])
    wait_until(lambda: len(service.found("rights")) == len(taken))

    findings = service.examine()

    found = told(findings, "rights")
    for (operation, resource), (state, why) in taken.items():
        ((its_state, said),) = [
            one for one in found if f"{operation} on" in one[1] and f" {resource}," in one[1]
        ]
        assert its_state == state
        assert why in said
    hints = [one.hint for one in findings if one.check == "rights"]
    assert (
        "kafka-acls.sh --bootstrap-server HOST:PORT --add --allow-principal User:NAME "
        f"--operation Write --transactional-id {name}- --resource-pattern-type prefixed"
    ) in hints
    # What could not be looked at is told, and not taken for well.
    ((state, said),) = told(findings, "settings")
    assert state == "warning"
    assert f"may not read the settings of {name}.status" in said


def test_a_user_without_any_right_hears_all_that_it_lacks(cluster, guarded):
    service = guarded("nobody")

    findings = service.examine()

    lacks = [said for state, said in told(findings, "rights") if "DESCRIBE on topic" in said]
    assert all(topic in lacks[0] for topic in service.topics().values())
    assert told(findings, "topics") == []
    ((state, said),) = told(findings, "log")
    assert state == "problem"
    assert "refuses this user" in said


def test_a_wrong_password_is_one_problem(cluster, tmp_path, monkeypatch):
    monkeypatch.setitem(client._CONNECTION, "bootstrap_timeout_ms", 1_500)
    login = cluster.login("worker") | {"sasl_password": "wrong"}
    service = Patient(tmp_path, cluster.guarded, kafka=login)

    problems = [one for one in service.examine() if one.state == "problem"]

    assert [one.check for one in problems] == ["log"]
    assert "does not let this client in" in problems[0].detail
    assert "the password" in (problems[0].hint or "")


def test_what_is_asked_for_a_right_changes_nothing(cluster, guarded):
    service = guarded("worker")
    cluster.allow("worker", rights_of(service))
    wait_until(lambda: [state for state, _ in service.found("rights")] == ["ok"])

    with Patient(service.folder, cluster.bootstrap).admin() as admin:
        groups = {group["group_id"] for group in admin.list_groups()}
        transactions = {
            one.transactional_id for some in admin.list_transactions().values() for one in some
        }
    assert service.name not in groups
    assert not any(name.startswith(service.name) for name in transactions)

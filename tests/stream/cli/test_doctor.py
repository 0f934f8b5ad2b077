"""What a doctor finds in a service to which something has happened."""

import pytest

from consumers.record import NewRecord
from stream.configuration import load_file
from stream.opening import open_service_log
from tests.docs.markdown import section
from tests.docs.shapes import differences, documented
from tests.house.files import ROOT

JSON = ROOT / "docs" / "json.md"


@pytest.fixture
def service(driftline, config, file):
    """One that has used its rows and stopped."""
    path = config()
    driftline("ingest", path, "--input", file)
    assert driftline("run", path, "--until-idle").code == 0
    return path


def found(driftline, state):
    """The findings of this state, by their check."""
    findings = driftline("doctor", "--json").json()["findings"]
    return {one["check"]: one for one in findings if one["state"] == state}


def test_a_healthy_service_has_nothing_to_be_done(driftline, service, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "var").rglob("*.zst")}
    said = driftline("doctor")
    body = driftline("doctor", "--json").json()

    assert said.code == 0
    assert {line.split()[0] for line in said.out.splitlines()} == {"ok"}
    assert body["healthy"]
    checks = {one["check"] for one in body["findings"]}
    assert checks == {"disk", "store", "key", "log", "configuration", "journal", "snapshots"}
    shape = documented(section(JSON, "## `driftline doctor --json`"))
    assert differences(body, shape) == []
    # Nothing is left in the store.
    assert not list((tmp_path / "var" / "snapshots").rglob("doctor/*"))
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "var").rglob("*.zst")}


def test_before_the_first_run_there_is_nothing_and_nothing_is_made(driftline, config, tmp_path):
    config()
    said = driftline("doctor")

    assert said.code == 0
    assert set(found(driftline, "warning")) == {"store", "log"}
    assert [one.name for one in tmp_path.iterdir()] == ["driftline.yaml"]


def test_a_file_that_differs_is_told_field_by_field(driftline, service, config):
    config(seed=7)

    problem = found(driftline, "problem")["configuration"]

    assert driftline("doctor").code == 2
    assert "seed: 42 in the journal, 7 in the file" in problem["detail"]
    assert "config apply" in problem["hint"]


def test_another_partition_count_is_a_problem(driftline, service, config):
    config(log_partitions=3)

    assert "log_partitions: 1" in found(driftline, "problem")["log"]["hint"]


def test_a_damaged_snapshot_is_found_and_a_missing_one(driftline, service, tmp_path):
    folder = next((tmp_path / "var" / "snapshots").iterdir())
    objects = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in objects:
        path.write_bytes(path.read_bytes()[:-5] + b"wrong")
    damaged = found(driftline, "problem")
    for path in objects:
        path.unlink()
    missing = found(driftline, "warning")

    assert "shard 0" in damaged["snapshots"]["detail"]
    assert "replays everything" in missing["snapshots"]["detail"]


def test_a_key_that_is_gone_is_a_problem(driftline, service, tmp_path):
    (tmp_path / "var" / "snapshots.key").unlink()

    assert "key" in found(driftline, "problem")


def test_a_command_that_waits_is_told_of(driftline, service):
    driftline("models", "cut")

    assert "is not applied on shards [0]" in found(driftline, "warning")["commands"]["detail"]


def test_a_shard_that_has_halted_is_a_problem(driftline, service, config):
    halting = config(halt={"share": 0.5, "window": 4})
    driftline("config", "apply", "--keep", "--yes")
    driftline("run", halting, "--until-idle")
    with open_service_log(load_file(halting), create=False) as log:
        log.append([("events", 0, NewRecord(b"{"))] * 4)
    driftline("run", halting, "--until-idle")

    problem = found(driftline, "problem")["shards"]

    assert "shard 0 has halted: of the last 4 events" in problem["detail"]
    assert "driftline resume" in problem["hint"]

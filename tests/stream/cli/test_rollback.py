"""`driftline rollback` and `driftline models`: what they refuse, write and show."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from consumers.times import format_time
from learners.snapshots.archive import SnapshotArchive
from learners.snapshots.keyfile import open_keyring
from learners.snapshots.store import SnapshotStore
from stream.cli.commanding import common
from stream.commands import VersionCommand, give
from stream.configuration import load_file
from stream.history import History, read_history
from stream.opening import open_service_log, open_worker_transport
from stream.shard.checkpoint import Snapshots
from stream.worker import Worker
from tests.simulation.executors import Deferred
from tests.stream.builders import T0_MS, write_csv
from tests.stream.cli.calls import ROWS


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """Where the service of `served` is kept, once the first test has made it."""
    folder: Path = tmp_path_factory.mktemp("service") / "made"
    return folder


@pytest.fixture
def served(driftline, config, tmp_path, template):
    """A service of two shards with version 1 after 25 events and version 2 after 50; `good` stands
    on version 1."""
    config(log_partitions=2)
    if template.exists():
        shutil.copytree(template, tmp_path, dirs_exist_ok=True)
        return driftline
    for number, rows in enumerate([ROWS[:25], ROWS[25:]]):
        driftline("ingest", "--input", write_csv(tmp_path / f"rows{number}.csv", rows))
        driftline("run", "--until-idle")
        driftline("models", "cut", "--reason", f"part {number}")
        driftline("run", "--until-idle")
    driftline("models", "alias", "good", "1")
    driftline("run", "--until-idle")
    shutil.copytree(tmp_path, template)
    return driftline


def history() -> History:
    with open_service_log(load_file(Path("driftline.yaml")), create=False) as log:
        return read_history(log)


def given() -> int:
    """How many commands there are."""
    return len(history().commands)


def event_time(row: int) -> str:
    return format_time(T0_MS + row * 1000)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (["9"], "there is no version 9"),
        (["0"], "greater than or equal to 1"),
        (["--alias", "best"], "there is no alias 'best'"),
        (["--as-of", "2020-01-01T00:00:00Z"], "no complete version is as old as"),
        (["--as-of", "yesterday"], "--as-of"),
        ([], "0 were given"),
        (["1", "--empty"], "2 were given"),
        (["--alias", "good", "--skip", "events:0:0-1"], "2 were given"),
        (["--skip", "events:0:10-5"], "ends before it begins"),
        (["--skip", "events:7:0-1"], "there is no partition 7"),
        (["--skip", "events:0:0-9999"], "holds offsets 0 to "),
        (["--skip", "events:0:99999999999999999999999"], "holds offsets 0 to "),
        (["--skip", "labels:0:0"], "holds no records"),
        (["--skip", "events:0"], "are written events:P:A-B"),
        (["--skip", "predictions:0:0-1"], "are written events:P:A-B"),
        (["--skip", "events:0:0", "--skip", "events:0:-1"], "are written events:P:A-B"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(served, target, why):
    before = given()
    error, hint = served("rollback", *target, "--yes").refusal()
    assert why in error
    assert hint
    assert given() == before == 3


def test_without_a_terminal_it_needs_a_yes(served):
    said = served("rollback", "1")
    assert (said.code, said.out) == (2, "")
    error, hint = said.err.splitlines()[-2:]
    assert "there is no terminal to ask on" in error
    assert "--yes" in hint
    assert given() == 3


def test_a_dry_run_says_what_would_happen_and_writes_nothing(served):
    said = served("rollback", "1", "--dry-run")
    assert (said.code, said.out) == (0, "")
    assert "version 3: the models as of version 1" in said.err
    body = served("rollback", "--skip", "events:0:0-3", "--dry-run", "--json").json()
    assert body["plan"][0] == "skip 4 events of partition 0: events:0:0-3"
    assert any("marked: [1, 2]" in line for line in body["plan"])
    assert given() == 3


def test_while_one_is_on_its_way_another_is_refused(served):
    assert served("rollback", "1", "--yes").code == 0
    for target in (["2"], ["--empty"], ["--skip", "events:0:0"]):
        error, hint = served("rollback", *target, "--yes").refusal()
        assert "is not applied by every shard yet" in error
        assert "run the service" in hint
    assert given() == 4
    served("run", "--until-idle")
    assert served("rollback", "2", "--yes").code == 0


def test_json_gives_the_command_and_the_plan(served):
    body = served("rollback", "--alias", "good", "--yes", "--json", "--reason", "it was bad").json()
    command = body["command"]
    assert (command["command"], command["version"], command["empty"]) == ("rollback", 1, False)
    assert (command["reason"], command["format"]) == ("it was bad", 1)
    assert command["after"] == history().commands[-2].command.id
    keys = {str(shard): cut.key for shard, cut in history().versions[1].cuts.items()}
    assert command["snapshots"] == keys
    assert body["plan"]
    served("run", "--until-idle")
    rows = served("models", "versions", "--json").json()["versions"]
    assert [(row["version"], row["kind"], row["target"]) for row in rows] == [
        (1, "version", None),
        (2, "version", None),
        (3, "rollback", 1),
    ]


def test_a_skip_marks_versions_and_is_not_given_twice(served):
    assert served("rollback", "--skip", "events:0:3-5", "--yes").code == 0
    served("run", "--until-idle")
    rows = served("models", "versions", "--json").json()["versions"]
    assert [row["state"] for row in rows] == ["saw skipped records"] * 2 + ["ready"]
    for target in (["1"], ["--alias", "good"]):
        error, _ = served("rollback", *target, "--yes").refusal()
        assert "version 1 saw records that were skipped since" in error
    for again in ("3-5", "0-3", "5", "0-9"):
        error, _ = served("rollback", "--skip", f"events:0:{again}", "--yes").refusal()
        assert "is skipped already by events:0:3-5" in error
    # then: the same offsets of another partition are other records
    assert served("rollback", "--skip", "events:1:3-5", "--dry-run").code == 0


@pytest.mark.parametrize(("row", "version"), [(49, 2), (48, 1), (24, 1), (23, None)])
def test_as_of_is_the_newest_version_that_no_shard_was_past(served, row, version):
    said = served("rollback", "--as-of", event_time(row), "--yes", "--json")
    if version is None:
        assert "no complete version is as old as" in said.refusal()[0]
    else:
        assert said.json()["command"]["version"] == version


@pytest.fixture
def incomplete(served):
    """Version 3 is cut, and its worker died before it was written."""
    configuration = load_file(Path("driftline.yaml"))
    with open_service_log(configuration, create=False) as log:
        give(log, VersionCommand(**common(log, "")))
    archive = SnapshotArchive(cast(SnapshotStore, _Never()), open_keyring(configuration.snapshots))
    snapshots = Snapshots(configuration.snapshots, archive, Deferred())
    with open_worker_transport(configuration) as transport:
        worker = Worker(configuration, transport, snapshots)
        while 3 not in history().versions:
            worker.turn(0.0)
    return served


def test_a_version_that_is_not_written_is_refused_until_it_is(incomplete):
    driftline = incomplete
    error, hint = driftline("rollback", "3", "--yes").refusal()
    assert "version 3 has no snapshot on the shards [0, 1]" in error
    assert "not written yet" in hint
    assert driftline("models", "versions", "--json").json()["versions"][2]["state"] == "incomplete"
    # then: as of now is the newest complete one
    body = driftline("rollback", "--as-of", event_time(49), "--dry-run", "--json").json()
    assert "as of version 2" in body["plan"][0]
    # then: the next worker writes it
    driftline("run", "--until-idle")
    assert driftline("rollback", "3", "--yes").code == 0


def test_history_says_who_gave_what_why_and_with_which_outcome(served):
    served("rollback", "1", "--yes", "--reason", "it was bad")
    rows = served("models", "history", "--json").json()["commands"]
    assert [row["command"] for row in rows] == ["version", "version", "alias", "rollback"]
    assert [row["reason"] for row in rows] == ["part 0", "part 1", "", "it was bad"]
    assert [row["waiting"] for row in rows] == [[], [], [], [0, 1]]
    assert set(rows[0]["outcomes"]) == {"0", "1"}
    assert rows[0]["outcomes"]["1"]["outcome"] == "applied"
    assert rows[0]["by"]
    assert "waiting on shards [0, 1]" in served("models", "history").out


def test_an_alias_stands_on_a_version_that_there_is(served):
    error, hint = served("models", "alias", "best", "9").refusal()
    assert "there is no version 9" in error
    assert "numbered from 1 to 2" in hint
    assert given() == 3
    rows = served("models", "versions", "--json").json()["versions"]
    assert [row["aliases"] for row in rows] == [["good"], []]
    assert [row["event_time"] for row in rows] == [event_time(24), event_time(49)]


def test_an_alias_on_its_way_is_said_to_be(served):
    served("models", "alias", "best", "2")
    _, hint = served("rollback", "--alias", "best", "--yes").refusal()
    assert "not applied yet" in hint


def test_a_service_that_was_never_run_has_no_versions(driftline, config, file):
    config()
    driftline("ingest", "--input", file)
    assert driftline("models", "versions", "--json").json() == {"versions": []}
    assert "no versions yet" in driftline("models", "versions").out
    assert "none was cut yet" in driftline("rollback", "1", "--yes").refusal()[1]


class _Never:
    """A store that is never come to."""

    name = "nowhere"

    def list(self, prefix: str = "") -> list[Any]:
        return []


def test_it_has_another_name_among_the_snapshots(served):
    plan = served("rollback", "1", "--dry-run", "--json").json()

    assert served("snapshots", "restore", "1", "--dry-run", "--json").json() == plan
    assert served("snapshots", "restore", "99", "--yes").refusal()[0] == "there is no version 99"

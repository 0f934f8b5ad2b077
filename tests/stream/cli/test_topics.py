"""Making the topics of a service, and a service that begins where another one stopped."""

import json

import pytest

from tests.docs.markdown import section
from tests.docs.shapes import differences, documented
from tests.house.files import ROOT
from tests.stream.builders import LOGISTIC, write_csv
from tests.stream.cli.calls import ROWS

JSON = ROOT / "docs" / "json.md"


@pytest.fixture
def old(driftline, config, tmp_path):
    """A service that has used its rows and stopped; its configuration."""
    path = config()
    driftline("ingest", path, "--input", write_csv(tmp_path / "a.csv", ROWS[:30]))
    assert driftline("run", path, "--until-idle").code == 0
    return path


def new(tmp_path, **fields):
    """The configuration of another service, on a log of its own."""
    content = {
        "name": "shop",
        "log": "sqlite:var/new.db",
        "events": {"id": "id", "time": "time", "label": "y"},
        "task": "binary",
        "model": LOGISTIC,
        "snapshots": {"url": "file:var/new-snapshots"},
        **fields,
    }
    path = tmp_path / "new.yaml"
    path.write_text(json.dumps(content))
    return path


def test_topics_are_made_once(driftline, config):
    path = config(log_partitions=3)

    planned = driftline("topics", "create", "-c", path, "--dry-run")
    made = driftline("topics", "create", "-c", path)
    again = driftline("topics", "create", "-c", path, "--json").json()

    assert "would be made, 3 partitions each" in planned.out
    assert "were made, 3 partitions each" in made.out
    assert (again["made"], again["partitions"]) == (False, 3)
    assert again["topics"]["events"] == "shop.events"
    shape = documented(section(JSON, "## `driftline topics create --json`"))
    assert differences(again, shape) == []


def test_topics_with_another_partition_count_are_refused(driftline, config):
    driftline("topics", "create", "-c", config())

    error, _ = driftline("topics", "create", "-c", config(log_partitions=2)).refusal()

    assert "partition" in error


def test_a_service_goes_on_from_another_one_with_more_partitions(driftline, old, tmp_path):
    path = new(tmp_path, log_partitions=2)

    planned = driftline("topics", "create", "-c", path, "--from", old, "--dry-run", "--json").json()
    said = driftline("topics", "create", "-c", path, "--from", old, "--yes", "--reason", "grown")
    versions = driftline("models", "versions", "-c", path, "--json").json()["versions"]
    driftline("ingest", path, "--input", write_csv(tmp_path / "b.csv", ROWS[30:]))
    ran = driftline("run", path, "--until-idle")
    again = driftline("topics", "create", "-c", path, "--from", old, "--yes")

    assert [line.split(":")[0] for line in planned["plan"]] == ["shard 0", "shard 1"]
    assert (said.code, ran.code) == (0, 0)
    assert [(one["kind"], one["reason"]) for one in versions] == [("transfer", "grown")]
    assert "has a journal already" in again.err


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"seed": 7}, "must say what was in force"),
        ({"log": "sqlite:var/shop.db"}, "cannot begin from itself"),
    ],
)
def test_what_cannot_go_on_is_refused_and_nothing_is_made(driftline, old, tmp_path, fields, words):
    said = driftline("topics", "create", "-c", new(tmp_path, **fields), "--from", old, "--yes")

    assert said.code == 2
    assert words in said.err
    assert not (tmp_path / "var" / "new.db").exists()


def test_a_lost_log_is_told_of_and_the_snapshots_will_do(driftline, old, tmp_path):
    (tmp_path / "var" / "shop.db").unlink()
    path = new(tmp_path)

    lost = driftline("topics", "create", "-c", path, "--from", old, "--yes")
    said = driftline("topics", "create", "-c", path, "--from", old, "--log-lost", "--yes")

    assert lost.code == 2
    assert said.code == 0
    assert "is lost" in said.err
    assert driftline("run", path, "--until-idle").code == 0

"""One version, two versions, and what was in production when."""

import pytest

from tests.docs.markdown import section
from tests.docs.shapes import differences, documented
from tests.house.files import ROOT
from tests.stream.builders import T0_MS, write_csv
from tests.stream.cli.calls import ROWS

JSON = ROOT / "docs" / "json.md"


@pytest.fixture
def service(driftline, config, tmp_path):
    """Versions 1 and 2 after 25 and 50 events, the alias `good` on 1 and then on 2; a rollback to 1
    is version 3."""
    config()
    for number, rows in enumerate([ROWS[:25], ROWS[25:]]):
        driftline("ingest", "--input", write_csv(tmp_path / f"{number}.csv", rows))
        driftline("run", "--until-idle")
        driftline("models", "cut", "--reason", f"part {number}")
        driftline("run", "--until-idle")
        driftline("models", "alias", "good", str(number + 1), "--reason", f"good {number}")
        driftline("run", "--until-idle")
    driftline("rollback", "1", "--yes", "--reason", "bad feed")
    driftline("run", "--until-idle")
    return driftline


def shaped(body, heading):
    return differences(body, documented(section(JSON, heading)))


def test_a_version_shows_what_is_known_of_it(service):
    body = service("models", "show", "1", "--json").json()
    shown = service("models", "show", "1").out

    plain = {**body, "configuration": dict.fromkeys(body["configuration"])}  # of any shape
    assert shaped(plain, "## `driftline models show --json`") == []
    [shard] = body["shards"]
    assert (body["reason"], shard["positions"]["events"]) == ("part 0", 25)
    assert shard["size_bytes"] > 1_000
    assert shard["engines"]["river"]
    assert 0 <= shard["metrics"]["accuracy"] <= 1
    assert shard["maturity"] == 1.0
    assert body["configuration"]["task"] == "binary"
    assert "part 0" in shown
    assert "roc_auc" in shown


def test_the_list_says_what_serves(service, config):
    body = service("models", "list", "--json").json()
    shown = service("models", "list").out

    assert shaped(body, "## `driftline models list --json`") == []
    [row] = body["models"]
    assert (row["role"], row["version"]) == ("champion", 3)
    assert row["model"] == "StandardScaler | LogisticRegression"
    assert (row["reason"], row["aliases"]) == ("bad feed", [])
    assert row["model_bytes"] > 100
    assert "LogisticRegression" in shown


def test_a_list_before_the_first_version_is_of_version_0(driftline, config, file):
    config(name="new", log="sqlite:var/new.db")
    driftline("ingest", "--input", file)
    [row] = driftline("models", "list", "--json").json()["models"]
    assert (row["version"], row["since"], row["model_bytes"]) == (0, None, None)


def test_a_snapshot_that_is_gone_is_shown_as_gone(service, tmp_path):
    key = service("models", "show", "1", "--json").json()["shards"][0]["snapshot"]
    (tmp_path / "var" / "snapshots" / key).unlink()

    [shard] = service("models", "show", "1", "--json").json()["shards"]

    assert (shard["size_bytes"], shard["metrics"]) == (None, None)
    assert "gone" in service("models", "show", "1").out
    assert "has no snapshot on shard 0" in service("models", "diff", "1", "2").refusal()[0]


def test_two_versions_differ_in_metrics_and_weights(service):
    body = service("models", "diff", "1", "2", "--json").json()
    back = service("models", "diff", "1", "3", "--json").json()

    assert shaped(body, "## `driftline models diff --json`") == []
    assert "x" in {row["name"] for row in body["weights"]}
    assert body["metrics"]
    assert (body["configuration"], body["engines"]) == ([], [])
    # A rollback brings back the weights, and keeps the metrics of what was served.
    assert back["weights"] == []


def test_versions_of_two_configurations_say_which_fields(service, config):
    config(alerts={"cooldown": "2h"})
    service("config", "apply", "--keep", "--yes")
    service("run", "--until-idle")

    fields = service("models", "diff", "1", "4", "--json").json()["configuration"]

    assert [row["name"] for row in fields] == ["alerts.cooldown"]
    assert fields[0]["before"] != fields[0]["after"]


@pytest.mark.parametrize(("second", "version", "good"), [(24, 1, 1), (48, 1, 1), (49, 3, 2)])
def test_what_was_in_production_at_a_time_and_why(service, second, version, good):
    at = str(T0_MS + second * 1_000)

    body = service("models", "history", "--at", at, "--json").json()
    said = service("models", "history", "--at", at).out

    assert shaped(body, "## `driftline models history --at --json`") == []
    assert body["served"]["version"] == version
    assert body["aliases"]["good"]["version"] == good
    assert f"version {version} served" in said
    assert f"good stood on {good}" in said


def test_before_the_first_version_nothing_was(service):
    at = str(T0_MS - 1)

    assert service("models", "history", "--at", at, "--json").json()["served"] is None
    assert "no version was cut yet" in service("models", "history", "--at", at).out

"""`driftline snapshots prune`, and what the other commands say of versions that went."""

import pytest

from tests.docs.markdown import section
from tests.docs.shapes import differences, documented
from tests.house.files import ROOT

JSON = ROOT / "docs" / "json.md"
KEEP = {"last": 1, "hourly": 1, "daily": 0}


@pytest.fixture
def service(driftline, config, file):
    """Versions 1 to 4 of one hour; `good` stands on 2."""
    config(snapshots={"url": "file:var/snapshots", "versions": {"keep": KEEP}})
    driftline("ingest", "--input", file)
    driftline("run", "--until-idle")
    for _ in range(4):
        driftline("models", "cut")
    # A service that keeps few would prune by itself.
    config(snapshots={"url": "file:var/snapshots", "versions": {"keep": None}})
    driftline("run", "--until-idle")
    driftline("models", "alias", "good", "2")
    driftline("run", "--until-idle")
    config(snapshots={"url": "file:var/snapshots", "versions": {"keep": KEEP}})
    return driftline


def states(service):
    found = service("models", "versions", "--all", "--json").json()["versions"]
    return [row["state"] for row in found]


def test_a_dry_run_says_what_would_go_and_changes_nothing(service):
    before = service("models", "history", "--json").out

    said = service("snapshots", "prune", "--dry-run")
    body = service("snapshots", "prune", "--dry-run", "--json").json()

    assert "2 of 4 versions go: 1, 3" in said.err
    assert differences(body, documented(section(JSON, HEADING))) == []
    assert (body["command"], body["versions"]) == (None, [1, 3])
    assert service("models", "history", "--json").out == before


def test_it_is_a_command_that_is_applied_once(service, config, tmp_path):
    body = service("snapshots", "prune", "--yes", "--json", "--reason", "space").json()
    assert differences(body, documented(section(JSON, HEADING))) == []
    service("run", "--until-idle")

    assert states(service) == ["pruned", "ready", "pruned", "ready"]
    left = service("models", "versions", "--json").json()["versions"]
    assert [row["version"] for row in left] == [2, 4]
    assert "1 was pruned" in service("rollback", "1", "--yes").refusal()[0]
    assert "3 was pruned" in service("models", "alias", "best", "3").refusal()[0]
    assert "0 of 2 versions go" in service("snapshots", "prune", "--yes").err
    given = service("models", "history", "--json").json()["commands"][-1]
    assert (given["command"], given["reason"]) == ("prune", "space")
    assert given["outcomes"]["0"]["pruned"] == [1, 3]


def test_it_asks(service):
    error, hint = service("snapshots", "prune", "--json").refusal()
    assert "no terminal to ask on" in error
    assert hint == "give --yes"


def test_where_everything_is_kept_it_says_so(service, config):
    config(snapshots={"url": "file:var/snapshots", "versions": {"keep": None}})
    assert "every version is kept" in service("snapshots", "prune", "--yes").refusal()[0]


HEADING = "## `driftline snapshots prune --json`"

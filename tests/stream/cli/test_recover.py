"""`driftline recover`: what it says of a replay, and what it makes of one that differs."""

import pytest

from tests.docs.markdown import section
from tests.docs.shapes import differences, documented
from tests.house.files import ROOT
from tests.stream.models import Aged

JSON = ROOT / "docs" / "json.md"
SHAPE = "## `driftline recover --json`"


@pytest.fixture
def service(driftline, config, file, tmp_path, monkeypatch):
    """One that has run, and whose replay from the beginning differs by now."""
    config(model={"factory": "tests.stream.models:aged"})
    driftline("ingest", "--input", file)
    driftline("run", "--until-idle")
    assert driftline("recover").code == 0
    for path in (tmp_path / "var" / "snapshots").rglob("*-*"):
        path.unlink()
    monkeypatch.setattr(Aged, "engine", 0.01)
    return driftline


def shaped(body):
    return differences(body, documented(section(JSON, SHAPE)))


def test_it_says_that_a_service_is_as_its_journal_says(driftline, config, file):
    config()
    driftline("ingest", "--input", file)
    driftline("run", "--until-idle")
    said = driftline("recover")
    body = driftline("recover", "--json", "--accept-divergence").json()

    assert (said.code, said.out) == (0, "")
    assert "as the journal says" in said.err
    assert shaped(body) == []
    assert (body["accepted"], body["shards"][0]["divergence"]) == (False, None)


def test_it_names_the_first_entry_that_differs_and_changes_nothing(service):
    said = service("recover", "--json")
    run = service("run", "--until-idle")

    assert said.code == 3
    assert said.json()["shards"][0]["divergence"]["entry"] == 1
    assert shaped(said.json()) == []
    assert "different from entry 1 on" in service("recover").err
    assert run.code == 3
    assert "recover --accept-divergence" in run.err


def test_what_is_accepted_is_gone_on_from(service, monkeypatch):
    asked = service("recover", "--accept-divergence", "--json").refusal()
    assert "no terminal to ask on" in asked[0]

    said = service("recover", "--accept-divergence", "--yes", "--json")

    assert (said.code, said.json()["accepted"]) == (0, True)
    assert service("run", "--until-idle").code == 0
    assert service("recover").code == 0


def test_a_service_that_never_ran_has_nothing_to_recover(driftline, config, file):
    config()
    driftline("ingest", "--input", file)
    assert "has no journal yet" in driftline("recover").refusal()[0]

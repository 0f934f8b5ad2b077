"""What stops a shard or its learner, and the command that goes on."""

import json

import pytest

from consumers.record import NewRecord
from stream.configuration import load_file
from stream.opening import open_service_log
from tests.docs.markdown import section
from tests.docs.shapes import differences, documented
from tests.house.files import ROOT
from tests.stream.builders import RECORDER, T0_MS, write_jsonl

JSON = ROOT / "docs" / "json.md"
HALT = {"share": 0.5, "window": 10}


def rows(first: int, last: int, name: str = "id", **fields: object) -> list[dict[str, object]]:
    return [
        {name: f"e{n}", "time": T0_MS + n * 1000, "x": n % 7, "y": n % 2 == 0, **fields}
        for n in range(first, last)
    ]


@pytest.fixture
def service(driftline, config, tmp_path):
    """Ingests rows, and runs until nothing is left to do."""
    path = config(model={**RECORDER, "broken": "learn"}, halt=HALT)

    def run(some: list[dict[str, object]]):
        file = write_jsonl(tmp_path / f"rows{len(list(tmp_path.iterdir()))}.jsonl", some)
        driftline("ingest", path, "--input", file)
        return driftline("run", path, "--until-idle")

    return run


def append(config, events):
    """Puts events on the log as they are, whatever is wrong with them."""
    with open_service_log(load_file(config), create=True) as log:
        log.append([("events", 0, NewRecord(json.dumps(event).encode())) for event in events])


def test_a_learner_that_fails_too_often_is_suspended_and_resumed(driftline, service):
    said = service(rows(0, 30, learn=1))
    alerts = driftline("alerts", "list", "--json").json()["alerts"]
    status = driftline("status")
    body = driftline("status", "--json").json()
    resumed = driftline("resume", "--yes", "--reason", "mended", "--json").json()
    again = service(rows(30, 40))

    assert said.code == 0
    assert [(one["kind"], one["state"], one["severity"]) for one in alerts] == [
        ("operations", "suspended", "critical")
    ]
    # Three failures are borne; the fourth suspends.
    assert (alerts[0]["event_index"], alerts[0]["evidence"]["failed"]) == (3, 4)
    assert "learns no more" in status.out
    assert "told to fail" in body["shards"][0]["suspended"]
    assert resumed["command"]["reason"] == "mended"
    assert again.code == 0
    assert driftline("status", "--json").json()["shards"][0]["suspended"] is None
    assert "no shard has halted" in driftline("resume", "--yes").refusal()[0]


def test_a_backtest_leaves_out_the_same_updates_as_a_service(driftline, config, tmp_path):
    file = write_jsonl(tmp_path / "rows.jsonl", rows(0, 20) + rows(20, 21, learn=1) + rows(21, 60))
    path = config(model={**RECORDER, "broken": "learn"})
    report = driftline("backtest", path, "--input", file, "--json").json()
    driftline("ingest", path, "--input", file)
    said = driftline("run", path, "--until-idle", "--log-format", "json")

    stopped = [json.loads(line) for line in said.err.splitlines() if "stopped" in line]
    assert stopped[-1]["digest"] == report["digest"]
    assert "was left out" in said.err


def test_a_renamed_field_halts_and_resume_goes_on(driftline, config):
    path = config(halt=HALT)
    append(path, rows(0, 20) + rows(20, 60, name="ident"))

    said = driftline("run", path, "--until-idle")
    status = driftline("status")
    body = driftline("status", "--json").json()
    restarted = driftline("run", path, "--until-idle")
    planned = driftline("resume", "--dry-run", "--json").json()
    driftline("resume", "--yes")
    driftline("run", path, "--until-idle")

    assert (said.code, restarted.code) == (3, 3)
    assert "driftline resume" in said.err.splitlines()[-1]
    shard = body["shards"][0]
    assert shard["halted"]["input"] == "events"
    assert shard["halted"]["reasons"] == {"missing_id": 5}
    # At exactly the fifth bad event of ten; the rest waits.
    assert shard["inputs"]["events"] == {"position": 25, "end": 60, "left": 35}
    assert "has halted: of the last 10 events 5 missing_id" in status.out
    fields = documented(section(JSON, "## `driftline status --json`"))
    assert differences(body, fields) == []
    assert len(planned["plan"]) == 1
    # It counts anew, so a window must pass before it halts again.
    shard = driftline("status", "--json").json()["shards"][0]
    assert shard["inputs"]["events"]["position"] == 35

"""The alerts of a service as the command line lists, shows and follows them."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from consumers.record import NewRecord
from stream.alert_topic import Wanted, ends, follow
from stream.cli import alerts as alerts_module
from stream.configuration import load_file
from stream.opening import open_service_log
from tests.stream.builders import T0_MS, write_csv

LEVELS = [0.0] * 300 + [100.0] * 300 + [0.0] * 300


@pytest.fixture
def service(driftline, config, tmp_path) -> Path:
    """A service that has noticed that `x` rose and fell again."""
    rows: list[dict[str, Any]] = [
        {"id": f"e{n}", "time": T0_MS + n * 1000, "x": level + n % 7, "y": n % 2 == 0}
        for n, level in enumerate(LEVELS)
    ]
    path: Path = config(
        detectors=[{"name": "level", "signal": "feature:x", "method": "ADWIN"}],
        alerts={"cooldown": None},
    )
    driftline("ingest", "--input", write_csv(tmp_path / "shift.csv", rows))
    driftline("run", "--until-idle")
    return path


def test_alerts_are_listed_oldest_first_and_by_time_and_severity(driftline, service):
    found = driftline("alerts", "list", "--json").json()["alerts"]

    assert len(found) >= 2
    assert {alert["detector"] for alert in found} == {"level"}
    assert [alert["time"] for alert in found] == sorted(alert["time"] for alert in found)
    later = driftline("alerts", "list", "--since", found[1]["time"], "--json").json()["alerts"]
    assert later == found[1:]
    severe = driftline("alerts", "list", "--severity", "critical", "--json").json()["alerts"]
    assert severe == [alert for alert in found if alert["severity"] == "critical"]
    assert driftline("alerts", "list").out.splitlines()[1].startswith(found[0]["id"])
    assert driftline("alerts", "list", "--since", "2040-01-01T00:00:00Z").out == "no such alerts\n"


def test_one_alert_is_shown_by_the_beginning_of_its_id(driftline, service):
    first = driftline("alerts", "list", "--json").json()["alerts"][0]

    assert driftline("alerts", "show", first["id"][:10], "--json").json() == first
    for_people = driftline("alerts", "show", first["id"]).out
    assert "mean_before" in for_people
    assert "events partition 0 offset" in for_people
    error, hint = driftline("alerts", "show", "zz").refusal()
    assert error == "no alert has an id that begins with 'zz'"
    assert hint == "driftline alerts list shows the ids"


def test_whoever_looks_after_an_alert_says_so_and_the_others_hear_of_it(driftline, service):
    first, *others = driftline("alerts", "list", "--json").json()["alerts"]

    said = driftline("alerts", "ack", first["id"][:8], "--reason", "the feed is being mended")
    left = driftline("alerts", "list", "--open", "--json").json()["alerts"]
    ran = driftline("run", "--until-idle")
    [given] = driftline("models", "history", "--json").json()["commands"]
    again, hint = driftline("alerts", "ack", first["id"]).refusal()

    assert said.code == ran.code == 0
    assert left == others
    assert "the feed is being mended" in driftline("alerts", "show", first["id"]).out
    assert (given["command"], given["outcomes"]["0"]["outcome"]) == ("ack", "applied")
    assert given["outcomes"]["0"]["alert"] == first["id"]
    assert f"alert {first['id']} was acknowledged by" in again
    assert "--open" in hint
    assert driftline("models", "versions", "--json").json() == {"versions": []}


def test_a_follower_gets_each_alert_once_also_those_that_come_while_it_looks(driftline, service):
    known = driftline("alerts", "list", "--json").json()["alerts"]
    seen: list[str] = []

    class EndOfTestError(Exception):
        pass

    def wait() -> None:
        # when a test is written after the first look, it is the next to be seen
        if len(seen) > len(known):
            raise EndOfTestError
        driftline("alerts", "test")

    with open_service_log(load_file(service), create=False) as log:
        positions = dict.fromkeys(ends(log), 0)
        with pytest.raises(EndOfTestError):
            for alert in follow(log, positions, Wanted(), wait):
                seen.append(alert["id"])

    assert seen[:-1] == [alert["id"] for alert in known]
    assert seen[-1] == driftline("alerts", "list", "--json").json()["alerts"][-1]["id"]


def test_tail_prints_a_line_an_alert_and_ends_well_on_ctrl_c(driftline, service, monkeypatch):
    def ctrl_c() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(alerts_module, "_wait", ctrl_c)
    listed = driftline("alerts", "list", "--json").json()["alerts"]

    said = driftline("alerts", "tail", "--since", "2001-01-01T00:00:00Z", "--json")
    new = driftline("alerts", "tail")

    assert (said.code, said.err) == (0, "")
    assert [json.loads(line) for line in said.out.splitlines()] == listed
    assert (new.code, new.out) == (0, "")


def test_a_test_alert_says_so_and_changes_nothing_that_the_service_computes(driftline, service):
    before = driftline("run", "--until-idle").err.rsplit("digest ", 1)[1]

    written = driftline("alerts", "test", "--json").json()

    assert (written["kind"], written["state"]) == ("operations", "test")
    assert driftline("alerts", "list", "--json").json()["alerts"][-1] == written
    again = driftline("run", "--until-idle")
    assert again.code == 0
    assert again.err.rsplit("digest ", 1)[1] == before


def test_what_is_no_alert_is_passed_over_with_a_word(driftline, service, caplog):
    known = driftline("alerts", "list", "--json").json()
    with open_service_log(load_file(service), create=False) as log:
        log.append([("alerts", 0, NewRecord(b"hello")), ("alerts", 0, NewRecord(b"[1]"))])

    assert driftline("alerts", "list", "--json").json() == known
    assert "is no alert" in caplog.text


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["list", "--severity", "high"], "info, warning, critical"),
        (["list", "--since", "yesterday"], "--since"),
        (["tail", "--since", "yesterday"], "--since"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(driftline, config, argv, words):
    config()
    error, _ = driftline("alerts", *argv).refusal()
    assert words in error


def test_a_question_that_ctrl_c_answers_is_an_error_and_a_hint(driftline, service, monkeypatch):
    def ctrl_c(*_: object) -> None:
        raise typer.Abort  # as `typer.confirm` does

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", ctrl_c)

    said = driftline("rollback", "--empty")

    assert said.code == 2
    assert said.err.splitlines()[-2].startswith("error: interrupted")

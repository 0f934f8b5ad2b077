"""Dead letters as the command line lists them, and as it puts their records on the log again."""

import json
from pathlib import Path
from typing import Any

import pytest

from consumers.merge import merge_time_ms
from consumers.record import NewRecord, Record
from stream.configuration import load_file
from stream.opening import open_service_log
from tests.stream.builders import HOUR_MS, T0_MS, write_jsonl

GOOD = {"id": "good", "time": T0_MS, "x": 1.0, "y": True}
BAD_LABEL = {"id": "later", "time": T0_MS + 1, "x": 1.0, "y": "perhaps"}
BAD_TIME = {"id": "when", "time": "noon", "x": 1.0, "y": True}


def append(config: Path, *records: tuple[str, int, NewRecord]) -> list[int]:
    with open_service_log(load_file(config), create=True) as log:
        return log.append(records)


def events(config: Path, partition: int = 0) -> list[Record]:
    with open_service_log(load_file(config), create=False) as log:
        return list(log.read("events", partition, 0))


def event(body: dict[str, Any], partition: int = 0) -> tuple[str, int, NewRecord]:
    record = NewRecord(json.dumps(body).encode(), body["id"].encode())
    return "events", partition, record


@pytest.fixture
def service(driftline, config) -> Path:
    """A service with two dead letters after a good event."""
    path: Path = config()
    append(path, event(GOOD), event(BAD_LABEL), event(BAD_TIME))
    assert driftline("run", "--until-idle").code == 0
    return path


def redrive(driftline, *options: str) -> Any:
    said = driftline("dead-letters", "redrive", "--yes", "--json", *options)
    assert said.code == 0, said
    return said.json()


def test_dead_letters_are_listed_with_their_bytes_and_by_reason(driftline, service):
    body = driftline("dead-letters", "list", "--json").json()

    assert body["reasons"] == {"bad_label": 1, "bad_time": 1}
    first, second = body["dead_letters"]
    assert json.loads(first["value"]) == BAD_LABEL
    assert first["key"] == "later"
    assert second["source"] == {"topic": "events", "partition": 0, "offset": 2}
    assert not second["truncated"]
    one = driftline("dead-letters", "list", "--reason", "bad_time", "--json").json()
    assert one == {"reasons": {"bad_time": 1}, "dead_letters": [second]}
    assert "1 bad_label, 1 bad_time" in driftline("dead-letters", "list").out
    newest = driftline("dead-letters", "list", "--last", "1")
    assert "the newest 1 are shown" in newest.out
    assert "later" not in newest.out
    assert driftline("dead-letters", "list", "--reason", "x").out == "no such dead letters\n"


def test_a_redriven_record_is_the_original_and_names_its_letter(driftline, service):
    body = redrive(driftline, "--reason", "bad_time")

    (done,) = body["redriven"]
    assert (done["offset"], done["new_offset"], body["refused"]) == (1, 3, [])
    original, again = events(service)[2:]
    assert (again.key, again.value) == (original.key, original.value)
    assert dict(again.headers) == {"driftline-redriven": b"0:1"}
    # when the service runs, it is an event like any other
    driftline("run", "--until-idle")
    letters = driftline("dead-letters", "list", "--json").json()["dead_letters"]
    assert [letter["source"]["offset"] for letter in letters] == [1, 2, 3]


def test_a_record_whose_time_has_come_is_predicted_when_it_is_redriven(driftline, config):
    # given an event of a stream with its own time, two hours ahead of it
    def at(body: dict[str, Any], time_ms: int) -> tuple[str, int, NewRecord]:
        headers = (("driftline-time", b"%d" % time_ms),)
        return "events", 0, NewRecord(json.dumps(body).encode(), b"k", headers)

    path = config()
    later_ms = T0_MS + 2 * HOUR_MS
    append(path, at(GOOD, T0_MS), at({**GOOD, "id": "ahead", "time": later_ms}, T0_MS))
    driftline("run", "--until-idle")
    assert driftline("dead-letters", "list", "--json").json()["reasons"] == {"future_time": 1}

    # when the stream has got there, and it is redriven
    append(path, at({**GOOD, "id": "now", "time": later_ms}, later_ms))
    redrive(driftline, "--reason", "future_time")
    driftline("run", "--until-idle")

    # then it has a prediction, and no other dead letter
    assert driftline("dead-letters", "list", "--json").json()["reasons"] == {"future_time": 1}
    with open_service_log(load_file(path), create=False) as log:
        predicted = [json.loads(record.value or b"") for record in log.read("predictions", 0, 0)]
    assert [one["id"] for one in predicted] == ["good", "now", "ahead"]


def test_a_letter_is_redriven_once(driftline, service):
    redrive(driftline, "--offsets", "0")

    error, _ = driftline("dead-letters", "redrive", "--offsets", "0", "--yes").refusal()
    both = redrive(driftline, "--offsets", "0-1")

    assert error == "the dead letter 0:0 was redriven before, as events:0:3"
    assert [one["offset"] for one in both["redriven"]] == [1]
    assert [(one["offset"], one["why"]) for one in both["refused"]] == [
        (0, "was redriven before, as events:0:3")
    ]
    assert len(events(service)) == 5


def test_a_dry_run_and_a_call_without_yes_write_nothing(driftline, service):
    dry = driftline("dead-letters", "redrive", "--offsets", "0:0-1", "--dry-run", "--json").json()
    for_people = driftline("dead-letters", "redrive", "--offsets", "0-1", "--dry-run")
    refused = driftline("dead-letters", "redrive", "--offsets", "0-1")

    assert [one["new_offset"] for one in dry["redriven"]] == [None, None]
    assert "1 bad_time go to events again" in for_people.err
    assert for_people.out == ""
    assert refused.code == 2
    assert "give --yes" in refused.err
    assert len(events(service)) == 3


def test_a_letter_that_holds_only_a_beginning_or_a_command_is_refused_by_name(driftline, config):
    path = config(events={"id": "id", "time": "time", "label": "y", "max_bytes": 200_000})
    large = {**GOOD, "id": "large", "text": "x" * 300_000}
    append(path, event(GOOD), event(large), ("commands", 0, NewRecord(b"go")))
    driftline("run", "--until-idle")
    letters = driftline("dead-letters", "list", "--json").json()["dead_letters"]
    assert {letter["reason"]: letter["truncated"] for letter in letters} == {
        "bad_command": False,
        "too_large": True,
    }

    for reason, words in (
        ("too_large", "holds only the beginning"),
        ("bad_command", "is of the commands"),
    ):
        said = driftline("dead-letters", "redrive", "--reason", reason, "--yes")
        error, _ = said.refusal()
        assert words in error
    assert len(events(path)) == 2


def test_a_record_of_a_stream_with_its_own_time_does_not_carry_the_clock_to_now(
    driftline, config, tmp_path
):
    # given a history, put on the log with the times of its rows, that awaits labels
    rows = [{**GOOD, "id": f"e{n}", "time": T0_MS + n * 1000} for n in range(5)]
    rows[3]["y"] = "perhaps"
    path = config()
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    driftline("ingest", "--input", file)
    driftline("run", "--until-idle")
    clock = driftline("status", "--json").json()["shards"][0]["clock"]

    redrive(driftline, "--reason", "bad_label")
    driftline("run", "--until-idle")

    assert merge_time_ms(events(path)[-1]) == T0_MS + 4000
    assert driftline("status", "--json").json()["shards"][0]["clock"] == clock


def test_of_several_partitions_one_is_named_and_the_record_goes_back_to_its_own(driftline, config):
    path = config(log_partitions=2)
    append(path, event(GOOD, 0), event(BAD_TIME, 1), event(BAD_LABEL, 0))
    driftline("run", "--until-idle")

    error, hint = driftline("dead-letters", "redrive", "--offsets", "0", "--yes").refusal()
    done = redrive(driftline, "--offsets", "1:0-9")["redriven"]

    assert "which there are 2" in error
    assert "0:0" in hint
    assert [(one["partition"], one["reason"], one["new_offset"]) for one in done] == [
        (1, "bad_time", 1)
    ]
    assert len(events(path, 0)) == 2
    assert len(events(path, 1)) == 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "must be said"),
        (["--offsets", "all"], "is written A-B"),
        (["--offsets", "7:0-1"], "no partition 7"),
        (["--offsets", "50-60"], "no such dead letters"),
        (["--reason", "bad_hair"], "no such dead letters"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(driftline, service, argv, words):
    error, _ = driftline("dead-letters", "redrive", "--yes", *argv).refusal()
    assert words in error
    assert len(events(service)) == 3

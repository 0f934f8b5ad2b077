"""The table of what was served, as the command line writes it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from consumers.times import format_time
from tests.stream.builders import T0_MS
from tests.stream.cli.served import MINUTE_MS, event, label, send

LATE = {"events": {"id": "id", "time": "time"}, "labels": {"wait": "1h"}}


def exported(driftline, *options: str) -> dict[str, dict[str, Any]]:
    """The rows on stdout by id; rows without an id by their offset."""
    said = driftline("export", "--output", "-", *options)
    assert said.code == 0, said
    rows = [json.loads(line) for line in said.out.splitlines()]
    found = {row["id"] or str(row["offset"]): row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture
def service(driftline, config) -> Path:
    """A service with an event of each fate, whose clock stands at minute 100."""
    path: Path = config(**LATE, detectors=[])
    send(
        path,
        label("early", False, -1),
        event("early", 0),
        event("plain", 1, x=0.25, city="Oslo"),
        event("twice", 2, x=None, y=2),
        event("never", 3),
        ("events", "bad", {"id": "bad", "time": "noon", "x": 1.0}, T0_MS),
        label("plain", True, 11, annotator="ada"),
        label("twice", True, 12, annotator="ada"),
        label("twice", False, 22, annotator="bob"),
        label("twice", "perhaps", 23),
        label("plain", False, 75),  # too late: the wait ended in minute 61
        event("waits", 90),
        label("nobody", True, 99),
        event("newest", 100),
    )
    assert driftline("run", "--until-idle").code == 0
    return path


def minute(number: float) -> str:
    return format_time(T0_MS + int(number * MINUTE_MS))


def test_a_row_holds_what_was_served_and_what_became_known_of_it(driftline, service):
    rows = exported(driftline)

    assert list(rows) == ["early", "plain", "twice", "never", "4", "waits", "newest"]
    assert rows["plain"] == {
        "id": "plain",
        "event_time": minute(1),
        "prediction": False,
        "probability.false": pytest.approx(0.5, abs=0.1),
        "probability.true": pytest.approx(0.5, abs=0.1),
        "version": 0,
        "label": True,
        "label_first": True,
        "label_state": "joined",
        "label_time": minute(11),
        "label_delay_s": 600.0,
        "corrections": 0,
        "corrected_time": None,
        "annotator": "ada",
        "dead_letter": None,
        "partition": 0,
        "offset": 1,
        "feature.x": 0.25,
        "feature.city": "Oslo",
        "feature.y": None,
    }


def test_labels_are_told_apart_by_what_became_of_them(driftline, service):
    rows = exported(driftline)

    states = {name: row["label_state"] for name, row in rows.items()}
    assert states == {
        "early": "joined",
        "plain": "joined",
        "twice": "joined",
        "never": "never",
        "4": None,
        "waits": "waiting",
        "newest": "waiting",
    }
    # One that was there before its event has a negative delay.
    assert (rows["early"]["label"], rows["early"]["label_delay_s"]) == (False, -60.0)
    twice = rows["twice"]
    assert (twice["label_first"], twice["label"], twice["corrections"]) == (True, False, 1)
    assert (twice["label_time"], twice["corrected_time"]) == (minute(12), minute(22))
    assert twice["annotator"] == "bob"
    assert rows["never"]["label"] is None


def test_an_event_without_a_prediction_says_why(driftline, service):
    bad = exported(driftline)["4"]

    known = {name: value for name, value in bad.items() if value is not None}
    assert known == {"dead_letter": "bad_time", "partition": 0, "offset": 4}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--from", minute(1), "--to", minute(3)], ["plain", "twice"]),
        (["--from", str(T0_MS + 90 * MINUTE_MS)], ["waits", "newest"]),
        (["--with-labels"], ["early", "plain", "twice"]),
        (["--without-labels"], ["never", "4", "waits", "newest"]),
        (["--version", "1"], []),
        (["--version", "0", "--with-labels", "--to", minute(1)], ["early"]),
    ],
)
def test_a_part_can_be_asked_for(driftline, service, options, names):
    assert list(exported(driftline, *options)) == names


def test_a_version_has_the_predictions_that_it_made(driftline, service):
    driftline("models", "cut")
    driftline("run", "--until-idle")
    send(service, event("after", 101))
    driftline("run", "--until-idle")

    assert list(exported(driftline, "--version", "1")) == ["after"]


def test_parquet_opens_in_pandas_as_it_is(driftline, service, tmp_path):
    summary = driftline("export", "--output", "served.parquet", "--json").json()

    frame = pd.read_parquet(tmp_path / "served.parquet")
    assert list(frame.columns) == summary["columns"]
    assert len(frame) == summary["rows"] == 7
    for name in ("event_time", "label_time", "corrected_time"):
        assert str(frame[name].dtype) == "datetime64[ms, UTC]"
    assert str(frame["feature.x"].dtype) == "float64"
    assert frame["feature.x"].isna().sum() == 2
    served = frame[frame["prediction"].notna()]
    assert served["prediction"].map(type).eq(bool).all()
    assert frame.set_index("id").loc["twice", "label_delay_s"] == 600.0
    # and the same as JSON lines
    driftline("export", "--output", "served.jsonl")
    lines = pd.read_json(tmp_path / "served.jsonl", lines=True)
    assert list(lines.columns) == list(frame.columns)
    assert lines["id"].to_list()[:4] == frame["id"].to_list()[:4]


def test_the_summary_says_what_was_written(driftline, service, tmp_path):
    body = driftline("export", "--output", "served.jsonl.gz", "--json").json()

    packed = (tmp_path / "served.jsonl.gz").read_bytes()
    assert len(gzip.decompress(packed).splitlines()) == body["rows"] == 7
    assert body["labels"] == {"joined": 3, "never": 1, "waiting": 2}
    assert (body["corrected"], body["dead_letters"]) == (1, {"bad_time": 1})
    assert (body["first_time"], body["last_time"]) == (minute(0), minute(100))
    assert body["size_bytes"] == len(packed)
    told = driftline("export", "--output", "served.jsonl.gz")
    assert told.out == ""
    assert "7 rows to served.jsonl.gz" in told.err


def test_labels_inside_their_events_are_there_at_once(driftline, config):
    path = config()
    send(path, event("a", 0, x=1.0, y=True), event("b", 1, x=1.0))
    driftline("run", "--until-idle")

    rows = exported(driftline)

    assert (rows["a"]["label"], rows["a"]["label_delay_s"]) == (True, 0.0)
    assert "feature.y" not in rows["a"]
    assert rows["b"]["label_state"] == "waiting"


def test_a_default_label_is_marked_as_assumed(driftline, config):
    path = config(**{**LATE, "labels": {"wait": "1h", "default": False}})
    send(path, event("old", 0), event("new", 100))
    driftline("run", "--until-idle")

    rows = exported(driftline)

    assert (rows["old"]["label"], rows["old"]["label_state"]) == (False, "assumed")
    assert rows["old"]["label_first"] is None
    assert rows["new"]["label_state"] == "waiting"


def test_an_id_that_comes_again_has_the_labels_of_each_time_apart(driftline, config):
    # given an id that is used again after twice the wait, and its duplicate
    path = config(**LATE)
    send(
        path,
        event("same", 0, x=1.0),
        event("same", 1, x=2.0),
        label("same", True, 10),
        event("same", 200, x=3.0),
        label("same", False, 210),
    )
    driftline("run", "--until-idle")

    out = driftline("export", "--output", "-").out
    rows = [json.loads(line) for line in out.splitlines()]

    assert [(row["feature.x"], row["label"], row["dead_letter"]) for row in rows] == [
        (1.0, True, None),
        (2.0, None, "duplicate"),
        (3.0, False, None),
    ]
    assert [row["corrections"] for row in rows] == [0, None, 0]


def test_features_are_those_of_the_configuration_then_in_force(driftline, config):
    path = config(**LATE)
    send(path, event("before", 0, x=1.0, city="Oslo"))
    driftline("run", "--until-idle")
    config(**{**LATE, "events": {**LATE["events"], "features": ["x"]}})
    assert driftline("config", "apply", "--keep", "--yes").code == 0
    driftline("run", "--until-idle")
    send(path, event("after", 1, x=1.0, city="Oslo"))
    driftline("run", "--until-idle")

    rows = exported(driftline)

    assert rows["before"]["feature.city"] == "Oslo"
    assert rows["after"]["feature.city"] is None


def test_what_a_rollback_left_out_is_marked_and_its_labels_do_not_count(driftline, service):
    driftline("rollback", "--skip", "events:0:1", "--skip", "labels:0:2-3", "--yes")
    driftline("run", "--until-idle")

    rows = exported(driftline)

    assert rows["plain"]["label_state"] == "skipped"
    # The first label of `twice` (offset 2) was skipped, and so was its correction.
    assert rows["twice"]["label_state"] == "never"
    assert rows["early"]["label_state"] == "joined"


def test_a_feature_of_several_kinds_is_text_in_parquet_and_as_it_was_in_json(
    driftline, config, tmp_path
):
    path = config(**LATE)
    values = [1, 2.5, "three", True]
    send(path, *[event(f"e{n}", n, mixed=value, n=n or 0.5) for n, value in enumerate(values)])
    driftline("run", "--until-idle")

    driftline("export", "--output", "rows.parquet")

    frame = pd.read_parquet(tmp_path / "rows.parquet")
    assert frame["feature.mixed"].to_list() == ["1", "2.5", "three", "true"]
    assert frame["feature.n"].to_list() == [0.5, 1.0, 2.0, 3.0]
    assert [row["feature.mixed"] for row in exported(driftline).values()] == values


def test_each_partition_has_its_rows_and_one_can_be_asked_for(driftline, config):
    path = config(**LATE, log_partitions=2)
    names = [f"e{number}" for number in range(20)]
    send(path, *[event(name, n) for n, name in enumerate(names)])
    send(path, *[label(name, True, 30) for name in names])
    driftline("run", "--until-idle")

    rows = exported(driftline)
    one = exported(driftline, "--shard", "1")

    assert set(rows) == set(names)
    assert {row["label"] for row in rows.values()} == {True}
    assert {row["partition"] for row in one.values()} == {1}
    assert 0 < len(one) < 20


def test_several_classes_have_a_probability_each(driftline, config):
    path = config(**LATE, task="multiclass", model=["naive_bayes.GaussianNB"])
    send(path, *[event(f"e{n}", n, x=float(n)) for n in range(6)])
    send(path, *[label(f"e{n}", "even" if n % 2 == 0 else "odd", 6) for n in range(6)])
    send(path, event("asked", 7, x=2.0))
    driftline("run", "--until-idle")

    row = exported(driftline)["asked"]

    assert row["prediction"] in {"even", "odd"}
    assert row["probability.even"] + row["probability.odd"] == pytest.approx(1)


def test_what_the_service_has_not_read_yet_is_left_out(driftline, service):
    send(service, event("unread", 101), label("waits", True, 102))

    rows = exported(driftline)

    assert "unread" not in rows
    assert rows["waits"]["label_state"] == "waiting"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--output", "rows.csv"], "must end in one of .parquet, .jsonl, .jsonl.gz"),
        (["--output", "no/where.jsonl"], "no/where.jsonl: the file cannot be written"),
        (["--output", "-", "--json"], "would both go to stdout"),
        (["--output", "-", "--shard", "7"], "there is no shard 7"),
        (["--output", "-", "--from", minute(2), "--to", minute(2)], "must lie before --to"),
        (["--output", "-", "--from", "noon"], "--from must be RFC 3339"),
    ],
)
def test_what_cannot_be_is_refused(driftline, service, argv, words):
    error, _ = driftline("export", *argv).refusal()

    assert words in error


def test_a_file_is_replaced_whole_or_not_at_all(driftline, service, tmp_path, monkeypatch):
    old = tmp_path / "served.jsonl"
    old.write_text("old\n")
    monkeypatch.setattr("stream.export.row_of", lambda served: {"id": object()})

    with pytest.raises(TypeError):
        driftline("export", "--output", "served.jsonl")

    assert old.read_text() == "old\n"
    assert [path.name for path in tmp_path.glob("*served.jsonl*")] == ["served.jsonl"]

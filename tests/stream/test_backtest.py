"""A back-test over a file: when labels come, what may be learnt from, and what is counted."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers.errors import FileError
from consumers.transports.memory import MemoryLog
from stream.backtest import Backtest, backtest
from stream.errors import ConfigurationError
from stream.file_stream import LabelSource
from stream.ingest import ingest
from tests.stream.builders import (
    HOUR_MS,
    LOGISTIC,
    RECORDER,
    T0_MS,
    configuration,
    dead,
    learnt,
    of,
    reasons,
    write_csv,
    write_jsonl,
)
from tests.stream.workers import worker

MINUTE_MS = 60_000
SECOND = timedelta(seconds=1)


def run(
    path: Path, source: LabelSource | None = None, /, **fields: Any
) -> tuple[Backtest, list[Any]]:
    outputs: list[Any] = []
    result = backtest(
        configuration(**fields),
        path,
        source or LabelSource("y"),
        on_output=lambda *output: outputs.append(output),
    )
    return result, outputs


def rows(*times_ms: int, **columns: list[Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"e{number}",
            "time": T0_MS + time_ms,
            "x": float(number),
            **{name: values[number] for name, values in columns.items()},
        }
        for number, time_ms in enumerate(times_ms)
    ]


def test_labels_in_the_rows_are_learnt_right_after_their_prediction(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(0, 1, 2, y=[True, True, False]))
    result, outputs = run(path)
    # By hand: (positives + 1) / (labels + 2) before each.
    found = [row["probabilities"]["true"] for row in of("predictions", outputs)]
    assert found == [1 / 2, 2 / 3, 3 / 4]
    assert learnt(result.shard) == [({"x": 0.0}, True), ({"x": 1.0}, True), ({"x": 2.0}, False)]


def test_labels_after_a_delay_are_learnt_when_they_would_have_come(tmp_path):
    # given: labels half a minute after events that come every minute, but the second twice
    minute, half = MINUTE_MS, timedelta(seconds=30)
    path = write_csv(
        tmp_path / "rows.csv",
        rows(0, minute, minute, 2 * minute, 2 * minute + 30_000, y=[True, True, False, True, True]),
    )
    result, outputs = run(path, LabelSource("y", delay=half))
    # then: the last event comes with the fourth label's moment, and an event goes first
    found = [row["probabilities"]["true"] for row in of("predictions", outputs)]
    assert found == [1 / 2, 2 / 3, 2 / 3, 3 / 5, 3 / 5]
    assert len(learnt(result.shard)) == 5


def test_labels_come_at_the_time_that_their_column_says_sorted_by_it_then_by_row(tmp_path):
    known = [T0_MS + ms for ms in (5_000, 3_000, 3_000, 9_000)]
    path = write_jsonl(
        tmp_path / "rows.jsonl", rows(0, 1000, 2000, 4000, y=[True] * 4, landed=known)
    )
    result, outputs = run(path, LabelSource("y", time_column="landed"))
    assert [x["x"] for x, _ in learnt(result.shard)] == [1.0, 2.0, 0.0, 3.0]
    found = [row["probabilities"]["true"] for row in of("predictions", outputs)]
    assert found == [1 / 2, 1 / 2, 1 / 2, 3 / 4]


@pytest.mark.parametrize(
    "labels",
    [LabelSource("y"), LabelSource("y", delay=SECOND), LabelSource("y", time_column="landed")],
)
def test_neither_the_label_nor_its_time_is_ever_a_feature(tmp_path, labels):
    known = [T0_MS + 10] * 3
    path = write_csv(tmp_path / "rows.csv", rows(0, 1, 2, y=[True] * 3, landed=known))
    result, _ = run(path, labels)
    names = {"x", "landed"} if not labels.is_late or labels.delay else {"x"}
    assert {name for x, _ in learnt(result.shard) for name in x} == names


def test_a_label_known_at_its_events_own_time_needs_no_column_of_its_own(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(0, 1, y=[True, False]))
    result, _ = run(path, LabelSource("y", time_column="time"))
    report = result.report()
    assert (report["labels"], report["dead_letters"]) == (2, 0)


def test_a_row_without_a_label_or_its_time_never_gets_one(tmp_path):
    path = write_csv(
        tmp_path / "rows.csv",
        rows(0, 1, 2, y=[True, None, False], landed=[None, T0_MS + 5, T0_MS + 6]),
    )
    result, _ = run(path, LabelSource("y", time_column="landed"))
    report = result.report()
    assert (report["labels"], report["pending"]) == (1, 2)


def test_a_jsonl_row_may_leave_out_what_others_have(tmp_path):
    lines = rows(0, 1, 2, y=[True, True, True], landed=[T0_MS + 5] * 3)
    del lines[1]["y"], lines[2]["landed"]
    result, outputs = run(
        write_jsonl(tmp_path / "rows.jsonl", lines), LabelSource("y", time_column="landed")
    )
    report = result.report()
    assert (report["events"], report["labels"], report["pending"]) == (3, 1, 2)
    del lines[1]["time"], lines[2]["id"]
    _, outputs = run(write_jsonl(tmp_path / "rows.jsonl", lines), LabelSource("y", delay=SECOND))
    assert reasons(outputs) == ["missing_time", "missing_id"]


def test_a_label_time_that_cannot_be_read_makes_a_dead_letter_of_the_label(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(0, 1, y=[True, False], landed=["soon", T0_MS + 5]))
    result, outputs = run(path, LabelSource("y", time_column="landed"))
    assert [(letter["reason"], letter["topic"]) for letter in dead(outputs)] == [
        ("bad_time", "labels")
    ]
    assert result.report()["labels"] == 1


def test_file_order_is_event_order_and_times_that_go_back_do_not_move_the_clock(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(5_000, 1_000, 3_000, y=[True] * 3))
    result, outputs = run(path)
    assert [row["id"] for row in of("predictions", outputs)] == ["e0", "e1", "e2"]
    assert of("predictions", outputs)[1]["time"] == "2023-11-14T22:13:21.000Z"
    assert result.shard.parts.clock_ms == T0_MS + 5_000


def test_at_the_end_labels_still_awaited_are_counted_and_not_expired(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(0, 1, y=[None, None]))
    result, _ = run(path, LabelSource("y", delay=SECOND), labels={"wait": "1h", "default": True})
    assert result.report()["pending"] == 2
    assert learnt(result.shard) == []


def test_waits_end_on_the_files_own_clock(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(0, HOUR_MS + 1, y=[None, None]))
    result, _ = run(path, labels={"wait": "1h", "default": True})
    assert (result.report()["pending"], len(learnt(result.shard))) == (1, 1)


def test_without_a_time_column_the_row_is_the_time_and_waits_and_cooldowns_are_off(tmp_path):
    # given: more rows than the wait has seconds, some without a label, and a signal that jumps
    lines = [
        {"x": float(number // 100 % 2) * 9, "y": None if number < 5 else True}
        for number in range(600)
    ]
    fields: dict[str, Any] = {
        "events": {"id": None, "time": None, "label": "y"},
        "labels": {"wait": "10s", "default": True},
        "detectors": [{"name": "x", "signal": "feature:x", "method": "ADWIN", "scale": "none"}],
        "alerts": {"cooldown": "1h"},
    }
    result, outputs = run(write_csv(tmp_path / "rows.csv", lines), **fields)
    assert of("predictions", outputs)[599]["time"] == "1970-01-01T00:09:59.000Z"
    report = result.report()
    assert report["pending"] == 5
    assert result.shard.parts.counters.assumed == 0
    assert len(report["alerts"]) >= 5
    assert report["alerts_suppressed"] == 0


@pytest.mark.parametrize(
    ("labels", "fields", "words"),
    [
        (LabelSource(delay=SECOND), {}, "no label"),
        (LabelSource("y", delay=SECOND), {"events": {"id": None, "time": None}}, "time"),
        (LabelSource("y", time_column="t"), {"events": {"id": None, "time": None}}, "time"),
        (LabelSource("id"), {}, "column of its own"),
        (LabelSource("y", time_column="y"), {}, "column of its own"),
    ],
)
def test_a_label_source_that_cannot_be_is_refused(tmp_path, labels, fields, words):
    path = write_csv(tmp_path / "rows.csv", rows(0, y=[True]))
    with pytest.raises(ConfigurationError, match=words) as caught:
        run(path, labels, **fields)
    assert caught.value.hint


@pytest.mark.parametrize("labels", [LabelSource("late"), LabelSource("y", time_column="landed")])
def test_a_column_that_is_not_there_is_refused(tmp_path, labels):
    path = write_csv(tmp_path / "rows.csv", rows(0, y=[True]))
    with pytest.raises(FileError, match="there must be a column"):
        run(path, labels)


def test_the_report_counts_every_event_and_label_once(tmp_path):
    lines = rows(0, 1, 2, 3, y=[True, False, "perhaps", None])
    lines.append({**lines[0]})
    result, outputs = run(write_csv(tmp_path / "rows.csv", lines))
    report = result.report()
    assert list(report) == [
        "events",
        "labels",
        "predictions",
        "dead_letters",
        "dead_letter_reasons",
        "pending",
        "metrics",
        "baselines",
        "alerts",
        "alerts_suppressed",
        "digest",
        "seconds",
        "events_per_second",
    ]
    assert (report["events"], report["predictions"], report["dead_letters"]) == (5, 3, 2)
    assert report["dead_letter_reasons"] == {"bad_label": 1, "duplicate": 1}
    assert (report["labels"], report["pending"]) == (2, 1)
    assert report["metrics"]["accuracy"] == 0.0
    assert report["baselines"]["majority"]["accuracy"] == 0.0
    assert len(bytes.fromhex(report["digest"])) == 32
    assert report["seconds"] > 0
    assert json.loads(json.dumps(report)) == report
    assert len(outputs) == 5


@pytest.mark.parametrize("delay", [None, timedelta(minutes=7)])
def test_the_digest_is_that_of_ingest_and_run_on_the_same_file(tmp_path, delay):
    # given: 300 events of 5 hours with a jump in x, some of them bad; labels at once, or later
    lines = rows(
        *(number * MINUTE_MS for number in range(300)),
        y=[number % 3 == 0 if number % 11 else None for number in range(300)],
        z=[float(number > 150) for number in range(300)],
    )
    lines[40]["id"] = "e39"
    lines[50]["time"] = "noon"
    lines[60]["y"] = "perhaps"
    path = write_csv(tmp_path / "rows.csv", lines)
    events = {"id": "id", "time": "time", "label": None if delay else "y"}
    fields: dict[str, Any] = {
        "events": events,
        "model": LOGISTIC,
        "detectors": [
            {"name": "z", "signal": "feature:z", "method": "ADWIN", "scale": "none"},
            {"name": "e", "signal": "error", "method": "PageHinkley", "threshold": 2},
        ],
    }
    labels = LabelSource("y", delay=delay)
    result, outputs = run(path, labels, **fields)
    report = result.report()
    assert report["alerts"]
    assert report["dead_letters"] >= 3

    # when
    log = MemoryLog()
    log.create_topics(1)
    ingest(log, configuration(**fields), path, labels)
    with worker(log, **fields) as one:
        one.run_until_idle()

    # then
    assert one.runners[0].shard.parts.digest.hex() == report["digest"]
    for topic in ("predictions", "alerts", "dead-letters"):
        served = [record.value for record in log.read(topic, 0, 0)]
        assert served == [record.value for role, record in outputs if role == topic]


def test_a_model_from_a_factory_runs_too(tmp_path):
    path = write_csv(tmp_path / "rows.csv", rows(0, 1, y=[True, False]))
    result, _ = run(path, model={**RECORDER, "broken": "never"})
    assert result.shard.parts.learner.model.broken == "never"

"""The commands as people and scripts meet them: data on stdout, an error and a hint on stderr."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.stream.builders import write_csv
from tests.stream.cli.calls import ROWS


def test_backtest_prints_one_json_object(driftline, config, file):
    said = driftline("backtest", config(), "--input", file, "--json")
    assert (said.code, said.err) == (0, "")
    report = said.json()
    assert (report["events"], report["labels"], report["predictions"]) == (50, 50, 50)
    assert report["dead_letters"] == 0
    assert 0 <= report["metrics"]["accuracy"] <= 1
    assert set(report["baselines"]) == {"majority", "last_label", "recent_rate"}


def test_backtest_prints_figures_for_people(driftline, config, file):
    said = driftline("backtest", config(), "--input", file)
    assert said.code == 0
    assert "50 events, 50 labels" in said.out
    assert "accuracy" in said.out
    assert "majority" in said.out


def test_predictions_have_a_row_for_each_event_also_for_those_without_a_prediction(
    driftline, config, tmp_path
):
    # given: three good events, one bad, one twice; and a label that comes too late for anything
    lines = [dict(row) for row in ROWS[:5]]
    lines[2]["time"] = "noon"
    lines[3]["id"] = "e0"
    path = write_csv(tmp_path / "rows.csv", lines)
    said = driftline(
        "backtest",
        config(events={"id": "id", "time": "time"}),
        "--input",
        path,
        "--label",
        "y",
        "--label-delay",
        "1s",
        "--predictions",
        "out.jsonl",
        "--json",
    )
    assert said.code == 0
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["source"]["offset"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["id"] for row in rows] == ["e0", "e1", None, None, "e4"]
    assert [row.get("reason") for row in rows] == [None, None, "bad_time", "duplicate", None]
    assert rows[2]["prediction"] is None
    assert "noon" in rows[2]["detail"]
    report = said.json()
    assert report["predictions"] + sum(report["dead_letter_reasons"].values()) == 5


def test_a_refused_input_leaves_an_earlier_predictions_file_alone(driftline, config, tmp_path):
    kept = tmp_path / "kept.jsonl"
    kept.write_text("precious\n")
    driftline("backtest", config(), "--input", "none.csv", "--predictions", kept).refusal()
    assert kept.read_text() == "precious\n"


@pytest.mark.parametrize("reason", ["two\nlines", "\x1b[31mred", "\udcff"])
def test_a_reason_that_is_not_a_line_of_text_is_refused_and_no_command_is_given(
    driftline, config, file, reason
):
    driftline("ingest", config(), "--input", file)
    said = driftline("models", "cut", "--reason", reason, "-c", config())
    assert "one line of printable text" in said.refusal()[0]
    assert driftline("models", "history", "-c", config(), "--json").json()["commands"] == []


def test_predictions_never_overwrite_the_input(driftline, config, file, tmp_path):
    rows = file.read_bytes()
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    for path in (file, link):
        said = driftline("backtest", config(), "--input", file, "--predictions", path)
        assert "would overwrite the input" in said.refusal()[0]
        assert file.read_bytes() == rows


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("options", ["--json", "--predictions=/dev/full"])
def test_a_full_disk_behind_the_output_is_an_error_line_and_a_hint(config, file, options):
    command = [sys.executable, "-m", "stream.cli.main", "backtest", config(), "--input", file]
    with Path("/dev/full").open("wb") as full:
        said = subprocess.run(
            [*command, options], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert said.returncode == 2
    error, hint = said.stderr.splitlines()
    assert error.startswith("error: ")
    assert "No space left" in error
    assert hint.startswith("hint: ")


def test_ingest_and_run_do_what_backtest_did(driftline, config, file):
    digest = driftline("backtest", config(), "--input", file, "--json").json()["digest"]
    said = driftline("ingest", config(), "--input", file, "--json")
    assert said.json() == {"written": 50, "skipped": 0}
    assert driftline("ingest", config(), "--input", file, "--json").json()["skipped"] == 50
    said = driftline("run", config(), "--until-idle")
    assert (said.code, said.out) == (0, "")
    assert digest[:16] in said.err
    found = driftline("snapshots", "list", "--json").json()["snapshots"]
    assert len(found) == 1
    assert driftline("snapshots", "verify", "--json").json() == {
        "snapshots": [{"id": found[0]["id"], "valid": True, "problem": None}]
    }
    shown = driftline("snapshots", "show", found[0]["id"], "--json").json()
    assert shown["digest"] == digest


def test_a_service_logs_its_recovery_for_programs_too(driftline, config, file):
    def events(*options: str) -> list[dict[str, Any]]:
        said = driftline("run", config(), "--until-idle", "--log-format", "json", *options)
        return [json.loads(line) for line in said.err.splitlines()]

    driftline("ingest", config(), "--input", file)
    founded, stopped = events()
    recovered, stopped_again = events()

    assert founded["event"] == "founded"
    assert recovered["event"] == "recovered"
    assert recovered["message"].startswith("shard 0 recovered from the snapshot at entry ")
    assert (recovered["shard"], recovered["records"]) == (0, 0)
    assert recovered["snapshot"] <= recovered["entry"] == stopped["entry"]
    assert recovered["digest"] == stopped["digest"] == stopped_again["digest"]
    assert stopped["digest"][:16] in stopped["message"]


BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("rows.csv", b"", "must begin with a header"),
    "only a header": ("rows.csv", b"id,time,x,y\n", "must hold rows"),
    "without a column": ("rows.csv", b"idd,time,x,y\na,1,1,1\n", "column 'id'"),
    "not text": ("rows.csv", bytes(range(256)), "must be UTF-8"),
    "not gzipped": ("rows.csv.gz", b"hello", "must be readable"),
    "of another kind": ("rows.dat", b"1", "must end in one of"),
    "not JSON": ("rows.jsonl", b'{"id":\n', "must be JSON"),
    "not Parquet": ("rows.parquet", b"1", "Parquet"),
    "ragged": ("rows.csv", b"id,time,x,y\na,1,1\n", "4 cells"),
    "infinite": ("rows.csv", b"id,time,x,y\na,1,inf,1\n", "infinite"),
}


@pytest.mark.parametrize("command", ["backtest", "ingest"])
@pytest.mark.parametrize(("name", "content", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_file_that_cannot_be_used_is_refused_and_nothing_is_made(
    driftline, config, tmp_path, command, name, content, words
):
    (tmp_path / name).write_bytes(content)
    error, _ = driftline(command, config(), "--input", name).refusal()
    assert words in error
    assert not Path("var").exists()


BAD_CALLS: dict[str, tuple[list[str], str]] = {
    "no file": (["backtest", "--input", "none.csv"], "there must be a file"),
    "no configuration": (["run", "none.yaml"], "cannot be read"),
    "a folder for one": (["run", "."], "cannot be read"),
    "no label column": (["backtest", "--input", "rows.csv", "--label", "z"], "column 'z'"),
    "two label times": (
        ["backtest", "--input", "rows.csv", "--label-time", "time", "--label-delay", "1h"],
        "both were given",
    ),
    "no duration": (["backtest", "--input", "rows.csv", "--label-delay", "soon"], "a duration"),
    "no place to write": (
        ["backtest", "--input", "rows.csv", "--predictions", "none/out.jsonl"],
        "cannot be written",
    ),
    "no rate": (["ingest", "--input", "rows.csv", "--rate", "0"], "above 0"),
    "a rate without end": (["ingest", "--input", "rows.csv", "--rate", "inf"], "finite"),
    "a rate that is no number": (["ingest", "--input", "rows.csv", "--rate", "nan"], "finite"),
    "no alias": (["models", "alias", "A/b", "1"], "an alias is a small letter"),
    "an empty alias": (["models", "alias", "", "1"], "an alias is a small letter"),
    "no log format": (["run", "--log-format", "xml"], "one of console, json"),
    "no snapshot": (["snapshots", "show", "41"], "no snapshot has"),
    "no input": (["backtest"], "Missing option"),
    "no option": (["backtest", "--inptu", "rows.csv"], "--input"),
    "no command": (["bakctest"], "backtest"),
}


@pytest.mark.parametrize(("argv", "words"), BAD_CALLS.values(), ids=BAD_CALLS.keys())
def test_a_call_that_cannot_be_is_refused_in_a_line_and_a_hint(
    driftline, config, file, argv, words
):
    config()
    error, _ = driftline(*argv).refusal()
    assert words in error


BAD_SERVICES: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown field": ({"modle": "x"}, "unknown field `modle`"),
    "no such model": ({"model": "linear_model.Logistic"}, "River has no class"),
    "another task's model": ({"model": "linear_model.LinearRegression"}, "needs a classifier"),
    "a task to come": ({"task": "forecasting"}, "not built yet"),
    "a field to come": ({"retention": {"events": "1d"}}, "not built yet"),
    "no such log": ({"log": "sqllite:x"}, "a log is"),
    "no such store": ({"snapshots": {"url": "ftp://x"}}, "ftp"),
    "no key": ({"snapshots": {"key": "5" * 60}}, "64 hexadecimal digits"),
    "no such port": ({"metrics": {"port": 70_000}}, "`metrics.port`"),
    "another's address": ({"metrics": {"host": "203.0.113.1", "port": 0}}, "cannot be served"),
    "no such role": ({"topics": {"evnts": "x"}}, "unknown field `topics.evnts`"),
}


@pytest.mark.parametrize(("fields", "words"), BAD_SERVICES.values(), ids=BAD_SERVICES.keys())
def test_a_service_that_cannot_be_is_refused_in_a_line_and_a_hint(driftline, config, fields, words):
    error, hint = driftline("run", config(**fields), "--until-idle").refusal()
    assert words in error
    assert "5555" not in error + hint


def test_the_log_of_another_service_is_refused_and_left_as_it_is(driftline, config, file):
    driftline("ingest", config(), "--input", file)
    before, made = Path("var/shop.db").read_bytes(), os.listdir("var")
    for argv in (["run", "--until-idle"], ["ingest", "--input", str(file)]):
        config(name="other")
        error, _ = driftline(*argv).refusal()
        assert "shop" in error
        assert "other" in error
    assert Path("var/shop.db").read_bytes() == before
    assert os.listdir("var") == made


def test_a_file_that_is_no_log_or_of_a_newer_format_is_refused(driftline, config, file):
    driftline("ingest", config(), "--input", file)
    with sqlite3.connect("var/shop.db") as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        database.execute(f"PRAGMA user_version = {version + 1}")
    database.close()
    error, _ = driftline("run", "--until-idle").refusal()
    assert "format" in error
    Path("var/shop.db").unlink()
    Path("var/shop.db").write_text("not a database, but long enough to look like one" * 100)
    error, _ = driftline("run", "--until-idle").refusal()
    assert "var/shop.db" in error


def test_another_partition_count_is_refused(driftline, config, file):
    driftline("ingest", config(), "--input", file)
    error, _ = driftline("run", config(log_partitions=3), "--until-idle").refusal()
    assert "partition" in error


def test_a_configuration_that_differs_from_the_journals_is_shown_with_the_way_on(
    driftline, config, file
):
    driftline("ingest", config(), "--input", file)
    assert driftline("run", config(), "--until-idle").code == 0
    said = driftline("run", config(seed=7), "--until-idle")
    assert said.code == 2
    error, *lines, hint = said.err.splitlines()
    assert error.startswith("error: ")
    assert lines == ["  seed: 42 in the journal, 7 in the file"]
    assert "driftline run --use-journal-config" in hint
    assert driftline("run", config(seed=7), "--until-idle", "--use-journal-config").code == 0


def test_help_shows_every_command_with_an_example(driftline):
    for command in (["backtest"], ["run"], ["ingest"], ["snapshots", "list"]):
        said = driftline(*command, "--help")
        assert said.code == 0
        assert f"Example: driftline {' '.join(command)}" in said.out
    assert driftline("--version").out.startswith("driftline ")


def test_the_command_runs_under_a_fixed_hash_seed_and_says_errors_without_a_traceback(tmp_path):
    # One cold start, as a user has it.
    command = [sys.executable, "-m", "stream.cli.main", "run", "none.yaml"]
    environment = {**os.environ, "PYTHONHASHSEED": "random", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("error: the configuration none.yaml")
    assert "Traceback" not in done.stderr

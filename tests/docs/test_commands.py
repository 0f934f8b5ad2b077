"""Every command of the documents is run, and what it prints has the documented shape."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.docs.markdown import DOCUMENTS, RUN, commands, section
from tests.docs.newcomer import Newcomer
from tests.docs.shapes import differences, documented, missing
from tests.house.files import ROOT

pytestmark = [pytest.mark.xdist_group("docs"), pytest.mark.timeout(300)]

JSON = ROOT / "docs" / "json.md"
ACTIVITY = "var/activity.jsonl"  # where the documents' back-test puts its predictions


def output_of(newcomer: Newcomer, *words: str) -> str:
    """What the first command of the documents with these words printed."""
    return next(
        output
        for command, output in newcomer.outputs.items()
        if all(word in command for word in words)
    )


def check(heading: str, values: list[Any], besides: Collection[str] = ()) -> None:
    """The values hold what the section documents, `besides` excepted, and nothing else."""
    fields = documented(section(JSON, heading))
    for value in values:
        assert differences(value, fields) == []
    assert set(missing(values, fields)) == set(besides)


def test_every_command_of_the_documents_works_in_its_order(newcomer: Newcomer) -> None:
    ran = {word for command in newcomer.outputs for word in command.split()}

    assert {"backtest", "ingest", "run", "snapshots", "bench"} <= ran


def test_no_document_shows_a_shell_command_that_is_not_run() -> None:
    assert {path for path in DOCUMENTS if commands(path)} == set(RUN)


def test_the_makefile_has_every_target_that_the_documents_name() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = [line.split()[1] for line in commands(ROOT / "README.md") if line.startswith("make ")]

    assert {"install", "demo", "test"} <= set(named)
    assert [target for target in named if f"\n{target}:" not in makefile] == []


def test_the_service_decides_what_the_back_test_decided(newcomer: Newcomer) -> None:
    # README says that both print the same digest.
    back_test = output_of(newcomer, "backtest", "payments")
    service = next(log for command, log in newcomer.logs.items() if "run examples/pay" in command)

    digest = back_test.rsplit("digest ", maxsplit=1)[1].strip()
    assert len(digest) == 16
    assert f"digest {digest}" in service


def test_the_back_tests_report_and_predictions_are_as_documented(newcomer: Newcomer) -> None:
    # given a file with a row that is refused
    mixed = newcomer.folder / "mixed.jsonl"
    mixed.write_text(
        '{"read_at": "yesterday", "load": 1, "incident": true}\n'
        '{"read_at": "2026-03-01T00:00:00Z", "load": 1, "incident": true}\n'
    )

    # when it is back-tested
    refused = newcomer.run(
        ".venv/bin/driftline backtest examples/servers.yaml --input mixed.jsonl --json "
        "--predictions servers.jsonl"
    )

    # then its report, and that of the documents' file with alerts, are as documented
    reports = [orjson.loads(refused), orjson.loads(output_of(newcomer, "backtest", "--json"))]
    assert reports[0]["dead_letter_reasons"] == {"bad_time": 1}
    assert reports[1]["alerts"]
    check("## `driftline backtest --json`", reports)

    # and so is every line of the predictions, of two tasks
    lines = _lines(newcomer.folder / "servers.jsonl") + _lines(newcomer.folder / ACTIVITY)
    assert len(lines) == 2 + 3_000
    for line in lines:
        assert line.pop("flags", []) == []  # none yet
    check("## A line of `backtest --predictions`", lines, besides={"flags[]"})


def test_what_the_other_commands_print_is_as_documented(newcomer: Newcomer) -> None:
    config = "-c examples/payments.yaml --json"
    ingested = newcomer.run(
        ".venv/bin/driftline ingest examples/servers.yaml --input var/samples/servers.csv --json"
    )
    listed = newcomer.run(f".venv/bin/driftline snapshots list {config}")
    verified = newcomer.run(f".venv/bin/driftline snapshots verify {config}")
    shown = newcomer.run(f".venv/bin/driftline snapshots show ID {config}")

    check("## `driftline ingest --json`", [orjson.loads(ingested)])
    check("## `driftline snapshots list --json`", [orjson.loads(listed)])
    check("## `driftline snapshots verify --json`", [orjson.loads(verified)])
    body = orjson.loads(shown)
    body["configuration"] = dict.fromkeys(body["configuration"])  # of any shape
    body["probes"] = [{**probe, "answer": 0} for probe in body["probes"]]
    check("## `driftline snapshots show --json`", [body])


def test_what_an_operator_reads_is_as_documented(newcomer: Newcomer) -> None:
    # given services of which one has run, one has not, and one has a command to apply
    newcomer.run(".venv/bin/driftline models cut -c examples/payments.yaml")
    newcomer.run(".venv/bin/driftline ingest examples/servers.yaml --input var/samples/servers.csv")
    services = ("energy", "payments", "servers")

    told = [
        newcomer.run(f".venv/bin/driftline status -c examples/{name}.yaml --json")
        for name in services
    ]

    # None of them has halted; tests/stream/cli/test_resume.py holds those fields.
    halted = {f"shards[].halted.{name}" for name in ("input", "window", "reasons.NAME", "detail")}
    check("## `driftline status --json`", [orjson.loads(text) for text in told], halted)

    # and the same for alerts, among which one is a test
    tested = newcomer.run(".venv/bin/driftline alerts test -c examples/payments.yaml --json")
    listed = newcomer.run(".venv/bin/driftline alerts list -c examples/payments.yaml --json")
    alerts = orjson.loads(listed)["alerts"]
    assert alerts[-1] == orjson.loads(tested)
    assert len(alerts) > 1
    check("## `driftline alerts list --json`", [{"alerts": alerts}])


def test_dead_letters_and_their_way_back_are_as_documented(newcomer: Newcomer) -> None:
    # given a letter that can be redriven, and one that cannot
    driftline, config = ".venv/bin/driftline", "examples/payments.yaml"
    send = f"""echo '{{"payment_id": "mine"}}' | .venv/bin/python examples/send.py {config}"""
    for topic in ("events", "commands"):
        newcomer.run(f"{send} {topic}")
    newcomer.run(f"{driftline} run {config} --until-idle")

    listed = newcomer.run(f"{driftline} dead-letters list -c {config} --json")
    letters = orjson.loads(listed)
    first, last = letters["dead_letters"][0]["offset"], letters["dead_letters"][-1]["offset"]
    command = f"{driftline} dead-letters redrive -c {config} --offsets {first}-{last} --json"
    redriven = [newcomer.run(f"{command} {option}") for option in ("--dry-run", "--yes")]

    check("## `driftline dead-letters list --json`", [letters])
    check("## `driftline dead-letters redrive --json`", [orjson.loads(text) for text in redriven])


def test_the_exported_table_is_as_documented(newcomer: Newcomer) -> None:
    # given an event without a prediction among those of two tasks
    export, rows = ".venv/bin/driftline export -c", []
    send = """echo '{"payment_id": "mine"}' | .venv/bin/python examples/send.py"""
    newcomer.run(f"{send} examples/payments.yaml events")
    newcomer.run(".venv/bin/driftline run examples/payments.yaml --until-idle")
    for name in ("payments", "energy"):
        told = newcomer.run(f"{export} examples/{name}.yaml --output {name}.jsonl --json")
        summary = orjson.loads(told)
        lines = _lines(newcomer.folder / f"{name}.jsonl")
        assert len(lines) == summary["rows"] > 1_000
        rows += [_nested(line) for line in lines]
        if name == "payments":
            check("## `driftline export --json`", [summary])

    # No model of these detects anomalies.
    check("## A line of `driftline export`", rows, besides={"score"})
    # and what the document wrote to stdout is a part of it
    day = output_of(newcomer, "export", "--to").splitlines()
    assert day
    assert {orjson.loads(line)["label_state"] for line in day} == {"joined"}
    assert (newcomer.folder / "var/payments.parquet").stat().st_size > 10_000


def _nested(line: dict[str, Any]) -> dict[str, Any]:
    """A flat row with its dots as levels, as the tables of the documents write names."""
    row: dict[str, Any] = {}
    for name, value in line.items():
        level, _, inner = name.partition(".")
        if inner:
            row.setdefault(level, {})[inner] = value
        else:
            row[name] = value
    return row


ELSEWHERE = {"doing", "last", "positions.NAME", "traceback"}


def test_what_the_service_logs_is_as_documented(newcomer: Newcomer) -> None:
    command = ".venv/bin/driftline run examples/payments.yaml --until-idle --log-format json"
    newcomer.run(command)

    lines = [orjson.loads(line) for line in newcomer.logs[command].splitlines()]
    assert [line["event"] for line in lines] == ["recovered", "stopped"]
    # Nothing takes long or goes wrong here: test_progress.py and test_logs.py hold those fields.
    check("## `driftline run --log-format json`", lines, ELSEWHERE)


def test_what_bench_prints_is_as_documented(newcomer: Newcomer) -> None:
    measured = orjson.loads(output_of(newcomer, "bench", "--runs"))
    memory = orjson.loads(output_of(newcomer, "bench", "--memory"))
    rollback = orjson.loads(output_of(newcomer, "bench", "--rollback"))

    check("## `driftline bench --json`", [measured])
    check("## `driftline bench --memory --json`", [memory])
    check("## `driftline bench --rollback --json`", [rollback])


def _lines(path: Path) -> list[Any]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]

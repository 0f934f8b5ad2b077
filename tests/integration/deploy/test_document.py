"""docs/deploy.md explains every alert, and what it says to type can be typed."""

from __future__ import annotations

import pytest

from tests.docs.markdown import blocks, code_spans, tables
from tests.house.files import ROOT
from tests.integration.deploy.command_line import require_known
from tests.integration.deploy.test_rules import rules

DOCUMENT = ROOT / "docs" / "deploy.md"
LINES = [line for block in blocks(DOCUMENT, "console") for line in block.splitlines()]
# Options of `docker compose run` that have no value.
FLAGS = {"--rm", "--no-deps"}


def test_it_explains_each_alert():
    table = next(t for t in tables(DOCUMENT.read_text()) if t[0][0] == "alert")
    explained = {code_spans(row[0])[0]: row[1] for row in table[1:]}

    assert explained == {rule.name: rule.severity for rule in rules()}
    assert all(len(row[2]) > 20 for row in table[1:])


@pytest.mark.deploy
def test_its_lines_for_compose_name_services_and_commands_that_exist(project):
    for line in LINES:
        words = line.split()
        if words[:2] != ["docker", "compose"] or words[2] not in {"exec", "run", "up"}:
            continue
        rest = [word for word in words[3:] if word not in FLAGS]
        if words[2] == "up":
            assert {word for word in rest if not word.startswith("-")} <= set(project["services"])
            continue
        service, *command = rest
        assert service in project["services"], line
        # `run` goes through the image's entry point, `exec` does not.
        require_known(command[1:] if words[2] == "exec" else command, line)
        assert words[2] == "run" or command[0] == "driftline", line
        mounted = {one["target"] for one in project["services"][service]["volumes"]}
        assert {word for word in command if word.startswith("/")} <= mounted, line


@pytest.mark.deploy
def test_its_other_lines_reach_the_broker_where_compose_publishes_it(project):
    (line,) = (line for line in LINES if "driftline ingest" in line)
    place, _, command = line.partition(" .venv/bin/driftline ")

    require_known(command.split(), line)
    address = place.removeprefix("DRIFTLINE_LOG=kafka://")
    kafka = project["services"]["kafka"]
    assert f"MACHINE://{address}" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert [one["published"] for one in kafka["ports"]] == [address.partition(":")[2]]

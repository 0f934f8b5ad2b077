"""`driftline doctor` on a service that has worked on Kafka, as a person calls it."""

from __future__ import annotations

import json

import pytest

from tests.docs.markdown import section
from tests.docs.shapes import differences, documented
from tests.house.files import ROOT
from tests.integration.kafka.doctor.patient import event
from tests.stream.cli.conftest import driftline

__all__ = ["driftline"]

pytestmark = pytest.mark.kafka


def test_every_check_of_a_service_that_is_well(driftline, patient, tmp_path):
    service = patient()
    service.write("events", 0, event(0))
    service.write("events", 1, event(1))
    service.work()
    config = tmp_path / "driftline.yaml"
    config.write_text(service.configuration.model_dump_json(exclude_defaults=True))

    said = driftline("doctor", "--json")

    body = said.json()
    chapter = section(ROOT / "docs" / "json.md", "## `driftline doctor --json`")
    assert differences(body, documented(chapter)) == []
    (line,) = [line for line in chapter.splitlines() if "findings[].check" in line]
    listed = set(line.replace("`", " ").replace(",", " ").split("|")[3].split())
    found = {one["check"] for one in body["findings"]}
    # These two are told of only where there is something to tell.
    assert found == listed - {"string", "shards", "commands", ";", "on", "Kafka", "also"}
    # A broker alone keeps one copy.
    assert {one["check"] for one in body["findings"] if one["state"] != "ok"} == {"replicas"}
    assert said.code == 0
    assert json.loads(said.out)["healthy"]

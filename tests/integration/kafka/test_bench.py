"""`driftline bench --log` on a real broker: figures of all it measures, and nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from kafka import KafkaAdminClient

from stream.bench_kafka import PREFIX
from stream.bench_quix import is_there
from tests.docs.markdown import section
from tests.docs.shapes import differences, documented, missing
from tests.house.files import ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PATIENCE_S = 30.0
LOOPS = ("driftline", "one_worker", "two_workers", *(["quix"] if is_there() else []))


def bench(kafka: str, *options: str) -> dict[str, Any]:
    """What `driftline bench --log --json` prints, in a process of its own."""
    command = (sys.executable, "-m", "stream.cli.main", "bench", "--log", f"kafka://{kafka}")
    done = subprocess.run((*command, *options, "--json"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_it_measures_the_service_on_a_broker_and_leaves_nothing_there(kafka: str) -> None:
    # when few events are measured, and a second of them
    report = bench(kafka, "--events", "1000", "--runs", "1", "--seconds", "1")

    # then it says how fast each is
    for name in LOOPS:
        # Above any machine's and under that of one which stands still.
        assert 10 < report[name]["events_per_second"] < 1_000_000
        assert 10 < report[name]["cpu_us_per_event"] < 10_000
    speed = {name: report[name]["events_per_second"] for name in LOOPS}
    ratio = speed["two_workers"] / speed["one_worker"]
    assert report["two_to_one"] == pytest.approx(ratio, rel=0.01)
    if "quix" in LOOPS:
        ratio = speed["driftline"] / speed["quix"]
        assert report["ratio_to_quix"] == pytest.approx(ratio, rel=0.01)
    # and how long an event takes
    latency = report["latency"]
    assert latency["events"] == latency["events_per_second"] == 1_000
    assert 1 < latency["p50_ms"] <= latency["p90_ms"] <= latency["p99_ms"] <= latency["max_ms"]
    # in the documented shape
    heading = "## `driftline bench --log kafka://HOST:PORT --json`"
    fields = documented(section(ROOT / "docs" / "json.md", heading))
    assert differences(report, fields) == []
    assert missing([report], fields) == ["quix" if "quix" in LOOPS else "quix.NAME"]
    # and its topics are gone
    deadline_s = time.monotonic() + PATIENCE_S
    while left := _topics_of_the_bench(kafka):
        assert time.monotonic() < deadline_s, left


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_on_a_quiet_machine_the_service_is_as_fast_as_promised(kafka: str) -> None:
    report = bench(kafka)

    latency = report["latency"]
    print(f"\n{latency}, to Quix {report['ratio_to_quix']}, two to one {report['two_to_one']}")
    assert latency["p50_ms"] <= 60
    assert latency["p99_ms"] <= 120
    if "quix" in LOOPS:
        assert report["ratio_to_quix"] >= 0.6
    # The broker and the two workers need a core each.
    if report["cores"] > 2:
        assert report["two_to_one"] >= 1.7


def _topics_of_the_bench(kafka: str) -> list[str]:
    client = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        return [topic for topic in client.list_topics() if topic.startswith(PREFIX)]
    finally:
        client.close()

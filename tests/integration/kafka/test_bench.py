"""`driftline bench --log` on a real broker: figures of all it measures, and nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time

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


def test_it_measures_the_service_on_a_broker_and_leaves_nothing_there(kafka: str) -> None:
    # given few events, and a second of them
    options = ("--events", "1000", "--runs", "1", "--seconds", "1", "--json")
    command = (sys.executable, "-m", "stream.cli.main", "bench", "--log", f"kafka://{kafka}")

    # when it measures
    done = subprocess.run((*command, *options), cwd=ROOT, capture_output=True, text=True)

    # then it says how fast each is
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
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


def _topics_of_the_bench(kafka: str) -> list[str]:
    client = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        return [topic for topic in client.list_topics() if topic.startswith(PREFIX)]
    finally:
        client.close()

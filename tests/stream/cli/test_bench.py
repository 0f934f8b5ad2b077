"""`driftline bench --log`: what cannot be measured is refused at once; and how figures are said."""

from typing import Any

import pytest

from tests.stream.cli.calls import Driftline


@pytest.mark.parametrize("url", ["sqlite:var/shop.db", "memory:", "kafka://", "localhost:9092"])
def test_a_log_that_is_no_broker_is_refused(driftline: Driftline, url: str):
    error, hint = driftline("bench", "--log", url).refusal()

    assert error == f"--log is for brokers, kafka://HOST:PORT, not {url!r}"
    assert hint == "leave it out: the other logs are measured anyway"


def test_a_broker_that_cannot_be_reached_is_said(driftline: Driftline):
    said = driftline("bench", "--log", "kafka://127.0.0.1:1")

    assert said.refusal()[0].startswith("Kafka cannot be reached: 127.0.0.1:1: ")


@pytest.mark.parametrize(
    ("quix", "ratio", "said"),
    [
        (None, None, "Quix Streams is not installed: pip install 'driftline[bench-quix]'"),
        ({"events_per_second": 800, "cpu_us_per_event": 40.0}, 1.25, "to Quix Streams: 1.25\n"),
    ],
)
def test_it_says_what_it_measured_and_what_it_could_not(
    driftline: Driftline,
    monkeypatch: pytest.MonkeyPatch,
    quix: dict[str, float] | None,
    ratio: float | None,
    said: str,
):
    # given figures with or without Quix Streams
    figures = {"events_per_second": 1_000, "cpu_us_per_event": 30.0}
    latency = {"p50_ms": 40.2, "p90_ms": 61.0, "p99_ms": 90.0, "max_ms": 99.0}
    report: dict[str, Any] = {
        "events": 5_000,
        "runs": 3,
        "features": 10,
        "cores": 2,
        **dict.fromkeys(("driftline", "one_worker", "two_workers"), figures),
        "quix": quix,
        "ratio_to_quix": ratio,
        "two_to_one": 1.75,
        "latency": {"events_per_second": 1_000, "events": 9_000, **latency},
    }
    monkeypatch.setattr("stream.bench_kafka.kafka_benchmark", lambda *_: report)

    # when it is told to people
    out = driftline("bench", "--log", "kafka://127.0.0.1:1").out

    # then they are all there, and no others
    assert said in out
    assert ("Quix Streams and River" in out) == (quix is not None)
    assert "two workers to one: 1.75\n" in out
    assert "at 1,000 events/s: p50 40 ms, p90 61 ms, p99 90 ms, most 99 ms\n" in out

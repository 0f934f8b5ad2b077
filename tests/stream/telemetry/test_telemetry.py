"""What a worker tells of itself, and over HTTP."""

import json
import socket
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest

from consumers.record import NewRecord
from consumers.transports.memory import MemoryLog
from stream.commands import RollbackCommand, give, last_id
from stream.errors import ConfigurationError
from stream.telemetry.server import serve
from stream.telemetry.settings import MetricsSettings
from stream.telemetry.telemetry import SILENT_S, Telemetry
from tests.stream.builders import T0_MS
from tests.stream.service import Service
from tests.stream.telemetry.told import values
from tests.stream.workers import Clock, worker

HERE = MetricsSettings(port=0)


def event(number: int) -> tuple[str, int, NewRecord]:
    body = {"id": f"e{number}", "time": T0_MS + number, "x": 1.0}
    return "events", 0, NewRecord(json.dumps(body).encode(), timestamp_ms=T0_MS + number)


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    log.create_topics(1)
    return log


def get(address: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_a_worker_tells_what_it_has_done_and_what_is_left(log):
    log.append([event(n) for n in range(5)])
    log.append([("events", 0, NewRecord(b"no", timestamp_ms=T0_MS + 9))])
    label = NewRecord(b'{"id": "e1", "label": true}', timestamp_ms=T0_MS + 10)
    log.append([("labels", 0, label)])
    telemetry = Telemetry("shop")
    with worker(log, None, telemetry) as one:
        one.run_until_idle()
        runner = one.runners[0]
        told = values(telemetry)

        assert told["driftline_events_total 0"] == 6
        assert told["driftline_labels_total 0"] == 1
        assert told["driftline_labels_joined_total 0"] == 1
        assert told["driftline_pending_labels 0"] == len(runner.shard.parts.pending)
        assert told["driftline_dead_letters_total 0 not_json"] == 1
        # Each severity is told from the beginning, or nobody would see the first one as growth.
        for severity in ("info", "warning", "critical"):
            assert told[f"driftline_alerts_total 0 {severity}"] == 0
        assert told["driftline_journal_entry 0"] == runner.sequence
        assert told["driftline_stream_clock_seconds 0"] == (T0_MS + 10) / 1000
        assert told["driftline_input_lag_records 0 events"] == 0
        assert told["driftline_step_seconds_count"] >= 1
        assert told["driftline_step_seconds_bucket +Inf"] == told["driftline_step_seconds_count"]
        assert told["driftline_step_seconds_sum"] > 0
        one.leave()
        one.turn(0.0)
        assert values(telemetry)["driftline_snapshot_stall_seconds 0"] > 0


def test_what_a_step_leaves_over_is_told_as_lag(log):
    log.append([event(n) for n in range(2_500)])
    telemetry = Telemetry("shop")
    with worker(log, None, telemetry) as one:
        lags = []
        for _ in range(4):  # the first founds the journal
            one.turn(0.0)
            lags.append(values(telemetry).get("driftline_input_lag_records 0 events"))

    assert lags[-1] == 0
    assert 500 in lags


def test_a_shard_that_cannot_carry_out_a_rollback_is_told_as_paused(log):
    log.append([event(n) for n in range(3)])
    telemetry = Telemetry("shop")
    with worker(log, None, telemetry) as one:
        one.run_until_idle()
        assert values(telemetry)["driftline_shard_paused 0"] == 0
        # when a version is rolled back to whose snapshot is nowhere
        command: dict[str, Any] = {"id": "c1", "by": "me", "at_ms": 0}
        log.append(
            [("commands", 0, NewRecord(json.dumps({**command, "command": "version"}).encode()))]
        )
        one.run_until_idle()
        lost = RollbackCommand(
            id="c2", by="me", at_ms=0, after=last_id(log), version=1, snapshots={0: "no/0/1-a"}
        )
        give(log, lost)
        while one.turn(0.0):
            pass

        assert one.runners[0].paused
        assert values(telemetry)["driftline_shard_paused 0"] == 1
        assert telemetry.is_ready


def test_a_worker_is_ready_once_its_shards_are_recovered_and_not_while_it_recovers(log):
    ready = []

    class Watched(Telemetry):
        def recovering(self) -> None:
            super().recovering()
            ready.append(self.is_ready)

    telemetry = Watched("shop")
    with worker(log, None, telemetry) as one:
        ready.append(telemetry.is_ready)
        one.turn(0.0)
        ready.append(telemetry.is_ready)

    # then not before, not while, but after
    assert ready == [False, False, True]
    assert telemetry.shards == [0]


def test_a_worker_that_recovers_beside_its_turns_is_not_ready_for_a_moment():
    service = Service()
    go_on = threading.Event()

    def open_log() -> MemoryLog:
        assert go_on.wait(60)
        return service.log

    ready = []

    class Watched(Telemetry):
        def turned(self, *of: Any, **said: Any) -> None:
            super().turned(*of, **said)
            ready.append((self.is_ready, values(self)["driftline_ready"]))

    worker = service.start(telemetry=Watched("shop"), open_log=open_log)
    worker.turn(0.0)
    worker.turn(0.0)
    go_on.set()
    while not worker.runners:
        worker.turn(1.0)

    assert ready[:2] == [(False, 0), (False, 0)]
    assert ready[-1] == (True, 1)


def test_metrics_and_readiness_are_served_while_the_worker_works(log):
    log.append([event(1)])
    telemetry = Telemetry("shop")
    with serve(HERE, telemetry) as address:
        assert address is not None
        before = get(f"{address}/readyz")
        with worker(log, None, telemetry) as one:
            one.run_until_idle()
        after = get(f"{address}/readyz")
        code, kind, text = get(f"{address}/metrics")
        nothing = get(f"{address}/else")

    assert (before[0], json.loads(before[2])) == (503, {"ready": False, "shards": []})
    assert (after[0], json.loads(after[2])) == (200, {"ready": True, "shards": [0]})
    assert code == 200
    assert kind.startswith("text/plain")
    assert 'driftline_events_total{service="shop",shard="0"} 1.0' in text
    assert 'driftline_ready{service="shop"} 1.0' in text
    assert "process_resident_memory_bytes" in text
    assert nothing[0] == 404
    with pytest.raises(urllib.error.URLError):
        get(f"{address}/healthz")  # it ends with the worker


def test_a_worker_that_does_not_turn_is_unhealthy_until_it_is_heard_of(log):
    clock = Clock()
    telemetry = Telemetry("shop", clock)
    with serve(HERE, telemetry) as address:
        clock.now_s += SILENT_S - 1
        assert get(f"{address}/healthz")[0] == 200
        clock.now_s += 1
        code, _, body = get(f"{address}/healthz")
        assert (code, json.loads(body)) == (503, {"healthy": False, "silent_s": SILENT_S})
        telemetry.beat()
        assert get(f"{address}/healthz")[0] == 200


def test_a_long_replay_is_no_silence(log):
    # given a journal of some entries
    with worker(log) as one:
        for number in range(5):
            log.append([event(number)])
            one.run_until_idle()
    beats = []

    class Heard(Telemetry):
        def beat(self) -> None:
            super().beat()
            beats.append(self.is_ready)

    with worker(log, None, Heard("shop")) as one:
        one.turn(0.0)

    # then each entry replayed was heard of before it was ready
    assert beats.count(False) >= 5


def test_a_port_that_is_taken_is_refused_with_the_way_on():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match="cannot be served") as caught,
            serve(MetricsSettings(port=port), Telemetry("shop")),
        ):
            pass
    assert "metrics.port" in (caught.value.hint or "")


def test_without_a_port_nothing_is_served():
    with serve(MetricsSettings(), Telemetry("shop")) as address:
        assert address is None

"""`driftline run --workers` on a real broker: several processes, one of which is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import psutil
import pytest

from tests.docs.markdown import section
from tests.docs.shapes import differences, documented, missing
from tests.house.files import ROOT
from tests.integration.kafka.broker import two_free_ports
from tests.integration.kafka.conftest import Calm
from tests.integration.kafka.service import Service, make_service, stream_of

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.xdist_group("kafka-faults"),
    pytest.mark.timeout(300),
]

EVENTS = 1_500
PATIENCE_S = 60.0
SIGTERM_S = 10.0
# Small polls make small steps, so that a worker is met in the middle of its work. The workers are
# started as their parent was, so this holds for them too.
DRIFTLINE = """
import stream.worker
stream.worker.POLL_RECORDS = 4
from stream.cli.main import main
main()
"""


class Parent:
    """A running `driftline run --workers`, and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    def said(self) -> str:
        return self._output.read_text()

    def pids(self) -> dict[int, int]:
        """Worker → its newest process."""
        found = re.findall(r"worker (\d+) is process (\d+)", self.said())
        return {int(worker): int(pid) for worker, pid in found}

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits for something while it runs."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, f"this never came: {self.said()}"
            assert self.process.poll() is None, f"it ended: {self.said()}"


@contextmanager
def running(service: Service, *options: str) -> Iterator[Parent]:
    """The command for two workers; whatever happens, none of its processes is left."""
    output = service.folder / "workers.log"
    words = (sys.executable, "-c", DRIFTLINE, "run", str(service.config), *options)
    environment = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    with output.open("wb") as stderr:
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**os.environ, **environment, "DRIFTLINE_KAFKA__INSTANCE": "host"},
            stderr=stderr,
        )
    family = psutil.Process(process.pid)
    try:
        yield Parent(process, output)
    finally:
        left = family.children(recursive=True) if family.is_running() else []
        for one in (*left, family):
            if one.is_running():
                one.kill()
        process.wait()


def test_two_workers_share_the_work_and_one_that_is_killed_is_started_again(
    kafka: str, calm: Calm, tmp_path: Path
) -> None:
    # given two workers on two shards with a long backlog
    stream = stream_of(2, EVENTS)
    service = make_service(tmp_path, kafka, stream, 2)
    owned = {"host-0": [0], "host-1": [1]}
    with running(service, "--workers", "2") as parent:
        parent.until(lambda: len(parent.pids()) == 2 and service.owners() == owned)
        parent.until(
            lambda: all(
                re.search(rf"worker {n} \| .* shard {n} (recovered|starts)", parent.said())
                for n in (0, 1)
            )
        )
        first = parent.pids()

        # when one is killed in the middle of it
        os.kill(first[1], signal.SIGKILL)
        assert not service.is_done(stream)

        # then it alone is started again, with its shard
        parent.until(lambda: parent.pids()[1] != first[1])
        assert "worker 1 was killed by SIGKILL; it is started again in 0.5 s" in parent.said()
        parent.until(lambda: service.is_done(stream))
        assert parent.pids()[0] == first[0]
        parent.until(lambda: service.owners() == owned)

        # and SIGTERM ends them all, each with a snapshot after its last step
        began_s = time.monotonic()
        parent.process.send_signal(signal.SIGTERM)
        assert parent.process.wait(PATIENCE_S) == 0, parent.said()
        assert time.monotonic() - began_s < SIGTERM_S
        assert not any(psutil.pid_exists(pid) for pid in (*first.values(), *parent.pids().values()))
        for worker in (0, 1):
            assert re.search(rf"worker {worker} \| .* shard {worker} stopped at", parent.said())
    service.check(calm(2, EVENTS), stream)


def test_more_workers_than_partitions_are_not_started_and_each_has_a_port_of_its_own(
    kafka: str, calm: Calm, tmp_path: Path
) -> None:
    # given a service of two partitions that serves its metrics
    stream = stream_of(2, EVENTS)
    port = two_free_ports()
    service = make_service(tmp_path, kafka, stream, 2, metrics={"port": port})

    # when three workers are asked for, to work until all is done
    with running(service, "--workers", "3", "--until-idle", "--log-format", "json") as parent:
        for number in (0, 1):
            parent.until(lambda number=number: _shards(port + number) == [number])  # type: ignore[misc]
        assert parent.process.wait(PATIENCE_S) == 0, parent.said()

    # then two did it, and they ended by themselves
    lines = [json.loads(line) for line in parent.said().splitlines()]
    assert "3 workers are too many" in lines[0]["message"]
    ended = [line for line in lines if line.get("event") == "worker_ended"]
    assert sorted((line["worker"], line["exit_code"]) for line in ended) == [(0, 0), (1, 0)]
    service.check(calm(2, EVENTS), stream)
    # and their lines are as documented
    document = ROOT / "docs" / "json.md"
    fields = documented(section(document, "## `driftline run --log-format json`"))
    more = documented(section(document, "## `driftline run --workers N --log-format json`"))
    assert [wrong for line in lines for wrong in differences(line, fields | more)] == []
    assert missing(lines, more) == []


def _shards(port: int) -> list[int] | None:
    """The shards that a worker owns, as it says itself; None while nobody is ready there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            shards: list[int] = json.load(answer)["shards"]
            return shards
    except URLError:
        return None

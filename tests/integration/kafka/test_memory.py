"""A worker that is far behind takes no more memory than one that is a little behind."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import orjson
import pytest
import yaml

from consumers.record import NewRecord
from consumers.transports import open_log
from tests.house.files import ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

START_MS = 1_700_000_000_000
LITTLE, FAR = 4_000, 40_000
PROGRAM = """
import resource, sys
from stream.cli.app import run
sys.argv = ["driftline", "run", sys.argv[1], "--until-idle"]
code = run()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sys.exit(code)
"""


def peak_mb(kafka: str, folder: Path, events: int) -> int:
    """The peak of a worker that begins so many events behind, in MB."""
    name = f"lag-{uuid.uuid4()}"
    url = f"kafka://{kafka}"
    content = {
        "name": name,
        "log": url,
        "log_partitions": 1,
        "events": {"id": "id", "time": "time", "label": "label"},
        # What is kept for each event is kept for a moment of its time.
        "labels": {"wait": "1s"},
        "task": "binary",
        "model": ["preprocessing.StandardScaler", "linear_model.LogisticRegression"],
        "snapshots": {"url": f"file:{folder / name}"},
    }
    config = folder / f"{name}.yaml"
    config.write_text(yaml.safe_dump(content))
    log = open_log(url, name)
    try:
        log.create_topics(1)
        for first in range(0, events, 2_000):
            log.append([("events", 0, event(first + n)) for n in range(2_000)])
        done = subprocess.run(
            (sys.executable, "-c", PROGRAM, str(config)),
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert f"{events} events" in done.stderr.replace(",", "")
    finally:
        log.close()
    return int(done.stdout)


def event(number: int) -> NewRecord:
    """An event of 1,000 bytes, a second after the one before."""
    time_ms = START_MS + number * 1_000
    body = {"id": f"e{number}", "time": time_ms, "x": number % 7, "label": number % 2}
    # Spaces count on the wire and in the client's buffers, and mean nothing.
    text = orjson.dumps(body).ljust(1_000)
    return NewRecord(text, None, (("driftline-time", b"%d" % time_ms),))


def test_memory_does_not_grow_with_the_lag(kafka: str, tmp_path: Path) -> None:
    little, far = (peak_mb(kafka, tmp_path, events) for events in (LITTLE, FAR))
    # 36 MB of events lie between the two; the client's own buffers are the same for both.
    assert far - little < 20, f"{little} and {far} MB"

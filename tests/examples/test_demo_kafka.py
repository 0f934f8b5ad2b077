"""The demo on a real Kafka comes to what it comes to on SQLite, to the bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.files import ROOT
from tests.integration.kafka.fixtures import kafka

__all__ = ["kafka"]

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300), pytest.mark.xdist_group("flights")]

DAYS = ("--until", "2013-01-07", "--kill", "2013-01-04", "--beforehand")


def played(folder: Path, *options: str) -> list[str]:
    """The lines after the stream: figures, alerts, counts and the digest."""
    done = subprocess.run(
        (sys.executable, "-m", "examples.flights.demo", "--folder", str(folder), *DAYS, *options),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    lines = done.stdout.splitlines()
    end = next(n for n, line in enumerate(lines) if line.startswith("The picture of the year"))
    start = next(n for n, line in enumerate(lines) if line.startswith("Recovered in"))
    # What a replay began from and how long it took is another matter.
    return [line for line in lines[start + 2 : end] if line.strip() and "recovered in" not in line]


def test_with_all_input_beforehand_both_logs_give_one_digest_and_one_summary(
    kafka: str, tmp_path: Path
) -> None:
    embedded = played(tmp_path / "embedded")
    on_kafka = played(tmp_path / "kafka", "--kafka", kafka)

    assert any(line.startswith("The digest of all that was decided: ") for line in embedded)
    assert on_kafka == embedded

"""Forks workers that kill themselves, or are killed, from one process that has imported all there
is; run as a program, a JSON order a line on stdin, an answer a line on stdout.

Starting a worker from nothing takes two seconds, a fork ten milliseconds; and nothing of the parent
but its modules is in the child. The parent never starts a thread, so that it may fork.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from consumers.transport import StepCommit, Transport
from stream.configuration import load_file
from stream.opening import open_snapshots, open_worker_transport
from stream.worker import Worker
from tests.simulation.world import SmallPolls


class Suicide:
    """The hook of a worker: SIGKILL to this process when a boundary is passed the nth time."""

    def __init__(self, boundary: str | None, nth: int) -> None:
        self._boundary = boundary
        self._nth = nth
        self._passed: Counter[str] = Counter()

    def __call__(self, boundary: str) -> None:
        self._passed[boundary] += 1
        if boundary == self._boundary and self._passed[boundary] >= self._nth:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalCommits(SmallPolls):
    """A transport with boundaries of its own: before a commit, after all rows of it are written and
    the transaction is still open, and after it."""

    def __init__(self, transport: Transport, size: int, pass_: Callable[[str], None]) -> None:
        super().__init__(transport, size)
        self._pass = pass_

    def commit(self, steps: Sequence[StepCommit]) -> None:
        self._pass("commit.before")
        # SQLite calls it as a statement begins: at COMMIT every row has been written.
        connection = cast(sqlite3.Connection, self._connection)
        connection.set_trace_callback(
            lambda sql: self._pass("written") if sql == "COMMIT" else None
        )
        self._transport.commit(steps)
        connection.set_trace_callback(None)
        self._pass("commit.after")


def work(order: dict[str, Any]) -> None:
    """One worker's life, to the end of the log unless it is killed."""
    configuration = load_file(Path(order["config"]))
    suicide = Suicide(order.get("boundary"), order.get("nth", 1))
    with (
        open_snapshots(configuration) as snapshots,
        open_worker_transport(configuration) as transport,
    ):
        mortal = MortalCommits(transport, order["poll_size"], suicide)
        worker = Worker(configuration, cast(Transport, mortal), snapshots, faults=suicide)
        worker.run_until_idle()
        worker.leave()


def fork(order: dict[str, Any]) -> int:
    """Runs a worker in a child; its exit status, as `os.waitstatus_to_exitcode` gives it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(order)
            status = 0
        except BaseException:  # noqa: BLE001 - a child never returns into its parent's code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    if "delay_s" in order:
        time.sleep(order["delay_s"])
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Answers orders until stdin ends."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(fork(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Forks `driftline run` from one process that has imported all there is; run as a program, a JSON
order a line on stdin, an answer a line on stdout.

Starting a worker from nothing takes two seconds, a fork ten milliseconds; and nothing of the parent
but its modules is in the child. The parent never starts a thread, so that it may fork.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka.producer.transaction_manager import TransactionManager

import stream.cli.run
import stream.worker
from consumers.transports.kafka.transport import KafkaTransport
from stream.cli import app
from stream.worker import Worker

BOUNDARIES = (
    "polled",
    "applied",
    "commit.before",
    "written",
    "commit.after",
    "committed",
    "snapshot put",
    "published",
    "retired",
)
"""Where a worker may be told to end itself; `written` is a whole transaction that is still open."""

REACHED = "the boundary is reached\n"


class Hook:
    """What befalls this process when a boundary is passed the nth time: a signal, or a wait until
    somebody writes to a named pipe."""

    def __init__(self, boundary: str | None, nth: int, fate: int | str) -> None:
        self._boundary = boundary
        self._nth = nth
        self._fate = fate
        self._passed: Counter[str] = Counter()

    def __call__(self, boundary: str) -> None:
        self._passed[boundary] += 1
        if boundary == self._boundary and self._passed[boundary] == self._nth:
            os.write(2, REACHED.encode())
            if isinstance(self._fate, int):
                os.kill(os.getpid(), self._fate)
            else:
                Path(self._fate).read_bytes()


def work(order: dict[str, Any]) -> int:
    """One worker's life, by the command line; its exit code."""
    hook = Hook(order["boundary"], order["nth"], order["fate"])
    patch = pytest.MonkeyPatch()
    _add_boundaries(hook, patch)
    # Small polls make small steps.
    patch.setattr(stream.worker, "POLL_RECORDS", order["poll_records"])
    patch.setattr(stream.cli.run, "Worker", functools.partial(Worker, faults=hook))
    os.environ.update(order["environment"])
    sys.argv = ["driftline", "run", *order["arguments"]]
    return app.run()


def _add_boundaries(pass_: Callable[[str], None], patch: pytest.MonkeyPatch) -> None:
    """Boundaries of the transport's own: before a commit, after all of it is written and the
    transaction is still open, and after it."""
    commit, begin_commit = KafkaTransport.commit, TransactionManager.begin_commit

    def watched_commit(self: KafkaTransport, steps: Any) -> None:
        pass_("commit.before")
        commit(self, steps)
        pass_("commit.after")

    def watched_begin_commit(self: Any) -> Any:
        pass_("written")
        return begin_commit(self)

    patch.setattr(KafkaTransport, "commit", watched_commit)
    patch.setattr(TransactionManager, "begin_commit", watched_begin_commit)


class Child(NamedTuple):
    """A worker, and the end of a pipe that closes with its life."""

    pid: int
    life: int


def fork(order: dict[str, Any]) -> Child:
    """Starts a worker whose output goes to a file."""
    life, held = os.pipe()
    pid = os.fork()
    if pid:
        os.close(held)
        return Child(pid, life)
    status = 70
    try:
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        status = work(order)
    except BaseException:  # noqa: BLE001 - a child never returns into its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def wait(child: Child, timeout_s: float) -> int | None:
    """A worker's exit code, as `os.waitstatus_to_exitcode` gives it; None if it lives on."""
    ended, _, _ = select.select([child.life], [], [], timeout_s)
    if not ended:
        return None
    os.close(child.life)
    _, status = os.waitpid(child.pid, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Answers orders until stdin ends; then ends the workers that are left."""
    children: dict[int, Child] = {}
    for line in sys.stdin:
        order = json.loads(line)
        answer: int | None
        if "wait" in order:
            answer = wait(children[order["wait"]], order["timeout_s"])
            if answer is not None:
                del children[order["wait"]]
        else:
            child = fork(order)
            children[child.pid] = child
            answer = child.pid
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for child in children.values():
        os.kill(child.pid, signal.SIGKILL)
        wait(child, 10.0)


if __name__ == "__main__":
    main()

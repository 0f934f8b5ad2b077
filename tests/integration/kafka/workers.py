"""Workers of a service on Kafka, each a process of its own that a test may kill, stop or end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.kafka.forking import REACHED
from tests.integration.kafka.service import Service

ROOT = Path(__file__).parents[3]
KILLED = -signal.SIGKILL
PATIENCE_S = 60.0


class Workers:
    """The warmed process that workers are forked from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.kafka.forking"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._count = 0

    def start(
        self,
        service: Service,
        *options: str,
        slot: int = 0,
        instance: str = "host",
        poll_records: int = 12,
        boundary: str | None = None,
        nth: int = 1,
        fate: int | Path = signal.SIGKILL,
        **environment: str,
    ) -> WorkerProcess:
        """Starts `driftline run`; on passing `boundary` the nth time it sends itself the signal
        `fate`, or waits until something is written to that named pipe."""
        self._count += 1
        output = service.folder / f"worker-{self._count}.log"
        pid = self.ask(
            arguments=[str(service.config), *options],
            environment={
                "DRIFTLINE_KAFKA__INSTANCE": instance,
                "DRIFTLINE_KAFKA__SLOT": str(slot),
                **environment,
            },
            poll_records=poll_records,
            boundary=boundary,
            nth=nth,
            fate=int(fate) if isinstance(fate, int) else str(fate),
            output=str(output),
        )
        assert pid is not None
        return WorkerProcess(self, pid, output)

    def life(self, service: Service, **how: Any) -> int:
        """One worker's life to the end of the log, or to its death; its exit code."""
        worker = self.start(service, "--until-idle", **how)
        return worker.ended(PATIENCE_S)

    def finish(self, service: Service, **how: Any) -> None:
        """One worker's life to the end of the log."""
        worker = self.start(service, "--until-idle", **how)
        assert worker.ended(PATIENCE_S) == 0, worker.said()

    def ask(self, **order: Any) -> int | None:
        """Gives an order; its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: int | None = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """Ends it, and the workers that are left."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@dataclass
class WorkerProcess:
    """One worker."""

    workers: Workers
    pid: int
    output: Path
    code: int | None = field(default=None)

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, once it has ended; None if it lives on after that time."""
        if self.code is None:
            self.code = self.workers.ask(wait=self.pid, timeout_s=timeout_s)
        return self.code

    def ended(self, timeout_s: float) -> int:
        """Its exit code, which has to come within that time."""
        code = self.wait(timeout_s)
        assert code is not None, f"it lives on after {timeout_s} s: {self.said()}"
        return code

    def send(self, signal_: int) -> None:
        """Sends it a signal."""
        assert self.code is None, "it has ended"
        os.kill(self.pid, signal_)

    def kill(self) -> None:
        """Ends it at once."""
        self.send(signal.SIGKILL)
        assert self.ended(PATIENCE_S) == KILLED

    def said(self) -> str:
        """What it has written to stdout and stderr so far."""
        return self.output.read_text() if self.output.exists() else ""

    def until(self, condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> float:
        """Waits for something while it works; how long (s) that took."""
        began_s = time.monotonic()
        while not condition():
            assert time.monotonic() - began_s < timeout_s, f"this never came: {self.said()}"
            code = self.wait(0.01)
            assert code is None, f"it ended with {code}: {self.said()}"
        return time.monotonic() - began_s

    def until_said(self, text: str, timeout_s: float = PATIENCE_S) -> float:
        """Waits until it has written `text`."""
        return self.until(lambda: text in self.said(), timeout_s)

    def until_reached(self) -> None:
        """Waits until it has come to its boundary."""
        self.until_said(REACHED)

    def stop(self) -> None:
        """Ends it by SIGTERM, which has to work within ten seconds."""
        self.send(signal.SIGTERM)
        assert self.ended(10.0) == 0, self.said()

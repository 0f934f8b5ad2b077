"""The commands of driftline as processes of their own, which the demo starts, watches and kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

import orjson

DRIFTLINE = Path(sys.executable).parent / "driftline"
# A service told to stop takes a snapshot first; it promises to be gone within 10 s.
GRACE_S = 30.0
_SHOWN_LINES = 20


class ChildFailedError(Exception):
    """A command ended otherwise than it should; the message holds what it said on stderr."""


def output_of(*words: str | Path) -> str:
    """What a command prints, run to its end; raises ChildFailedError if it ended badly."""
    done = subprocess.run(
        [DRIFTLINE, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode != 0:
        raise ChildFailedError(
            f"driftline {words[0]} ended with code {done.returncode}; it said:\n{done.stderr}"
        )
    return done.stdout


def _environment() -> dict[str, str]:
    """What the caller has set for a service of theirs must not redirect this one."""
    return {k: v for k, v in os.environ.items() if not k.startswith("DRIFTLINE_")}


class Child:
    """One running command; a context manager that leaves nothing running behind.

    What it writes on stderr is collected while it runs, so that a full pipe never holds it up.
    """

    def __init__(self, *words: str | Path) -> None:
        self.name = f"driftline {words[0]}"
        self._process = subprocess.Popen(
            [DRIFTLINE, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_environment(),
        )
        self._lines: list[bytes] = []
        self._reader = Thread(target=self._collect, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stderr is not None:
            self._process.stderr.close()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def is_done(self) -> bool:
        """Whether it has ended well; raises ChildFailedError if it has ended badly."""
        code = self._process.poll()
        if code is None:
            return False
        if code != 0:
            raise self.failure(f"ended with code {code}")
        return True

    def finish(self) -> None:
        """Waits until it has ended; raises ChildFailedError if it ended badly."""
        self._process.wait()
        self.is_done()

    def must_run(self) -> None:
        """Raises ChildFailedError if it has ended, well or badly."""
        if self.is_done():
            raise self.failure("ended by itself")

    def kill(self) -> None:
        """Kills it as `kill -9` does and waits until it is gone."""
        self._process.send_signal(signal.SIGKILL)
        code = self._process.wait()
        if code != -signal.SIGKILL:
            raise self.failure(f"ended with code {code} before it could be killed")

    def stop(self) -> None:
        """Asks it to stop (SIGTERM) and waits until it has; it must end well."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            raise self.failure(f"was still there {GRACE_S:.0f} s after SIGTERM") from None
        self._reader.join()
        if code != 0:
            raise self.failure(f"ended with code {code}")

    def event(self, name: str) -> dict[str, Any] | None:
        """The line of its JSON log that reports the event `name`; None if there is none yet."""
        for line in list(self._lines):
            if line.startswith(b"{"):
                said: dict[str, Any] = orjson.loads(line)
                if said.get("event") == name:
                    return said
        return None

    def failure(self, what: str) -> ChildFailedError:
        """An error that says what went wrong, and what the process said last."""
        if self._process.poll() is not None:
            self._reader.join()
        said = b"".join(self._lines[-_SHOWN_LINES:]).decode(errors="replace").rstrip()
        return ChildFailedError(f"{self.name} {what}; it said:\n{said or '(nothing)'}")

    def _collect(self) -> None:
        assert self._process.stderr is not None, "stderr is a pipe"
        for line in self._process.stderr:
            self._lines.append(line)

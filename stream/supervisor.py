"""Several workers on one machine, each a process of its own that is started again when it dies.

A worker keeps its identity over restarts, so one that is started again has its shards back within
seconds, and the others' do not move. One that dies again and again at once will go on dying: then
the others are ended too, and the error says how it ended. So is it when a worker has stopped to
protect the state, or has been replaced by another one of its identity: starting it again would do
harm.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from stream.errors import WorkersFailedError

FIRST_WAIT_S: Final = 0.5
MOST_WAIT_S: Final = 30.0
# It lived long enough for its next death to be another matter.
WELL_S: Final = 60.0
DEATHS: Final = 6
# Ends take a second or two; what takes longer hangs, and to be killed loses nothing.
END_S: Final = 25.0
_TICK_S: Final = 0.05


@dataclass(frozen=True)
class Command:
    """How a worker is started: its name, a number, its words and what its environment adds."""

    name: int
    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class News:
    """What the supervisor tells while it works; by default nobody listens."""

    def said(self, name: int, line: str) -> None:
        """A worker has written a line to stderr; called from a thread of that worker's."""

    def started(self, name: int, pid: int) -> None:
        """A worker was started."""

    def ended(self, name: int, code: int, wait_s: float | None) -> None:
        """A worker has ended, and is started again after so long; None: it is not."""


class Supervisor:
    """Keeps workers at work until they have done it, or `stop`.

    Parameters
    ----------
    commands
        One for each worker.
    final
        The exit codes after which a worker is not started again.
    until_done
        Whether exit code 0 says that a worker has done its work; otherwise it is started again.
    news
        Who is told what happens.
    first_wait_s
        The wait before the first new start; each one doubles.
    end_s
        How long workers may take to end.
    """

    def __init__(
        self,
        commands: Sequence[Command],
        *,
        final: Sequence[int] = (),
        until_done: bool = False,
        news: News | None = None,
        first_wait_s: float = FIRST_WAIT_S,
        end_s: float = END_S,
    ) -> None:
        self._slots = [_Slot(command) for command in commands]
        self._final = final
        self._until_done = until_done
        self._news = news or News()
        self._first_wait_s = first_wait_s
        self._end_s = end_s
        self._stopping = False

    def run(self) -> None:
        """Returns when every worker has ended, none of them left behind.

        Raises
        ------
        WorkersFailedError
            A worker cannot go on, and the others were ended in order; or one did not end in order.
        """
        try:
            while not self._stopping and any(not slot.done for slot in self._slots):
                for slot in self._slots:
                    self._tend(slot)
                time.sleep(_TICK_S)
        except BaseException:
            self._end()
            raise
        for slot, code in self._end():
            # One that has not begun yet dies of the signal, and has nothing to put in order.
            if code not in {0, -signal.SIGTERM}:
                raise WorkersFailedError(
                    f"worker {slot.command.name} was told to end, and {fate(code)}",
                    "nothing is lost: the next start recovers what it had; its error stands above",
                )

    def stop(self) -> None:
        """Ends the workers, and then `run`; safe in a signal handler."""
        self._stopping = True

    def _tend(self, slot: _Slot) -> None:
        """Starts a worker that is due, or looks whether it has ended."""
        if slot.done or self._stopping:
            return
        if slot.process is None:
            if time.monotonic() >= slot.due_s:
                self._start(slot)
            return
        code = slot.process.poll()
        if code is None:
            return
        slot.forget()
        if code == 0 and self._until_done:
            slot.done = True
            self._news.ended(slot.command.name, code, None)
            return
        lived_s = time.monotonic() - slot.started_s
        slot.deaths = 1 if lived_s >= WELL_S else slot.deaths + 1
        if code in self._final or slot.deaths >= DEATHS:
            slot.done = True
            self._news.ended(slot.command.name, code, None)
            raise _failure(slot, code, final=code in self._final)
        wait_s = min(MOST_WAIT_S, self._first_wait_s * 2 ** (slot.deaths - 1))
        slot.due_s = time.monotonic() + wait_s
        self._news.ended(slot.command.name, code, wait_s)

    def _start(self, slot: _Slot) -> None:
        command = slot.command
        process = subprocess.Popen(
            command.words,
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C is for this process alone: it ends the workers, each once.
            process_group=0,
        )
        slot.process, slot.started_s = process, time.monotonic()
        slot.reader = threading.Thread(target=self._read, args=(command.name, process), daemon=True)
        slot.reader.start()
        self._news.started(command.name, process.pid)

    def _read(self, name: int, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self._news.said(name, line.rstrip("\n"))

    def _end(self) -> list[tuple[_Slot, int]]:
        """Ends the workers that are left, and waits for them; how each has ended."""
        ended = []
        left = [slot for slot in self._slots if slot.process is not None]
        for slot in left:
            assert slot.process is not None
            slot.process.send_signal(signal.SIGTERM)
        deadline_s = time.monotonic() + self._end_s
        for slot in left:
            assert slot.process is not None
            try:
                code = slot.process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                slot.process.kill()
                code = slot.process.wait()
            slot.forget()
            self._news.ended(slot.command.name, code, None)
            ended.append((slot, code))
        return ended


class _Slot:
    """A worker's place: its process if it has one, and how it has fared."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.process: subprocess.Popen[str] | None = None
        self.reader: threading.Thread | None = None
        self.started_s = 0.0
        self.due_s = 0.0
        self.deaths = 0
        self.done = False

    def forget(self) -> None:
        """After the process's end: all that it said has been passed on."""
        assert self.reader is not None
        self.reader.join()
        self.process = self.reader = None


def fate(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _failure(slot: _Slot, code: int, *, final: bool) -> WorkersFailedError:
    name = slot.command.name
    if final:
        return WorkersFailedError(
            f"worker {name} {fate(code)}, and would again; the others were ended",
            "its own error stands above",
            exit_code=code,
        )
    return WorkersFailedError(
        f"worker {name} died {slot.deaths} times, each within {WELL_S:.0f} s of its start; "
        f"at last it {fate(code)}; the others were ended",
        "its own errors stand above: mend their cause, and run again",
    )

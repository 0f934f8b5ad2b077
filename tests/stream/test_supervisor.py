"""Workers that die, do their work, or will not end, each a real process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.errors import WorkersFailedError
from stream.supervisor import DEATHS, Command, News, Supervisor

WAIT_S = 0.01
ENDS_WELL = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", file=sys.stderr, flush=True)
signal.pause()
"""
HANGS = ENDS_WELL.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN").replace(
    "signal.pause()", "\nwhile True: signal.pause()"
)


class Told(News):
    """Keeps all that it is told, and may act on a worker's line."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.pids: list[int] = []
        self.ends: list[tuple[int, int, float | None]] = []
        self.on_line: Callable[[], None] = lambda: None

    def said(self, name: int, line: str) -> None:
        self.lines.append((name, line))
        self.on_line()

    def started(self, name: int, pid: int) -> None:
        self.pids.append(pid)

    def ended(self, name: int, code: int, wait_s: float | None) -> None:
        self.ends.append((name, code, wait_s))


def command(name: int, code: str, *arguments: str) -> Command:
    return Command(name, (sys.executable, "-S", "-c", code, *arguments))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_that_dies_again_and_again_is_given_up_and_the_others_are_ended() -> None:
    # given a worker that cannot live, beside one that can
    told = Told()
    commands = [command(3, "import sys; sys.exit('no such model')"), command(4, ENDS_WELL)]
    supervisor = Supervisor(commands, news=told, first_wait_s=WAIT_S)

    # when they are run
    with pytest.raises(WorkersFailedError) as caught:
        supervisor.run()

    # then it was tried ever more slowly, and the error says how it ended
    waits = [wait_s for name, _, wait_s in told.ends if name == 3]
    assert waits == [WAIT_S * 2**death for death in range(DEATHS - 1)] + [None]
    assert f"worker 3 died {DEATHS} times" in str(caught.value)
    assert "at last it ended with exit code 1" in str(caught.value)
    assert caught.value.exit_code == 2
    assert told.lines.count((3, "no such model")) == DEATHS
    # and nobody is left
    assert told.ends[-1][0] == 4
    assert not any(is_alive(pid) for pid in told.pids)


def test_one_that_was_killed_is_started_again_with_what_it_had(tmp_path: Path) -> None:
    # given a worker that kills itself in its first life
    life = tmp_path / "life"
    code = (
        "import os, pathlib, signal, sys; life = pathlib.Path(sys.argv[1])\n"
        "if not life.exists():\n"
        "    life.write_text(os.environ['SLOT']); os.kill(os.getpid(), signal.SIGKILL)\n"
        "print(life.read_text() == os.environ['SLOT'], file=sys.stderr)"
    )
    words = (sys.executable, "-S", "-c", code, str(life))
    told = Told()

    # when it is run until it is done
    Supervisor(
        [Command(0, words, {"SLOT": "7"})], until_done=True, news=told, first_wait_s=WAIT_S
    ).run()

    # then its second life did the work, and it was not started a third time
    assert told.ends == [(0, -signal.SIGKILL, WAIT_S), (0, 0, None)]
    assert told.lines == [(0, "True")]


def test_one_that_has_ended_for_good_reason_is_not_started_again() -> None:
    told = Told()
    supervisor = Supervisor([command(0, "import sys; sys.exit(3)")], final=(3,), news=told)

    with pytest.raises(WorkersFailedError, match="worker 0 ended with exit code 3") as caught:
        supervisor.run()

    assert caught.value.exit_code == 3
    assert told.ends == [(0, 3, None)]


def test_a_service_goes_on_where_a_worker_was_ended_by_hand() -> None:
    # given a service, not a script's run: exit code 0 is no end of the work
    told = Told()
    supervisor = Supervisor([command(0, "")], news=told, first_wait_s=WAIT_S)

    with pytest.raises(WorkersFailedError):
        supervisor.run()

    assert len(told.pids) == DEATHS


def test_told_to_stop_it_ends_every_worker_in_order() -> None:
    told = Told()
    supervisor = Supervisor([command(n, ENDS_WELL) for n in range(2)], news=told)
    told.on_line = lambda: supervisor.stop() if len(told.lines) == 2 else None

    supervisor.run()

    assert sorted(told.ends) == [(0, 0, None), (1, 0, None)]
    assert not any(is_alive(pid) for pid in told.pids)


def test_one_that_will_not_end_is_killed_and_the_error_says_so() -> None:
    told = Told()
    supervisor = Supervisor([command(0, HANGS)], news=told, end_s=0.05)
    told.on_line = supervisor.stop

    with pytest.raises(WorkersFailedError, match="told to end, and was killed by SIGKILL"):
        supervisor.run()

    assert not is_alive(told.pids[0])

"""The bench's processes: one that fails, or dies, ends the measurement with what it was."""

import os
import signal
from multiprocessing.connection import Connection

import pytest

from stream.bench_processes import Child
from stream.errors import BenchError


def answer(pipe: Connection, number: int) -> int:
    pipe.send("ready")
    word: str = pipe.recv()
    return number if word == "begin" else 0


def fail(pipe: Connection) -> None:
    raise ValueError("no such broker")


def die(pipe: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_child_waits_for_a_word_and_gives_its_result() -> None:
    with Child(answer, 7) as child:
        assert child.wait() == "ready"
        child.tell("begin")
        assert child.wait() == 7


def test_a_child_that_fails_tells_why() -> None:
    with Child(fail) as child, pytest.raises(BenchError, match="ValueError: no such broker"):
        child.wait()


def test_a_child_that_dies_is_no_wait_for_ever() -> None:
    with Child(die) as child, pytest.raises(BenchError, match="exit code -9"):
        child.wait()

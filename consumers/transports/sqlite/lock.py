"""The worker's lock: an operating-system lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
import socket
import time
import weakref
from contextlib import suppress
from pathlib import Path

import orjson

from consumers.errors import LogUnavailableError, WorkerRunningError


class WorkerLock:
    """Holds PATH.lock from construction to `release`, or to the death of this process.

    Raises `WorkerRunningError` naming the holder, as it wrote itself into the file. The file stays
    behind: removing it would let two workers lock two files of the same name.
    """

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        try:
            self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise LogUnavailableError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(self._fd)
            self.release()
            raise WorkerRunningError(
                f"{database} has a worker already: {holder}",
                "stop that worker first; reading and appending need no lock",
            ) from None
        _held.add(self)
        holder_json = orjson.dumps(
            {"pid": os.getpid(), "host": socket.gethostname(), "since": int(time.time())}
        )
        # Who holds it is a courtesy: the lock holds on a full disk too.
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, holder_json, 0)

    def release(self) -> None:
        """Gives the lock up; may be called twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _holder(fd: int) -> str:
    try:
        holder = orjson.loads(os.pread(fd, 1_000, 0))
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(holder["since"]))
        return f"process {holder['pid']} on {holder['host']}, since {since}"
    except (OSError, ValueError, TypeError, KeyError):
        return "it has not said which process it is"


_held: weakref.WeakSet[WorkerLock] = weakref.WeakSet()


def _release_inherited() -> None:
    for lock in list(_held):
        lock.release()


# A lock is shared with forked children, and would outlive its worker with any of them.
os.register_at_fork(after_in_child=_release_inherited)

"""Create a file whole and durably or not at all, on a local disk.

Steps of `create_file`, and what a crash after each leaves behind:

1. `temp`    a temporary file beside the target, locked          → a leftover, swept later
2. `written` the bytes are in it                                 → a leftover
3. `synced`  and on the disk                                     → a leftover
4. `linked`  the target is a second name of the same file        → the whole target, maybe
5. `durable` the folder is on the disk too                       → the whole target
6. the temporary name is removed

Step 4 is the conditional one: a link fails where a name is taken, atomically, also between
processes; a rename would replace.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path

_TEMPORARY = ".driftline-tmp-"


def create_file(path: Path, data: bytes, *, reached: Callable[[str], None] | None = None) -> bool:
    """Whether the file was created; False if the name was taken, whose file is left as it is.

    On return the name is on the disk, whoever created it, with the mode 0600. Missing folders are
    made with 0700.

    Parameters
    ----------
    reached
        Called with the name of each step after it; it may raise or end the process. For tests.

    Raises
    ------
    OSError
        Nothing is then left behind but, at worst, an unnamed leftover for `sweep`.
    """
    make_folder(path.parent)
    while True:
        temporary = path.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            # The lock dies with its process: that is how `sweep` knows a leftover.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _report(reached, "temp")
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            _report(reached, "written")
            os.fsync(descriptor)
            _report(reached, "synced")
            created = True
            try:
                os.link(temporary, path)
            except FileExistsError:
                created = False
            except FileNotFoundError:
                # A sweep came between our open and our lock.
                continue
            _report(reached, "linked")
            # Also when another created it: it may have died before this very step.
            sync_folder(path.parent)
            _report(reached, "durable")
            return created
        finally:
            temporary.unlink(missing_ok=True)
            os.close(descriptor)


def sweep(folder: Path) -> int:
    """The number of leftovers of dead processes removed from the folder, not from those below."""
    removed = 0
    for path in folder.glob(f"{_TEMPORARY}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            removed += 1
        except BlockingIOError:
            continue  # its writer lives
        finally:
            os.close(descriptor)
    return removed


def make_folder(folder: Path) -> None:
    """Make the folder and those above it, each one's name durable; what exists is left alone."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put the folder's names on the disk; without it a crash can forget a file just made."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _report(reached: Callable[[str], None] | None, step: str) -> None:
    if reached is not None:
        reached(step)

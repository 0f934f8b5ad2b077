"""Snapshots in a local folder, durable when `put` returns.

Not through obstore's own local store, which never syncs: after a power cut its objects can be
empty files under their final name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from learners.errors import StoreError
from learners.snapshots.durable import create_file, sweep, sync_folder
from learners.snapshots.store import StoredObject, check_key, check_same


class LocalStore:
    """A `SnapshotStore` in a folder; files are readable by their owner alone.

    Parameters
    ----------
    folder
        Made when the first object is put.
    reached
        Called at each step of a put (`durable.create_file`); for tests of crashes.
    """

    def __init__(self, folder: Path, *, reached: Callable[[str], None] | None = None) -> None:
        self._folder = folder.absolute()
        self._reached = reached
        self.name = f"file:{folder}"

    def __repr__(self) -> str:
        return f"LocalStore({self.name!r})"

    def put(self, key: str, data: bytes, *, same: Callable[[bytes], bool] | None = None) -> bool:
        """Create the object; see `SnapshotStore.put`. Removes what dead writers left beside it."""
        path = self._path(key)
        with self._told("write", key):
            if path.parent.is_dir():
                sweep(path.parent)
            while not create_file(path, data, reached=self._reached):
                found = self.get(key)
                if found is not None:  # else deleted in between
                    check_same(self, key, data, found, same)
                    return False
        return True

    def get(self, key: str) -> bytes | None:
        """The object's bytes, or None."""
        with self._told("read", key):
            try:
                return self._path(key).read_bytes()
            except FileNotFoundError:
                return None

    def head(self, key: str) -> int | None:
        """The object's size in bytes, or None."""
        with self._told("read", key):
            try:
                return self._path(key).stat().st_size
            except FileNotFoundError:
                return None

    def list(self, prefix: str = "") -> list[StoredObject]:
        """All objects under the prefix, sorted by key."""
        top = self._path(prefix) if prefix else self._folder
        found = []
        with self._told("list", prefix):
            if self._folder.exists() and not self._folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            for folder, _, names in os.walk(top, onerror=_unless_gone):
                for name in names:
                    if name.startswith("."):
                        continue
                    path = Path(folder, name)
                    try:
                        stat = path.stat()
                    except FileNotFoundError:
                        continue  # retired while we look
                    key = path.relative_to(self._folder).as_posix()
                    found.append(StoredObject(key, stat.st_size, stat.st_mtime_ns // 1_000_000))
        return sorted(found)

    def delete(self, key: str) -> None:
        """Remove the object, durably."""
        path = self._path(key)
        with self._told("delete", key):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            sync_folder(path.parent)

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._folder / key

    @contextmanager
    def _told(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(
                f"cannot {verb} {key or 'snapshots'} in {self.name}: {reason}",
                hint=_HINTS.get(error.errno or 0),
            ) from error


_NO_ROOM = "make room on the disk; nothing was lost, the next snapshot is tried again"
_NO_PERMISSION = "let the user that driftline runs as write in that folder"
_HINTS = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EFBIG: _NO_ROOM,
    errno.EACCES: _NO_PERMISSION,
    errno.EROFS: _NO_PERMISSION,
    errno.EPERM: "the folder must be on a file system with hard links, and writable",
    errno.EOPNOTSUPP: "the folder must be on a file system with hard links",
    errno.ENOTDIR: "snapshots.url must name a folder; something else is in its place",
    errno.EEXIST: "snapshots.url must name a folder; something else is in its place",
}


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error

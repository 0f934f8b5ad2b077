"""The file: made, recognised, opened, and its failures told in this package's errors.

`application_id` says that a database is one of ours, `user_version` in which format, the `service`
table whose. A file that is not ours is only ever looked at.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from consumers.errors import (
    CommitUnknownError,
    LogFullError,
    LogUnavailableError,
    LogUnreadableError,
    PartitionCountError,
    RecordRefusedError,
    TopicsMissingError,
)
from consumers.transport import TOPICS

APPLICATION_ID: Final = 0x64726674  # "drft"
FORMAT: Final = 1
BUSY_TIMEOUT_S: Final = 10.0

# A record's id is its partition's id and its offset in one number, since rows of an integer key
# are written and read 1.5 times as fast as those of a composite one.
OFFSET_BITS: Final = 40

_ELSEWHERE: Final = "point `log:` at another path"

_SCHEMA: Final = f"""
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {FORMAT};
    CREATE TABLE service (name TEXT NOT NULL, partitions INTEGER NOT NULL) STRICT;
    CREATE TABLE partitions (
        id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        first_offset INTEGER NOT NULL DEFAULT 0,
        next_offset INTEGER NOT NULL DEFAULT 0,
        stamped_ms INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE records (
        id INTEGER PRIMARY KEY,  -- partitions.id << {OFFSET_BITS} | offset
        timestamp_ms INTEGER NOT NULL,
        key BLOB,
        value BLOB,
        headers BLOB
    ) STRICT;
    CREATE TABLE positions (
        shard INTEGER PRIMARY KEY,
        events INTEGER NOT NULL,
        labels INTEGER NOT NULL,
        commands INTEGER NOT NULL,
        note TEXT NOT NULL
    ) STRICT;
"""


def create(path: Path, service: str, partitions: int) -> None:
    """Makes the log at `path`, folders included; does nothing if it is there with that count."""
    if not _recognise(path):
        _make(path, service, partitions)
    db = open_log(path, service)
    (count,) = db.execute("SELECT partitions FROM service").fetchone()
    db.close()
    if count != partitions:
        raise PartitionCountError(f"{path} has {count} partitions for ever, not {partitions}")


def open_log(path: Path, service: str) -> sqlite3.Connection:
    """A connection to the service's log at `path`, in autocommit; raises `TopicsMissingError`."""
    if not _recognise(path):
        raise TopicsMissingError(f"{path} has not been created")
    with translated(path):
        uri = f"file:{quote(str(path))}?mode=rw"
        db = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            _require_ours(db, path)
            owner = db.execute("SELECT name FROM service").fetchone()
            if owner is None or owner[0] != service:
                raise LogUnreadableError(
                    f"{path} is the log of {owner and owner[0]!r}, not of {service!r}",
                    "give each service a `log:` of its own, or the `name:` that the log has",
                )
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            # A WAL that a long reader made grow is cut back to this.
            db.execute("PRAGMA journal_size_limit = 67108864")
        except BaseException:
            db.close()
            raise
        return db


def _make(path: Path, service: str, partitions: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogUnavailableError(f"{path.parent} cannot be made: {error.strerror}") from error
    with translated(path):
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            db.execute("PRAGMA page_size = 8192")
            db.execute("PRAGMA synchronous = FULL")
            with write_transaction(db, path):
                if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                    for statement in _SCHEMA.split(";"):
                        db.execute(statement)
                    db.execute("INSERT INTO service VALUES (?, ?)", (service, partitions))
                    db.executemany(
                        "INSERT INTO partitions (id, topic, partition) VALUES (?, ?, ?)",
                        [
                            (index * partitions + partition, topic, partition)
                            for index, topic in enumerate(TOPICS)
                            for partition in range(partitions)
                        ],
                    )
            # After the transaction, so that the file itself says from its first byte what it is.
            db.execute("PRAGMA journal_mode = WAL")
        finally:
            db.close()


def _recognise(path: Path) -> bool:
    """True for a log of ours, False where nothing is yet; raises `LogUnreadableError` for others.

    Read through SQLite, since closing a descriptor of our own would drop every lock that this
    process holds on the file; as immutable, so that not even a journal is made beside it.
    """
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise LogUnavailableError(f"{path} cannot be opened: {error.strerror}") from error
    if stat.st_nlink > 1 and path.is_file():
        raise LogUnreadableError(
            f"{path} has {stat.st_nlink} names (hard links); SQLite would keep a journal for each",
            "copy the file instead of linking it, and remove all names but one",
        )
    if not path.is_file():
        raise LogUnreadableError(f"{path} is not a file", _ELSEWHERE)
    if stat.st_size == 0:
        return False
    with translated(path):
        db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
        try:
            _require_ours(db, path)
        except sqlite3.DatabaseError as error:
            # Without its journal a database in the middle of a checkpoint looks damaged; opened
            # together they tell.
            if error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT:
                raise
        finally:
            db.close()
    return True


def _require_ours(db: sqlite3.Connection, path: Path) -> None:
    (application_id,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        raise LogUnreadableError(f"{path} is a database of another program", _ELSEWHERE)
    if version > FORMAT:
        raise LogUnreadableError(
            f"{path} is of format {version}; this driftline reads format {FORMAT}",
            "use the driftline that wrote it, or a newer one",
        )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into this package's."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path) from error


def _translate(error: sqlite3.Error, path: Path) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_FULL:
            return LogFullError(f"{path}: the disk is full", "free some space, then start again")
        case sqlite3.SQLITE_NOTADB:
            return LogUnreadableError(f"{path} is not a log", _ELSEWHERE)
        case sqlite3.SQLITE_CORRUPT:
            return LogUnreadableError(f"{path} is damaged: {error}", "restore it from a backup")
        case sqlite3.SQLITE_TOOBIG:
            return RecordRefusedError(f"{path}: a record may have at most 1,000,000,000 bytes")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LogUnavailableError(f"{path} was locked for over {BUSY_TIMEOUT_S:.0f} s")
        case (
            sqlite3.SQLITE_CANTOPEN
            | sqlite3.SQLITE_PERM
            | sqlite3.SQLITE_READONLY
            | sqlite3.SQLITE_IOERR
        ):
            return LogUnavailableError(f"{path} cannot be read and written: {error}")
    return error


@contextmanager
def write_transaction(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    """One write transaction: all of the block, or nothing.

    Raises the errors of `translated`; `CommitUnknownError` where the disk failed while committing.
    """
    with translated(path):
        db.execute("BEGIN IMMEDIATE")
    try:
        with translated(path):
            yield
    except BaseException:
        _roll_back(db)
        raise
    try:
        db.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(db)
        translation = _translate(error, path)
        if isinstance(translation, LogFullError) or getattr(error, "sqlite_errorcode", 0) == (
            sqlite3.SQLITE_BUSY
        ):
            raise translation from error
        raise CommitUnknownError(f"{path}: the commit failed: {error}") from error


def _roll_back(db: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")

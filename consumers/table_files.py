"""Files of rows as they are written: Parquet, or JSON lines; whole or not at all."""

from __future__ import annotations

import gzip
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol, cast

import orjson

from consumers.decoding import Value
from consumers.errors import FileError
from consumers.times import format_time

Kind = Literal["boolean", "integer", "number", "text", "time", "mixed"]
"""What a column holds; None is allowed in each. `time` is milliseconds since the epoch, `mixed`
values that no other kind holds all of."""

Row = Mapping[str, Value | None]

STDOUT: Final = "-"

_ENDINGS: Final = (".parquet", ".jsonl", ".jsonl.gz")
_KIND_OF: Final[dict[type, Kind]] = {bool: "boolean", int: "integer", float: "number", str: "text"}
_MAX_INTEGER: Final = 2**63 - 1


class TableWriter(Protocol):
    """Rows go in, in batches that fit into memory; a column that a row lacks is null in it."""

    def write(self, rows: Sequence[Row]) -> None:
        """Writes the rows behind those that were written before."""
        ...


class KindsSeen:
    """The kinds of columns that are known only when all values were seen."""

    def __init__(self) -> None:
        self._types: dict[str, set[type]] = {}
        self._last: dict[str, type] = {}

    def add(self, values: Mapping[str, Value | None]) -> None:
        """Takes note of a row's values; 1 µs for ten of them."""
        last = self._last
        for name, value in values.items():
            kind = type(value)
            if kind is not last.get(name):
                self._add(name, value, kind)
            elif kind is int and not -_MAX_INTEGER <= value <= _MAX_INTEGER:  # type: ignore[operator]
                self._add(name, value, float)

    def _add(self, name: str, value: Value | None, kind: type) -> None:
        types = self._types.setdefault(name, set())
        if value is not None:
            types.add(kind)
            self._last[name] = kind

    def kinds(self) -> dict[str, Kind]:
        """Each column with its kind, in the order in which they were first seen."""
        return {name: _joined(types) for name, types in self._types.items()}


def _joined(types: set[type]) -> Kind:
    if len(types) == 1:
        return _KIND_OF[next(iter(types))]
    return "number" if types <= {int, float} else "mixed"


def check_table_name(name: str) -> None:
    """FileError unless rows can be written to a file of this name, or to stdout (`-`)."""
    if name != STDOUT and not name.lower().endswith(_ENDINGS):
        raise FileError(
            f"{name}: the file's name must end in one of {', '.join(_ENDINGS)}",
            "name it after the format that is wanted; - writes JSON lines to stdout",
        )
    if name.lower().endswith(".parquet"):
        _pyarrow(name)


@contextmanager
def open_table(name: str, columns: Mapping[str, Kind], stdout: BinaryIO) -> Iterator[TableWriter]:
    """A writer of rows with these columns; the name's ending says the format, `-` is stdout.

    The file takes its name when all was written and lies on the disk; after an exception there is
    what was there before. In Parquet, times are timestamps in UTC and `mixed` columns hold text,
    what is no text as JSON. In JSON lines, times are RFC 3339 text, and every value is as it was.

    Raises FileError: no such ending, no pyarrow, or a place that cannot be written to.
    """
    check_table_name(name)
    if name == STDOUT:
        yield _JsonLines(stdout, columns)
        stdout.flush()
        return
    path = Path(name)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            with _writer(name, file, columns) as writer:
                yield writer
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise FileError(
            f"{name}: the file cannot be written: {error.strerror or error}",
            "name a file in a folder that exists, may be written to and has space",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def _writer(name: str, file: BinaryIO, columns: Mapping[str, Kind]) -> Iterator[TableWriter]:
    if name.lower().endswith(".parquet"):
        writer = _Parquet(name, file, columns)
        yield writer
        writer.close()
    elif name.lower().endswith(".gz"):
        # No time and no name in it, so that equal rows give equal files.
        with gzip.GzipFile("", "wb", 6, file, 0) as packed:
            yield _JsonLines(cast(BinaryIO, packed), columns)
    else:
        yield _JsonLines(file, columns)


class _JsonLines:
    def __init__(self, file: BinaryIO, columns: Mapping[str, Kind]) -> None:
        self._file = file
        self._blank: dict[str, Value | None] = dict.fromkeys(columns)
        self._times = [name for name, kind in columns.items() if kind == "time"]

    def write(self, rows: Sequence[Row]) -> None:
        blank = self._blank
        lines = []
        for row in rows:
            body = {**blank, **row}
            for name in self._times:
                value = body[name]
                if value is not None:
                    body[name] = format_time(cast(int, value))
            lines.append(orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE))
        self._file.write(b"".join(lines))


class _Parquet:
    def __init__(self, name: str, file: BinaryIO, columns: Mapping[str, Kind]) -> None:
        pa, pq = _pyarrow(name)
        types: dict[Kind, Any] = {
            "boolean": pa.bool_(),
            "integer": pa.int64(),
            "number": pa.float64(),
            "text": pa.string(),
            "mixed": pa.string(),
            "time": pa.timestamp("ms", "UTC"),
        }
        self._pa = pa
        self._schema = pa.schema([(column, types[kind]) for column, kind in columns.items()])
        self._mixed = {column for column, kind in columns.items() if kind == "mixed"}
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        array: Callable[..., Any] = self._pa.array
        columns = []
        for field in self._schema:
            name = field.name
            values: list[Any] = [row.get(name) for row in rows]
            if name in self._mixed:
                values = [_text(value) for value in values]
            columns.append(array(values, field.type))
        self._writer.write_table(self._pa.table(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _text(value: Value | None) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _pyarrow(name: str) -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise FileError(
            f"{name}: Parquet files need pyarrow, which is not installed",
            "pip install 'driftline[parquet]', or write a .jsonl file",
        ) from None

"""Rows of a Parquet file, through pyarrow where it is installed (the extra `parquet`)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from consumers.decoding import Value
from consumers.errors import FileError
from consumers.times import format_time

_BATCH_ROWS = 4096

_Column = list[Value | None]


def parquet_rows(
    path: Path, only: Collection[str] | None = None
) -> tuple[tuple[str, ...], Iterator[dict[str, Value | None]]]:
    """The columns and the rows. NaN becomes None, times RFC 3339 text, decimals floats.

    With `only`, the rows hold the columns of these names and no others are decoded.

    Raises FileError: no pyarrow, not a Parquet file, a column of a type that is no single value,
    infinity, a time beyond the year 9999.
    """
    try:
        pa: Any = importlib.import_module("pyarrow")
        pq: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise FileError(
            f"{path}: Parquet files need pyarrow, which is not installed",
            "pip install 'driftline[parquet]', or convert the file to CSV or JSONL",
        ) from None
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise FileError(f"{path}: there must be a file, not nothing", "check the path") from None
    except (OSError, pa.ArrowException) as error:
        raise FileError(f"{path}: must be a readable Parquet file: {error}") from error
    try:
        columns = tuple(file.schema_arrow.names)
        if len(set(columns)) != len(columns):
            raise FileError(f"{path}: a column must be named once, not twice: {columns}")
        converters = {field.name: _converter(pa, path, field) for field in file.schema_arrow}
    except FileError:
        file.close()
        raise
    if only is not None:
        # All of them where none is there, so that the caller still sees rows, and what they lack.
        converters = {name: one for name, one in converters.items() if name in only} or converters
    return columns, _rows(pa, path, file, converters)


def _rows(
    pa: Any,
    path: Path,
    file: Any,
    converters: dict[str, Callable[[Any], _Column]],
) -> Iterator[dict[str, Value | None]]:
    names = list(converters)
    with file:
        try:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
                values = [convert(batch.column(name)) for name, convert in converters.items()]
                for cells in zip(*values, strict=True):
                    # As many as there are names by the line above; to check costs 0.3 µs a row.
                    yield dict(zip(names, cells))  # noqa: B905
        except (OSError, pa.ArrowException) as error:
            raise FileError(f"{path}: must be a readable Parquet file: {error}") from error


def _converter(pa: Any, path: Path, field: Any) -> Callable[[Any], _Column]:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types

    def plain(column: Any) -> _Column:
        values: _Column = column.to_pylist()
        return values

    def floats(column: Any) -> _Column:
        numbers = column.cast(pa.float64())
        if numbers.null_count == 0:
            array = numbers.to_numpy(zero_copy_only=False)
            # Looked at in one call, and value by value only where there is something to do.
            if np.isfinite(array).all():
                values: _Column = array.tolist()
                return values
        return [_finite(path, field.name, value) for value in numbers.to_pylist()]

    def times(column: Any) -> _Column:
        stamps = column.cast(pa.timestamp("ms", getattr(kind, "tz", None)), safe=False)
        try:
            return [
                None if time_ms is None else format_time(time_ms)
                for time_ms in stamps.cast(pa.int64()).to_pylist()
            ]
        except OverflowError:
            raise FileError(f"{path}: {field.name!r} must hold times up to the year 9999") from None

    if types.is_floating(kind) or types.is_decimal(kind):
        return floats
    if types.is_timestamp(kind) or types.is_date(kind):
        return times
    if (
        types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_null(kind)
    ):
        return plain
    raise FileError(
        f"{path}: {field.name!r} must be a column of booleans, numbers, strings or times,"
        f" not {field.type}",
        "leave it out, or flatten it into columns of its own",
    )


def _finite(path: Path, name: str, value: float | None) -> float | None:
    if value is None or value != value:
        return None
    if value - value != 0:
        raise FileError(f"{path}: {name!r} must not be infinite, not {value}")
    return value

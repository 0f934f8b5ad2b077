"""Rows of a CSV file, with numbers and booleans parsed."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from consumers.decoding import Value
from consumers.errors import FileError

_MISSING = frozenset({"", "NA", "NaN", "nan"})
_BOOLEANS = {"true": True, "false": False}
_INFINITE = frozenset({"inf", "infinity"})
# JSON's numbers, and those that leave out the digits on one side of the point. No leading zeros
# and no plus sign: 007 and +49 are codes, and as numbers they would not come back.
_NUMBER = re.compile(
    r"-?(?:0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?|-?(\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
)
_MAX_INTEGER = 2**63 - 1  # JSON readers keep no more exactly
_MAX_INTEGER_CHARACTERS = 20

_number = _NUMBER.fullmatch


def csv_rows(
    path: Path, lines: Iterator[bytes], delimiter: str
) -> tuple[tuple[str, ...], Iterator[dict[str, Value | None]]]:
    """The columns, and the rows behind the header, of which lines that are blank are none.

    Quotes and spaces behind a delimiter are no part of a cell. Raises FileError: no header, a
    column without a name or named twice, a row with more or fewer cells than the header, infinity,
    text that is not UTF-8, a quote that is not closed.
    """
    reader = csv.reader(
        _decoded(path, lines), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise _broken(path, reader.line_num, error) from error
    columns = _columns(path, header, delimiter)
    return columns, _rows(path, reader, columns)


def parse_cell(text: str) -> Value | None:
    """A cell's value: None, a boolean, a number or the text. Raises ValueError for infinity."""
    match = _number(text)
    if match is not None:
        if match.lastindex is None:
            if len(text) <= _MAX_INTEGER_CHARACTERS:
                number = int(text)
                if -_MAX_INTEGER <= number <= _MAX_INTEGER:
                    return number
            return text
        value = float(text)
        if value - value != 0:
            raise ValueError("must be a number that a double can hold")
        return value
    if text in _MISSING:
        return None
    word = text.lower()
    if word in _BOOLEANS:
        return _BOOLEANS[word]
    if word.lstrip("+-") in _INFINITE:
        raise ValueError("must not be infinite")
    return text


def _rows(
    path: Path, reader: Iterator[list[str]], columns: tuple[str, ...]
) -> Iterator[dict[str, Value | None]]:
    width = len(columns)
    try:
        for cells in reader:
            if len(cells) != width:
                if not cells:
                    continue
                raise FileError(
                    f"{path}, line {_line(reader)}: a row must have {width} cells as the header"
                    f" has, not {len(cells)}"
                )
            try:
                yield dict(zip(columns, map(parse_cell, cells), strict=True))
            except ValueError:
                raise _refused(path, _line(reader), columns, cells) from None
    except csv.Error as error:
        raise _broken(path, _line(reader), error) from error


def _refused(path: Path, line: int, columns: tuple[str, ...], cells: list[str]) -> FileError:
    for column, cell in zip(columns, cells, strict=True):
        try:
            parse_cell(cell)
        except ValueError as error:
            return FileError(
                f"{path}, line {line}: {column!r} {error}, not {cell[:80]}",
                "leave the cell empty where there is no value",
            )
    raise AssertionError("only called for a row that holds such a cell")


def _line(reader: Iterator[list[str]]) -> int:
    line_num: int = reader.line_num  # type: ignore[attr-defined]
    return line_num


def _columns(path: Path, header: list[str] | None, delimiter: str) -> tuple[str, ...]:
    if not header:
        raise FileError(f"{path}: the file must begin with a header line, not be empty")
    columns = tuple(name.strip() for name in header)
    if len(columns) == 1 and delimiter == "," and (";" in columns[0] or "\t" in columns[0]):
        raise FileError(
            f"{path}: columns must be separated by commas, not as in {columns[0][:80]!r}",
            "write it with commas; one with tabs must be named .tsv",
        )
    if all(_number(name) for name in columns):
        raise FileError(
            f"{path}: the first line must name the columns, not hold the numbers"
            f" {', '.join(columns[:5])}",
            "put a header line in front",
        )
    for place, name in enumerate(columns, 1):
        if not name:
            raise FileError(
                f"{path}: every column must have a name, and column {place} has none",
                "an index column from pandas is left out with to_csv(index=False)",
            )
        if name in columns[: place - 1]:
            raise FileError(f"{path}: a column must be named once, not twice: {name!r}")
    return columns


def _decoded(path: Path, lines: Iterator[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise FileError(
                f"{path}, line {number}: text must be UTF-8, not"
                f" {error.object[error.start : error.end]!r}",
                "convert it first: iconv -f LATIN1 -t UTF-8",
            ) from None


def _broken(path: Path, line: int, error: csv.Error) -> FileError:
    return FileError(f"{path}, line {line}: must be CSV: {error}")

"""JSON compared with the tables that document it: by name and type, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.docs.markdown import code_spans, tables

_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "any": (object,),
}


def documented(text: str) -> dict[str, str]:
    """Field → type, from the table with those two columns."""
    found = next(table for table in tables(text) if table[0][:2] == ["field", "type"])
    return {code_spans(row[0])[0]: row[1] for row in found[1:]}


def differences(value: Any, fields: dict[str, str]) -> list[str]:
    """What is in the value and not in the table, or of another type."""
    wrong = []
    for path, leaf in _leaves(value, ""):
        matching = [name for name in fields if _pattern(name).fullmatch(path)]
        if not matching:
            wrong.append(f"{path} is not documented")
        elif not any(_is(leaf, fields[name]) for name in matching):
            wrong.append(f"{path} is {leaf!r}, documented as {fields[matching[0]]}")
    return wrong


def missing(values: list[Any], fields: dict[str, str]) -> list[str]:
    """What is in the table and in none of the values."""
    paths = [path for value in values for path, _ in _leaves(value, "")]
    return [name for name in fields if not any(_pattern(name).fullmatch(path) for path in paths)]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    elif not isinstance(value, dict | list):
        yield path, value


def _pattern(name: str) -> re.Pattern[str]:
    """`NAME` stands for any key."""
    return re.compile(re.escape(name).replace("NAME", r"[^.\[\]]+"))


def _is(leaf: Any, types: str) -> bool:
    # A boolean is an int to Python, and no integer to JSON.
    if isinstance(leaf, bool):
        return not {"boolean", "any"}.isdisjoint(types.split(" or "))
    return any(isinstance(leaf, _TYPES[name]) for name in types.split(" or "))

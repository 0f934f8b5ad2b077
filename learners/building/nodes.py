"""What a model spec is made of, and its canonical JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAP_KEY = "$map"
"""Marks a mapping whose keys are not all text, as a list of pairs: JSON has no other keys."""


@dataclass(frozen=True, slots=True)
class RiverClass:
    """A River class by its path below `river.`, with positional or named parameters."""

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    args: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """`{path: {name: value}}`, or `{path: [value, ...]}` for positional ones."""
        if self.args:
            return {self.path: [value_to_json(value) for value in self.args]}
        return {self.path: {name: value_to_json(value) for name, value in self.params.items()}}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps one after another."""

    steps: tuple[Node, ...]

    def to_json(self) -> dict[str, Any]:
        """`{pipeline: [step, ...]}`."""
        return {"pipeline": [step.to_json() for step in self.steps]}


@dataclass(frozen=True, slots=True)
class Union:
    """Transformers side by side, their features put together."""

    branches: tuple[Node, ...]

    def to_json(self) -> dict[str, Any]:
        """`{union: [branch, ...]}`."""
        return {"union": [branch.to_json() for branch in self.branches]}


@dataclass(frozen=True, slots=True)
class Factory:
    """A user's function that returns the model.

    Attributes
    ----------
    target
        `package.module:function`.
    params
        What it is called with.
    sha256
        Of the module's source file, hex: a changed file is a changed configuration. Modules which
        that file imports are not covered.
    """

    target: str
    sha256: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """`{factory: target, sha256: ..., name: value, ...}`."""
        values = {name: value_to_json(value) for name, value in self.params.items()}
        return {"factory": self.target, "sha256": self.sha256, **values}


Node = RiverClass | Pipeline | Union | Factory


def value_to_json(value: Any) -> Any:
    """A parameter as JSON has it; lists for tuples, `$map` for mappings with other keys."""
    match value:
        case RiverClass() | Pipeline() | Union() | Factory():
            return value.to_json()
        case tuple():
            return [value_to_json(item) for item in value]
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: value_to_json(item) for key, item in value.items()}
        case Mapping():
            return {MAP_KEY: [[key, value_to_json(item)] for key, item in value.items()]}
    return value

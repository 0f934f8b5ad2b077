"""What a model is asked to do, and which labels teach it.

`binary | multiclass | regression | anomaly`, or `{binary: {positive: X}}`: the label X is the
positive class and every other one the negative.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from learners.errors import InvalidLabelError, TaskError

Value = bool | int | float | str
"""A feature or a label."""

TaskName = Literal["binary", "multiclass", "regression", "anomaly"]

_NAMES = ("binary", "multiclass", "regression", "anomaly")
_LATER = ("forecasting", "clustering")


@dataclass(frozen=True, slots=True)
class Binary:
    """Yes or no; labels become bools.

    Attributes
    ----------
    positive
        The label that counts as True, of the type it has in the data. None: labels are true/false
        or 0/1 already.
    """

    name: ClassVar[TaskName] = "binary"
    positive: Value | None = None

    def label(self, value: Value) -> bool:
        """The label as a bool; raises InvalidLabelError for anything that is neither class."""
        if self.positive is None:
            if value is True or value is False:
                return value
            if value == 0 or value == 1:  # noqa: PLR1714 - a set lookup would hash every label
                return value == 1
            raise InvalidLabelError(
                f"a binary label is true, false, 0 or 1, not {value!r}",
                hint="name the positive class: task: {binary: {positive: ...}}",
            )
        if isinstance(value, str) is not isinstance(self.positive, str):
            # Silently "not positive" otherwise: a whole stream of negatives from "1" for 1.
            raise InvalidLabelError(
                f"the positive class is {self.positive!r}, so a label is "
                f"{'text' if isinstance(self.positive, str) else 'no text'}, not {value!r}",
                hint="write the positive class as it stands in the data, with or without quotes",
            )
        return value == self.positive

    def to_json(self) -> str | dict[str, object]:
        """As in the configuration, canonical."""
        return "binary" if self.positive is None else {"binary": {"positive": self.positive}}


@dataclass(frozen=True, slots=True)
class Multiclass:
    """One of several classes; labels stay text, whole numbers or bools."""

    name: ClassVar[TaskName] = "multiclass"

    def label(self, value: Value) -> Value:
        """The label as it is, 3.0 as 3; raises InvalidLabelError for 3.5, which names no class."""
        if isinstance(value, float):
            if not value.is_integer():
                raise InvalidLabelError(
                    f"a class is text, a whole number or a boolean, not {value!r}",
                    hint="for a quantity use task: regression",
                )
            return int(value)
        return value

    def to_json(self) -> str:
        """As in the configuration, canonical."""
        return "multiclass"


@dataclass(frozen=True, slots=True)
class Regression:
    """A quantity; labels are finite numbers."""

    name: ClassVar[TaskName] = "regression"

    def label(self, value: Value) -> Value:
        """The number as it is; raises InvalidLabelError for text, bools and what no float holds."""
        if isinstance(value, bool | str):
            raise InvalidLabelError(f"a regression label is a number, not {value!r}")
        try:
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        if not finite:
            raise InvalidLabelError("a regression label is a finite number below 1.8e308")
        return value

    def to_json(self) -> str:
        """As in the configuration, canonical."""
        return "regression"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """How unusual an event is; labels (was it an anomaly?) are bools and only measure."""

    name: ClassVar[TaskName] = "anomaly"

    def label(self, value: Value) -> bool:
        """The label as a bool; raises InvalidLabelError for anything but true, false, 0, 1."""
        return _PLAIN.label(value)

    def to_json(self) -> str:
        """As in the configuration, canonical."""
        return "anomaly"


Task = Binary | Multiclass | Regression | Anomaly

_PLAIN = Binary()


def parse_task(obj: object) -> Task:
    """The task of a configuration's `task:`; raises TaskError naming the nearest task."""
    match obj:
        case Binary() | Multiclass() | Regression() | Anomaly():
            return obj
        case "binary" | {"binary": None}:
            return Binary()
        case "multiclass":
            return Multiclass()
        case "regression":
            return Regression()
        case "anomaly":
            return Anomaly()
        case {"binary": options} if isinstance(obj, Mapping) and len(obj) == 1:
            return _binary(options)
        case str() if obj in _LATER:
            raise TaskError(
                f"the task {obj} is not built yet", hint=f"built are {', '.join(_NAMES)}"
            )
        case str():
            near = difflib.get_close_matches(obj, _NAMES + _LATER, n=1)
            raise TaskError(
                f"task must be one of {', '.join(_NAMES)}, not {obj!r}",
                hint=f"did you mean {near[0]}?" if near else None,
            )
    raise TaskError(
        f"task must be one of {', '.join(_NAMES)}, not {obj!r}",
        hint="only binary takes an option: task: {binary: {positive: X}}",
    )


def _binary(options: object) -> Binary:
    if not isinstance(options, Mapping) or set(options) - {"positive"}:
        raise TaskError(
            f"the only option of binary is positive, not {options!r}",
            hint="task: {binary: {positive: X}}",
        )
    positive = options.get("positive")
    if positive is not None and not isinstance(positive, bool | int | float | str):
        raise TaskError(f"the positive class must be text, a number or a boolean, not {positive!r}")
    return Binary(positive)

"""The `detectors` and `alerts` parts of the configuration, parsed once into frozen models.

A detector's parameters are River's own, under River's names and with River's defaults [^1]; ranges
are as wide as River can bear. An unknown key or method is an ordinary pydantic error; `fields_of`
gives the names to suggest from.

[^1]: River 0.26.1, `river.drift.ADWIN` and `river.drift.PageHinkley`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import durationpy
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator
from pydantic_core import PydanticCustomError

from detectors import signals
from detectors.errors import DuplicateDetectorError, SignalError


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        duration = value
    else:
        try:
            duration = durationpy.from_str("0" if value == 0 and value is not False else value)
        except (durationpy.DurationError, TypeError, AttributeError):
            raise ValueError(
                f"a duration is written 30s, 1h or 2d, or 0 for none, not {value!r}"
            ) from None
    if duration < timedelta(0):
        raise ValueError(f"a duration must not be negative, and this is {value!r}")
    return duration


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(durationpy.to_str, return_type=str, when_used="json"),
]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Watched(BaseModel):
    """What every detector has: a name, the signal it watches, and how that is scaled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    signal: str
    # Signals bounded in [0, 1] are never scaled, whatever stands here.
    scale: Literal["robust", "none"] = "robust"

    @field_validator("signal")
    @classmethod
    def _signal_exists(cls, signal: str) -> str:
        try:
            signals.check_name(signal)
        except SignalError as error:
            # The context carries the hint to whoever turns pydantic's errors into ours.
            raise PydanticCustomError(
                "unknown_signal", "{message}", {"message": error.message, "hint": error.hint}
            ) from None
        return signal


class AdwinSettings(_Watched):
    """ADWIN: a window that shrinks when its older and newer parts differ in the mean."""

    method: Literal["ADWIN"]
    delta: Annotated[Finite, Field(gt=0, lt=1)] = 0.002
    clock: Annotated[int, Field(ge=1)] = 32
    # With one bucket of a size River 0.26.1 panics on its first deletion, which ends the process.
    max_buckets: Annotated[int, Field(ge=2)] = 5
    min_window_length: Annotated[int, Field(ge=1)] = 5
    grace_period: Annotated[int, Field(ge=0)] = 10


class PageHinkleySettings(_Watched):
    """Page-Hinkley: a cumulative sum of deviations from the mean, two-sided by default."""

    method: Literal["PageHinkley"]
    min_instances: Annotated[int, Field(ge=1)] = 30
    delta: Annotated[Finite, Field(ge=0)] = 0.005
    threshold: Annotated[Finite, Field(gt=0)] = 50.0
    alpha: Annotated[Finite, Field(gt=0, le=1)] = 1 - 0.0001
    mode: Literal["up", "down", "both"] = "both"


DetectorSettings = Annotated[AdwinSettings | PageHinkleySettings, Field(discriminator="method")]

_BY_METHOD: Final[dict[str, type[_Watched]]] = {
    "ADWIN": AdwinSettings,
    "PageHinkley": PageHinkleySettings,
}


def check_signals(settings: Sequence[DetectorSettings], task_name: str) -> None:
    """Raise DuplicateDetectorError or SignalError unless a service of this task can run them all.

    Needs no River, so a configuration is checked before the heavy imports.
    """
    names: set[str] = set()
    for one in settings:
        if one.name in names:
            raise DuplicateDetectorError(
                f"every detector has a name of its own, and two are called {one.name!r}",
                hint="rename one: alerts are told apart by the detector's name",
            )
        names.add(one.name)
        try:
            signals.check_signal(one.signal, task_name)
        except SignalError as error:
            raise SignalError(f"detector {one.name!r}: {error.message}", hint=error.hint) from None


def methods() -> tuple[str, ...]:
    """The methods that `method` can name."""
    return tuple(_BY_METHOD)


def fields_of(method: str) -> tuple[str, ...]:
    """The keys that a detector of this method takes; KeyError for an unknown method."""
    return tuple(_BY_METHOD[method].model_fields)


class AlertSettings(BaseModel):
    """When a detection becomes an alert."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Stream time between two alerts of one detector in one direction; null or 0: every detection.
    cooldown: Duration | None = timedelta(hours=1)

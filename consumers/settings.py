"""What the configuration says about events and labels."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

import durationpy
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)


def _duration(value: object) -> object:
    if isinstance(value, str):
        try:
            return durationpy.from_str(value)
        except durationpy.DurationError as error:
            raise ValueError(f"must be a duration such as 30s, 1h or 2d, not {value!r}") from error
    if isinstance(value, timedelta):
        return value
    raise ValueError(f"must be a duration with its unit, such as 30s, 1h or 2d, not {value!r}")


def _duration_text(value: timedelta) -> str:
    return str(durationpy.to_str(value)) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(_duration_text, when_used="json"),
]
FieldName = Annotated[str, Field(min_length=1)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


class HaltSettings(BaseModel):
    """When records that cannot be used make a shard halt: at this share of the last `window` of an
    input. `share: null`: never."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: Annotated[float, Field(gt=0, le=1)] | None = 0.5
    window: Annotated[int, Field(ge=1, le=100_000)] = 200


class EventsSettings(BaseModel):
    """How an event is read from a record.

    `id`, `time` and `label` name fields of the event. `id: null` makes the id of an event
    `partition-offset`; `time: null` makes its time the merge time; without `label`, labels come
    only on the labels topic, and a field of any name is a feature. `features` lists the fields to
    learn from, in that order; null means all but id, time, label and key. `max_ahead` bounds how
    far an event's own time may lie ahead of its merge time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: FieldName | None
    time: FieldName | None
    label: FieldName | None = None
    features: Annotated[tuple[FieldName, ...], Field(min_length=1)] | None = None
    key: FieldName | None = None
    start: Literal["earliest", "latest"] = "earliest"
    max_ahead: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(hours=1)
    max_bytes: int = Field(default=1_000_000, ge=1)

    @model_validator(mode="after")
    def _fields_have_one_role(self) -> EventsSettings:
        roles = [(role, getattr(self, role)) for role in ("id", "time", "label")]
        taken: dict[str, str] = {}
        for role, name in roles:
            if name is None:
                continue
            if name in taken:
                raise ValueError(f"{taken[name]} and {role} must be different fields, not {name!r}")
            taken[name] = role
        for name in self.features or ():
            if name in taken:
                raise ValueError(f"features must not hold the {taken[name]}, {name!r}")
        if self.features is not None and len(set(self.features)) != len(self.features):
            raise ValueError(f"features must each be listed once, not {list(self.features)}")
        if self.key is not None and self.key == self.label:
            raise ValueError(f"key and label must be different fields, not {self.key!r}")
        return self


class LabelsSettings(BaseModel):
    """How long to wait for labels, and how many of what to keep while waiting.

    `default` is what to learn when no label came within `wait`; null means nothing. The three
    bounds are numbers of entries a shard keeps; the oldest goes first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(days=2)
    default: bool | int | FiniteFloat | str | None = None
    on_correction: Literal["ignore", "learn_again"] = "ignore"
    max_pending: int = Field(default=1_000_000, ge=1)
    max_seen: int = Field(default=1_000_000, ge=1)
    max_held: int = Field(default=100_000, ge=1)

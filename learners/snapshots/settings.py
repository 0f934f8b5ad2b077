"""Where snapshots are kept, when one is due, and what they are signed with."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

import durationpy
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    try:
        if isinstance(value, str):
            return durationpy.from_str(value)
    except durationpy.DurationError:
        pass
    raise ValueError(f"must be a duration with its unit, such as 30s, 1h or 2d, not {value!r}")


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0))]


class S3Settings(BaseModel):
    """How to reach an S3 bucket; what is left out comes from the standard AWS variables.

    `allow_http` permits an endpoint without TLS: for a server on the same machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str | None = None
    region: str | None = None
    allow_http: bool = False
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None

    @field_validator("endpoint")
    @classmethod
    def _endpoint_is_a_url(cls, value: str | None) -> str | None:
        if value is not None and not is_endpoint(value):
            raise ValueError("must look like https://HOST or http://HOST:PORT")
        return value

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key are given together")
        return self


class KeepSettings(BaseModel):
    """Which versions are kept: the newest `last`, and the newest one of each of the last `hourly`
    hours and `daily` days of the stream that have one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    last: PositiveInt = 20
    hourly: NonNegativeInt = 24
    daily: NonNegativeInt = 30


class VersionsSettings(BaseModel):
    """How often a version is cut (None: only by people), and which are kept (None: all)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Duration | None = timedelta(hours=1)
    keep: KeepSettings | None = KeepSettings()


class SnapshotsSettings(BaseModel):
    """The `snapshots:` part of the configuration.

    Durations here are the worker's clock, never stream time. Of `key` and `key_file` at most one
    is given; `key` holds the text of a key file (see `signing.parse_keys`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = "file:var/snapshots"
    recover_within: Duration = timedelta(seconds=10)
    min_interval: Duration = timedelta(seconds=5)
    every: Duration | None = None
    every_events: PositiveInt | None = None
    timeout: Duration = timedelta(seconds=30)
    versions: VersionsSettings = VersionsSettings()
    key: SecretStr | None = None
    key_file: Path | None = None
    s3: S3Settings = S3Settings()

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if self.key is not None and self.key_file is not None:
            raise ValueError("only one of key and key_file can be given")
        return self


def is_endpoint(text: str) -> bool:
    """Whether the text is the URL of a host; obstore aborts a thread on others."""
    return re.fullmatch(r"https?://[A-Za-z0-9._\-\[\]:]+(/[A-Za-z0-9._\-/]*)?", text) is not None

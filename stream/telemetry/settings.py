"""Where a worker's telemetry is served."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class MetricsSettings(BaseModel):
    """The address of metrics and health checks; without a port nothing is served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    host: str = "127.0.0.1"

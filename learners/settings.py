"""Learners' part of the configuration, as types for the fields that stream/ composes.

    task: TaskSettings
    model: ModelSettings
    seed: SeedSettings = 42
    threshold: ThresholdSettings = ThresholdSettings()

All read what YAML or JSON gives and dump canonical JSON, which reads back as an equal value. A
task or model that cannot be is a TaskError or ModelSpecError with its hint, straight through
pydantic; the others are pydantic's own ValidationError.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator

from learners.spec import ModelSpec, parse_model
from learners.tasks import Task, parse_task
from learners.threshold import ThresholdSettings

__all__ = ["ModelSettings", "SeedSettings", "TaskSettings", "ThresholdSettings"]


def _to_json(value: Task | ModelSpec) -> Any:
    return value.to_json()


TaskSettings = Annotated[Task, PlainValidator(parse_task), PlainSerializer(_to_json)]

ModelSettings = Annotated[ModelSpec, PlainValidator(parse_model), PlainSerializer(_to_json)]

SeedSettings = Annotated[int, Field(ge=0, lt=2**32, strict=False)]
"""What numpy's generators take, which some of River's estimators use."""

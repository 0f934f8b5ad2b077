"""The bodies of what a shard writes for others to read: predictions and alerts, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson

from consumers.record import Record
from learners.learner import Answer

FORMAT = 1

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - orjson writes a naive one faster, as UTC
_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS

PredictionEncoder = Callable[[Record, str, int, Answer, list[str]], bytes]


def source_of(record: Record) -> dict[str, Any]:
    """Where a message comes from: the record's topic (role), partition and offset."""
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


def prediction_encoder(task: str, model: str, version: int) -> PredictionEncoder:
    """The function that writes one prediction of a task: `(record, id, time_ms, answer, flags) ->
    bytes`.

    Binary and multiclass predictions carry `probabilities`, anomaly detection a `score`. A model
    without an answer yet gives a null prediction.
    """

    def binary(
        record: Record, event_id: str, time_ms: int, answer: Answer, flags: list[str]
    ) -> bytes:
        decided, positive = answer
        # orjson writes the datetime in C; formatting it here would cost 0.5 µs more.
        return orjson.dumps(
            {
                "format": FORMAT,
                "id": event_id,
                "time": _EPOCH + timedelta(milliseconds=time_ms),
                "prediction": decided,
                "probabilities": None
                if positive is None
                else {"false": 1.0 - positive, "true": positive},  # type: ignore[operator]
                "model": model,
                "version": version,
                "flags": flags,
                "source": {"topic": record[0], "partition": record[1], "offset": record[2]},
            },
            option=_OPTIONS,
        )

    confidence_name = {"multiclass": "probabilities", "anomaly": "score"}.get(task)

    def other(
        record: Record, event_id: str, time_ms: int, answer: Answer, flags: list[str]
    ) -> bytes:
        decided, confidence = answer
        body: dict[str, Any] = {
            "format": FORMAT,
            "id": event_id,
            "time": _EPOCH + timedelta(milliseconds=time_ms),
            "prediction": decided,
        }
        if confidence_name is not None:
            body[confidence_name] = confidence
        body |= {"model": model, "version": version, "flags": flags, "source": source_of(record)}
        return orjson.dumps(body, option=_OPTIONS)

    return binary if task == "binary" else other


def encode(message: dict[str, Any]) -> bytes:
    """Any other message as JSON bytes."""
    return orjson.dumps(message, option=_OPTIONS)

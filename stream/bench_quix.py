"""The loop that the service on Kafka stands beside: Quix Streams and the same River model, with its
exactly-once guarantee. Quix Streams is an extra, `bench-quix`; without it there is no such loop.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
import warnings
from multiprocessing.connection import Connection
from typing import Any

from learners.spec import build_model
from stream.bench import MODELS, service_configuration


def is_there() -> bool:
    """Whether Quix Streams is installed."""
    return importlib.util.find_spec("quixstreams") is not None


def quix(pipe: Connection, bootstrap: str, name: str, events: int) -> dict[str, float]:
    """Predicts and learns from so many events of one partition; all else is Quix's default.

    The time goes from the first event to the end of its run, which ends with a commit.
    """
    # What its own dependencies are warned of is no news here.
    with warnings.catch_warnings(record=True):
        from quixstreams import Application

    configuration = service_configuration(MODELS["scaler | logistic regression"])
    model = build_model(configuration.model, configuration.task, configuration.seed)
    began: list[float] = []

    def answer(event: dict[str, Any]) -> dict[str, Any]:
        if not began:
            began.extend((time.monotonic(), time.process_time()))
        name, time_ms, label = event.pop("id"), event.pop("time"), event.pop("label")
        probabilities = model.predict_proba_one(event)
        model.learn_one(event, bool(label))
        return {
            "id": name,
            "time": time_ms,
            "prediction": max(probabilities, key=probabilities.__getitem__),
            "probabilities": {str(label).lower(): p for label, p in probabilities.items()},
        }

    with tempfile.TemporaryDirectory() as folder:
        application = Application(
            broker_address=bootstrap,
            consumer_group=name,
            auto_offset_reset="earliest",
            processing_guarantee="exactly-once",
            use_changelog_topics=False,
            auto_create_topics=False,
            state_dir=folder,
            loglevel="ERROR",
        )
        inputs = application.topic(f"{name}.events", value_deserializer="json")
        outputs = application.topic(f"{name}.predictions", value_serializer="json")
        application.dataframe(inputs).apply(answer).to_topic(outputs)
        application.run(count=events, collect=False)
    return {
        "began_s": began[0],
        "ended_s": time.monotonic(),
        "cpu_s": time.process_time() - began[1],
    }

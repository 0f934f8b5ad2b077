"""Whether a model can do the task, found out before the first event."""

from __future__ import annotations

from typing import Any

from river import base, cluster, compose, reco
from river.time_series.base import Forecaster

from learners.building.catalogue import public_paths
from learners.building.text import describe
from learners.errors import ModelSpecError
from learners.tasks import Task


def last_step(model: Any) -> Any:
    """The estimator that answers: the last step of the last step of nested pipelines."""
    while isinstance(model, compose.Pipeline):
        model = list(model.steps.values())[-1]
    return model


def check_ability(model: Any, task: Task) -> None:
    """Raise ModelSpecError, naming task and estimator, unless the model can do the task."""
    last = last_step(model)
    name = describe(last)
    if reason := _unusable(last):
        raise ModelSpecError(f"{name} cannot do the task {task.name}: {reason[0]}", hint=reason[1])
    match task.name:
        case "binary" | "multiclass":
            _require(last, base.Classifier, task, "a classifier", "Classifier")
            if task.name == "multiclass" and not model._multiclass:
                raise ModelSpecError(
                    f"{name} tells only two classes apart; the task is multiclass",
                    hint="wrap it: multiclass.OneVsRestClassifier: {classifier: ...}",
                )
        case "regression":
            _require(last, base.Regressor, task, "a regressor", "Regressor")
        case "anomaly":
            _require_anomaly(model, last)


def _unusable(last: Any) -> tuple[str, str | None] | None:
    """Why, and the way on, for what no task here can use."""
    if isinstance(last, base.Transformer | base.BaseTransformer):
        return (
            "it gives features, not predictions",
            "end the pipeline with a model, such as linear_model.LogisticRegression",
        )
    if isinstance(last, Forecaster):
        return "it learns from a series, not from events; forecasting is not built yet", None
    if isinstance(last, base.MultiLabelClassifier | base.MultiTargetRegressor):
        return "it learns several labels for each event; an event has one here", None
    if isinstance(last, reco.base.Ranker):
        return "it learns from pairs of user and item, not from features", None
    if isinstance(last, base.Clusterer) or type(last).__module__.startswith(cluster.__name__):
        return "it finds clusters; clustering is not built yet", None
    return None


def _require(last: Any, kind: type, task: Task, text: str, ending: str) -> None:
    if not isinstance(last, kind):
        raise ModelSpecError(
            f"the task {task.name} needs {text}; {describe(last)} is none",
            hint=_twin_hint(describe(last), ending)
            or ("use task: anomaly" if isinstance(last, base.AnomalyDetector) else None),
        )


def _require_anomaly(model: Any, last: Any) -> None:
    detector = last_step(last.anomaly_detector) if isinstance(last, base.AnomalyFilter) else last
    if isinstance(detector, base.SupervisedAnomalyDetector):
        raise ModelSpecError(
            f"{describe(detector)} scores an event by its label, which is not there when the "
            "event arrives; the task is anomaly",
            hint="score by features: anomaly.HalfSpaceTrees, or task: regression with detectors "
            "on the error",
        )
    if not isinstance(detector, base.AnomalyDetector):
        raise ModelSpecError(
            f"the task anomaly needs an anomaly detector; {describe(detector)} is none",
            hint="for example anomaly.HalfSpaceTrees",
        )
    if isinstance(model, compose.Pipeline):
        for step in list(model.steps.values())[:-1]:
            if step._supervised and not isinstance(step, base.AnomalyFilter):
                raise ModelSpecError(
                    f"{describe(step)} learns from labels; for the task anomaly a model learns "
                    "when the event arrives"
                )


def _twin_hint(name: str, ending: str) -> str | None:
    """HoeffdingTreeClassifier for HoeffdingTreeRegressor, if River has it."""
    for other in ("Classifier", "Regressor", "Regression"):
        if name.endswith(other):
            twin = name.removesuffix(other) + ending
            if twin in public_paths():
                return f"use {twin}"
    known = {
        "linear_model.LinearRegression": "linear_model.LogisticRegression",
        "linear_model.LogisticRegression": "linear_model.LinearRegression",
    }
    twin = known.get(name, "")
    return f"use {twin}" if twin else None

"""A learner answers exactly what a plain River loop with the same seed answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from river import (
    anomaly,
    ensemble,
    forest,
    imblearn,
    linear_model,
    multiclass,
    naive_bayes,
    preprocessing,
    tree,
)

from learners.learner import Learner
from learners.spec import build_model, parse_model
from learners.tasks import parse_task
from tests.learners import streams

SEED = 42
SCALER = "preprocessing.StandardScaler"

Models = dict[str, tuple[object, Callable[[], Any]]]
"""Our spec, and the same in plain River."""

CLASSIFIERS: Models = {
    "logistic regression": (
        [SCALER, {"linear_model.LogisticRegression": {"l2": 0.0001}}],
        lambda: preprocessing.StandardScaler() | linear_model.LogisticRegression(l2=0.0001),
    ),
    "Hoeffding tree": (
        {"tree.HoeffdingTreeClassifier": {"grace_period": 50}},
        lambda: tree.HoeffdingTreeClassifier(grace_period=50),
    ),
    "adaptive tree": (
        "tree.HoeffdingAdaptiveTreeClassifier",
        lambda: tree.HoeffdingAdaptiveTreeClassifier(seed=SEED),
    ),
    "adaptive random forest": (
        {"forest.ARFClassifier": {"n_models": 3}},
        lambda: forest.ARFClassifier(n_models=3, seed=SEED),
    ),
    "naive Bayes": ("naive_bayes.GaussianNB", naive_bayes.GaussianNB),
    "under-sampling": (
        {
            "imblearn.RandomUnderSampler": {
                "classifier": {"linear_model.LogisticRegression": {}},
                "desired_dist": {0: 0.4, 1: 0.6},
            }
        },
        lambda: imblearn.RandomUnderSampler(
            linear_model.LogisticRegression(), desired_dist={False: 0.4, True: 0.6}, seed=SEED
        ),
    ),
    "bagged pipelines": (
        {"ensemble.BaggingClassifier": {"model": [SCALER, "linear_model.LogisticRegression"],
                                        "n_models": 3}},
        lambda: ensemble.BaggingClassifier(
            preprocessing.StandardScaler() | linear_model.LogisticRegression(),  # type: ignore[arg-type]
            n_models=3,
            seed=SEED,
        ),
    ),
}  # fmt: skip

MULTICLASS: Models = {
    "Hoeffding tree": (
        {"tree.HoeffdingTreeClassifier": {"grace_period": 50}},
        lambda: tree.HoeffdingTreeClassifier(grace_period=50),
    ),
    "adaptive random forest": (
        {"forest.ARFClassifier": {"n_models": 2}},
        lambda: forest.ARFClassifier(n_models=2, seed=SEED),
    ),
    "one against the rest": (
        [SCALER, {"multiclass.OneVsRestClassifier": {"classifier":
                                                     "linear_model.LogisticRegression"}}],
        lambda: preprocessing.StandardScaler() | multiclass.OneVsRestClassifier(
            linear_model.LogisticRegression()
        ),
    ),
}  # fmt: skip

REGRESSORS: Models = {
    "linear regression": (
        [SCALER, {"linear_model.LinearRegression": {"intercept_lr": 0.1}}],
        lambda: preprocessing.StandardScaler() | linear_model.LinearRegression(intercept_lr=0.1),
    ),
    "Hoeffding tree": (
        {"tree.HoeffdingTreeRegressor": {"grace_period": 50}},
        lambda: tree.HoeffdingTreeRegressor(grace_period=50),
    ),
    "adaptive random forest": (
        {"forest.ARFRegressor": {"n_models": 2}},
        lambda: forest.ARFRegressor(n_models=2, seed=SEED),
    ),
}


def learner_of(spec, task_name):
    task = parse_task(task_name)
    return Learner(build_model(parse_model(spec), task, SEED), task)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_binary_answers_are_rivers(name):
    spec, plain = CLASSIFIERS[name]
    learner, model = learner_of(spec, "binary"), plain()
    unanswered = 0
    for x, y in streams.binary():
        proba = model.predict_proba_one(x)
        expected = max(proba, key=proba.get) if proba else None
        p = proba.get(True, 0.0) if proba else None
        assert learner.predict(x) == (expected, p)
        unanswered += expected is None
        model.learn_one(x, y)
        learner.learn(x, y)
    assert unanswered <= 1


@pytest.mark.parametrize("name", MULTICLASS)
def test_multiclass_answers_are_rivers(name):
    spec, plain = MULTICLASS[name]
    learner, model = learner_of(spec, "multiclass"), plain()
    for x, y in streams.multiclass():
        proba = model.predict_proba_one(x)
        expected = (max(proba, key=proba.get), proba) if proba else (None, None)
        assert learner.predict(x) == expected
        model.learn_one(x, y)
        learner.learn(x, y)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regression_answers_are_rivers(name):
    spec, plain = REGRESSORS[name]
    learner, model = learner_of(spec, "regression"), plain()
    for x, y in streams.regression():
        assert learner.predict(x) == (model.predict_one(x), None)
        model.learn_one(x, y)
        learner.learn(x, y)


def test_anomaly_scores_are_rivers():
    learner = learner_of(["preprocessing.MinMaxScaler", "anomaly.HalfSpaceTrees"], "anomaly")
    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=SEED)
    for x, _ in streams.binary():
        assert learner.predict(x) == (None, model.score_one(x))
        model.learn_one(x)
        learner.learn(x, None)


def test_an_anomaly_filter_classifies():
    learner = learner_of(
        ["preprocessing.MinMaxScaler",
         {"anomaly.QuantileFilter": {"anomaly_detector": "anomaly.HalfSpaceTrees", "q": 0.9}}],
        "anomaly",
    )  # fmt: skip
    model = preprocessing.MinMaxScaler() | anomaly.QuantileFilter(
        anomaly.HalfSpaceTrees(seed=SEED), q=0.9
    )
    alarms = 0
    for x, _ in streams.binary():
        score = model.score_one(x)
        expected = model["QuantileFilter"].classify(score)
        assert learner.predict(x) == (expected, score)
        alarms += expected
        model.learn_one(x)
        learner.learn(x, None)
    assert alarms > 0

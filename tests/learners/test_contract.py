"""One suite over many River estimators: what every model in service must hold.

After River's own `checks/`: each takes a spec and a stream and says one thing of it.
"""

from __future__ import annotations

import copy
import pickle
import random

import numpy as np
import orjson
import pytest

from learners.building.seeding import _open
from learners.learner import Learner
from learners.spec import build_model, parse_model
from learners.tasks import parse_task
from tests.learners import streams

SCALER = "preprocessing.StandardScaler"
LOGISTIC = "linear_model.LogisticRegression"
ROLLING = {"utils.Rolling": {"cls": "stats.Mean", "window_size": 9}}
NUMBERS = {"compose.SelectType": ["number"]}
MIXED = {
    "union": [
        [{"compose.SelectType": ["str"]}, "preprocessing.OneHotEncoder"],
        [NUMBERS, SCALER],
    ]
}

BINARY = {
    "LogisticRegression": [SCALER, {LOGISTIC: {"optimizer": {"optim.Adam": {"lr": 0.01}}}}],
    "initializer": [SCALER, {LOGISTIC: {"initializer": "optim.initializers.Normal"}}],
    "Perceptron": "linear_model.Perceptron",
    "PAClassifier": "linear_model.PAClassifier",
    "ALMAClassifier": "linear_model.ALMAClassifier",
    "HoeffdingTree": {"tree.HoeffdingTreeClassifier": {"grace_period": 30}},
    "HoeffdingAdaptiveTree": {"tree.HoeffdingAdaptiveTreeClassifier": {"grace_period": 30}},
    "ExtremelyFastTree": {"tree.ExtremelyFastDecisionTreeClassifier": {"grace_period": 30}},
    "ARF": {"forest.ARFClassifier": {"n_models": 2}},
    "AMF": {"forest.AMFClassifier": {"n_estimators": 2}},
    "GaussianNB": "naive_bayes.GaussianNB",
    "KNN": {"neighbors.KNNClassifier": {"n_neighbors": 3}},
    "UnderSampler": {"imblearn.RandomUnderSampler": {"classifier": LOGISTIC,
                                                     "desired_dist": {0: 0.5, 1: 0.5}}},
    "HardSampling": {"imblearn.HardSamplingClassifier": {"classifier": LOGISTIC, "size": 20,
                                                         "p": 0.2}},
    "Bagging": {"ensemble.BaggingClassifier": {"model": [SCALER, LOGISTIC], "n_models": 2}},
    "ADWINBagging": {"ensemble.ADWINBaggingClassifier": {"model": LOGISTIC, "n_models": 2}},
    "LeveragingBagging": {"ensemble.LeveragingBaggingClassifier": {"model": LOGISTIC,
                                                                   "n_models": 2}},
    "AdaBoost": {"ensemble.AdaBoostClassifier": {"model": "tree.HoeffdingTreeClassifier",
                                                 "n_models": 2}},
    "SRP": {"ensemble.SRPClassifier": {"n_models": 2}},
    "Voting": {"ensemble.VotingClassifier": {"models": [[SCALER, LOGISTIC],
                                                        "naive_bayes.GaussianNB"]}},
    "Stacking": {"ensemble.StackingClassifier": {"models": [[SCALER, LOGISTIC],
                                                            "naive_bayes.GaussianNB"],
                                                 "meta_classifier": LOGISTIC}},
    "Bandit": {"model_selection.BanditClassifier": {
        "models": [LOGISTIC, "naive_bayes.GaussianNB"], "metric": "metrics.Accuracy",
        "policy": {"bandit.EpsilonGreedy": {"epsilon": 0.2}}}},
    "DriftRetraining": {"drift.DriftRetrainingClassifier": {"model": LOGISTIC}},
    "FM": [SCALER, {"facto.FMClassifier": {"n_factors": 3}}],
    "RBFSampler": [SCALER, {"feature_extraction.RBFSampler": {"n_components": 5}}, LOGISTIC],
    "RandomProjector": [{"preprocessing.GaussianRandomProjector": {"n_components": 3}}, LOGISTIC],
    "QuantileFilter": [SCALER, {"anomaly.QuantileFilter": {
        "anomaly_detector": "anomaly.OneClassSVM", "q": 0.95}}, LOGISTIC],
    "Mixed": [MIXED, LOGISTIC],
    "TargetAgg": [{"union": [[NUMBERS, {"compose.Discard": ["https"]}],
                             {"feature_extraction.TargetAgg": {"by": "shop", "how": ROLLING}}]},
                  SCALER, LOGISTIC],
}  # fmt: skip

MULTICLASS = {
    "Softmax": [SCALER, "linear_model.SoftmaxRegression"],
    "OneVsRest": [SCALER, {"multiclass.OneVsRestClassifier": {"classifier": LOGISTIC}}],
    "OutputCode": [SCALER, {"multiclass.OutputCodeClassifier": {"classifier": LOGISTIC,
                                                                "code_size": 5}}],
    "ARFMulticlass": {"forest.ARFClassifier": {"n_models": 2}},
}  # fmt: skip

REGRESSION = {
    "LinearRegression": [SCALER, "linear_model.LinearRegression"],
    "BayesianLinear": "linear_model.BayesianLinearRegression",
    "TargetScaler": {"preprocessing.TargetStandardScaler": {
        "regressor": [SCALER, "linear_model.PARegressor"]}},
    "HoeffdingTreeRegressor": {"tree.HoeffdingTreeRegressor": {"grace_period": 30}},
    "ARFRegressor": {"forest.ARFRegressor": {"n_models": 2}},
    "OXT": {"forest.OXTRegressor": {"n_models": 2}},
    "SGT": {"tree.SGTRegressor": {"grace_period": 30}},
    "AMRules": {"rules.AMRules": {"n_min": 50}},
    "KNNRegressor": "neighbors.KNNRegressor",
    "EWA": [SCALER, {"ensemble.EWARegressor": {"models": ["linear_model.LinearRegression",
                                                          "tree.HoeffdingTreeRegressor"]}}],
    "ChebyshevUnder": [SCALER, {"imblearn.ChebyshevUnderSampler": {
        "regressor": "linear_model.LinearRegression"}}],
}  # fmt: skip

ANOMALY = {
    "HalfSpaceTrees": ["preprocessing.MinMaxScaler",
                       {"anomaly.HalfSpaceTrees": {"window_size": 50}}],
    "LODA": [SCALER, "anomaly.LODA"],
    "OneClassSVM": [SCALER, "anomaly.OneClassSVM"],
    "AnomalyFilter": [SCALER, {"anomaly.ThresholdFilter": {
        "anomaly_detector": "anomaly.OneClassSVM", "threshold": 0.9}}],
}  # fmt: skip

SPECS = [
    pytest.param(spec, task, stream, id=name)
    for specs, task, stream in (
        (BINARY, "binary", streams.binary),
        (MULTICLASS, "multiclass", streams.multiclass),
        (REGRESSION, "regression", streams.regression),
        (ANOMALY, "anomaly", streams.binary),
    )
    for name, spec in specs.items()
]
EVENTS = 160
each_model = pytest.mark.parametrize(("spec", "task_name", "stream"), SPECS)


def learner_of(spec, task_name, seed=7):
    task = parse_task(task_name)
    return Learner(build_model(parse_model(spec), task, seed), task)


def events_of(spec, stream):
    text = orjson.dumps(parse_model(spec).to_json()).decode()
    rows = streams.mixed() if "shop" in text or "OneHot" in text else stream()
    return rows[:EVENTS]


def run(learner, rows):
    answers = []
    for x, y in rows:
        answers.append(learner.predict(x))
        learner.learn(x, y)
    return answers


def process_generators():
    # The legacy state is the one that River could use.
    return random.getstate(), str(np.random.get_state())  # noqa: NPY002


@each_model
def test_its_spec_reads_back_equal_from_json(spec, task_name, stream):
    parsed = parse_model(spec)
    encoded = orjson.loads(orjson.dumps(parsed.to_json()))
    assert parse_model(encoded) == parsed
    assert parse_model(encoded).to_json() == parsed.to_json() == encoded


@each_model
def test_it_repeats_itself_whatever_the_process_drew(spec, task_name, stream):
    """No seed is open, and nothing draws from the generators of the process."""
    rows = events_of(spec, stream)
    learner = learner_of(spec, task_name)
    assert not list(_open(learner.model))
    before = process_generators()
    first = run(learner, rows)
    assert process_generators() == before
    assert run(learner_of(spec, task_name), rows) == first
    assert any(prediction is not None or confidence is not None for prediction, confidence in first)


@each_model
def test_it_goes_on_identically_after_pickling(spec, task_name, stream):
    rows = events_of(spec, stream)
    learner = learner_of(spec, task_name)
    run(learner, rows[: EVENTS // 2])
    restored = pickle.loads(pickle.dumps(learner))
    expected = run(learner, rows[EVENTS // 2 :])
    assert run(restored, rows[EVENTS // 2 :]) == expected


@each_model
def test_it_leaves_features_alone_and_predicts_without_a_trace(spec, task_name, stream):
    """An event that waits for its label is learnt from the very dict that was predicted on."""
    rows = events_of(spec, stream)
    plain, asked = learner_of(spec, task_name), learner_of(spec, task_name)
    for x, y in rows:
        original = copy.deepcopy(x)
        answer = plain.predict(x)
        # Asking for more predictions in between must not change the next answer.
        assert asked.predict(x) == answer
        assert asked.predict(rows[0][0]) is not None
        assert asked.predict(x) == answer
        plain.learn(x, y)
        asked.learn(x, y)
        assert x == original
        assert list(x) == list(original)

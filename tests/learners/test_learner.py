"""What a learner does beyond River: thresholds, failures, models without probabilities."""

from __future__ import annotations

import math
import pickle

import pytest
from river import base, linear_model

from learners.errors import LearnerFailedError
from learners.learner import Features, Learner
from learners.spec import build_model, parse_model
from learners.tasks import Anomaly, Binary, Multiclass, Regression
from tests.learners import streams


class Fixed(base.Classifier):
    """Gives what it is told; raises what it is told."""

    def __init__(self, proba=None, error=None):
        self.proba = proba
        self.error = error

    @property
    def _multiclass(self):
        return True

    def learn_one(self, x, y):
        if self.error is not None:
            raise self.error

    def predict_proba_one(self, x, **kwargs):
        if self.error is not None:
            raise self.error
        return self.proba


class Number(base.Regressor):
    def __init__(self, value):
        self.value = value

    def learn_one(self, x, y):
        pass

    def predict_one(self, x, **kwargs):
        return self.value


class Score(base.AnomalyDetector):
    def __init__(self, value):
        self.value = value
        self.seen = 0

    def learn_one(self, x):
        self.seen += 1

    def score_one(self, x):
        return self.value


@pytest.mark.parametrize(
    ("proba", "answer"),
    [
        ({}, (None, None)),
        ({False: 1.0}, (False, 0.0)),
        ({True: 0.3}, (True, 0.3)),
        # A tie goes to River's first.
        ({False: 0.5, True: 0.5}, (False, 0.5)),
        ({True: 0.5, False: 0.5}, (True, 0.5)),
        ({False: 0, True: 1}, (True, 1.0)),
    ],
)
def test_without_a_threshold_rivers_argmax_decides(proba, answer):
    assert Learner(Fixed(proba), Binary()).predict({}) == answer


def test_a_threshold_decides_by_the_probability_of_true():
    learner = Learner(Fixed({False: 0.7, True: 0.3}), Binary(), threshold=0.3)
    assert learner.predict({}) == (True, 0.3)
    learner.threshold = 0.31
    assert learner.predict({}) == (False, 0.3)
    learner.threshold = None
    assert learner.predict({}) == (False, 0.3)
    assert Learner(Fixed({}), Binary(), threshold=0.0).predict({}) == (None, None)


def test_an_anomaly_threshold_decides_by_the_score():
    learner = Learner(Score(0.8), Anomaly(), threshold=0.8)
    assert learner.predict({}) == (True, 0.8)
    learner.threshold = 0.9
    assert learner.predict({}) == (False, 0.8)
    learner.threshold = None
    assert learner.predict({}) == (None, 0.8)


def test_only_anomaly_detectors_learn_on_arrival():
    model = Score(0.0)
    learner = Learner(model, Anomaly())
    learner.learn({}, None)
    assert not learner.learns_from_labels
    assert model.seen == 1
    assert Learner(Fixed({}), Binary()).learns_from_labels


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (Fixed({False: math.nan, True: 0.5}), Binary()),
        (Fixed({False: 0.5, True: math.nan}), Binary()),
        (Fixed({False: math.inf, True: -math.inf}), Binary()),
        (Fixed({"a": math.nan, "b": 1.0}), Multiclass()),
        (Number(math.inf), Regression()),
        (Number(math.nan), Regression()),
        (Score(math.nan), Anomaly()),
        (Fixed(error=ValueError("a\nb")), Binary()),
        (Fixed(error=KeyError("wind")), Multiclass()),
    ],
)
def test_a_failing_prediction_names_its_phase(model, task):
    with pytest.raises(LearnerFailedError) as caught:
        Learner(model, task).predict({"a": 1.0})
    assert caught.value.phase == "predict"
    assert "\n" not in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.phase, copy.detail) == (caught.value.phase, caught.value.detail)


def test_a_failing_update_names_its_phase():
    with pytest.raises(LearnerFailedError, match="failed to learn: ValueError: no"):
        Learner(Fixed(error=ValueError("no")), Binary()).learn({}, True)


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), KeyboardInterrupt()])
def test_what_depends_on_the_process_is_not_the_models_failure(error):
    learner = Learner(Fixed(error=error), Binary())
    with pytest.raises(type(error)):
        learner.predict({})
    with pytest.raises(type(error)):
        learner.learn({}, True)


def test_a_text_feature_without_encoding_gets_a_hint():
    task = Binary()
    spec = parse_model(["preprocessing.StandardScaler", "linear_model.LogisticRegression"])
    learner = Learner(build_model(spec, task, 1), task)
    with pytest.raises(LearnerFailedError) as caught:
        learner.learn({"wind": 3.0, "carrier": "AA"}, True)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("carrier is text")


def test_an_exploding_regression_fails_before_it_answers():
    learner = Learner(linear_model.LinearRegression(), Regression())
    x: Features = {"a": 1e150}
    with pytest.raises(LearnerFailedError, match="not finite"):
        for _ in range(3):
            answer, _ = learner.predict(x)
            assert isinstance(answer, float)
            assert math.isfinite(answer)
            learner.learn(x, 1.0)


ONE_VS_ONE = {"multiclass.OneVsOneClassifier": {"classifier": "linear_model.LogisticRegression"}}


@pytest.mark.parametrize(
    ("spec", "task", "known_beforehand"),
    [
        (["preprocessing.StandardScaler", ONE_VS_ONE], Multiclass(), True),
        # Here only the wrapped model has no probabilities, which shows when it is asked.
        ({"imblearn.RandomSampler": {"classifier": ONE_VS_ONE, "desired_dist": None}}, Binary(),
         False),
    ],
)  # fmt: skip
def test_a_model_without_probabilities_answers_by_class(spec, task, known_beforehand):
    learner = Learner(build_model(parse_model(spec), task, 1), task)
    plain = build_model(parse_model(spec), task, 1)
    assert (learner.predict == learner._class_only) is known_beforehand
    stream = streams.multiclass() if task.name == "multiclass" else streams.binary()
    answered = 0
    for x, y in stream[:300]:
        answer = learner.predict(x)
        assert answer == (plain.predict_one(x), None)
        answered += answer[0] is not None
        learner.learn(x, y)
        plain.learn_one(x, y)
    assert answered > 250


def test_a_pickled_learner_is_its_model_task_and_threshold():
    learner = Learner(Fixed({False: 0.2, True: 0.8}), Binary(), threshold=0.9)
    pickled = pickle.dumps(learner)
    restored = pickle.loads(pickled)
    assert restored.predict({}) == (False, 0.8)
    assert restored.task == learner.task
    # No private name of ours, which a later version may change.
    assert b"_binary" not in pickled

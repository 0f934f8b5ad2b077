"""Labels become what the task learns from, and nothing else does."""

from __future__ import annotations

import pytest

from learners.errors import InvalidLabelError, TaskError
from learners.tasks import Binary, parse_task


@pytest.mark.parametrize(
    ("task", "value", "label"),
    [
        ("binary", True, True),
        ("binary", False, False),
        ("binary", 1, True),
        ("binary", 0.0, False),
        ({"binary": {"positive": "UP"}}, "UP", True),
        ({"binary": {"positive": "UP"}}, "DOWN", False),
        ({"binary": {"positive": 2}}, 2.0, True),
        ({"binary": {"positive": 2}}, 1, False),
        ("multiclass", "sky", "sky"),
        ("multiclass", 3.0, 3),
        ("regression", 3, 3),
        ("regression", -2.5, -2.5),
        ("anomaly", 1, True),
    ],
)
def test_a_label_becomes_what_the_task_learns_from(task, value, label):
    found = parse_task(task).label(value)
    assert found == label
    assert type(found) is type(label)


@pytest.mark.parametrize(
    ("task", "value"),
    [
        ("binary", "yes"),
        ("binary", 2),
        ("binary", 0.5),
        ({"binary": {"positive": "1"}}, 1),
        ({"binary": {"positive": 1}}, "1"),
        ("multiclass", 3.5),
        ("regression", "3.5"),
        ("regression", True),
        ("regression", 10**400),
        ("anomaly", "yes"),
    ],
)
def test_a_label_the_task_cannot_learn_is_refused(task, value):
    with pytest.raises(InvalidLabelError):
        parse_task(task).label(value)


@pytest.mark.parametrize(
    "obj", ["binary", {"binary": {"positive": "UP"}}, "multiclass", "regression", "anomaly"]
)
def test_a_task_reads_back_equal_from_its_json(obj):
    task = parse_task(obj)
    assert task.to_json() == obj
    assert parse_task(task.to_json()) == task


def test_binary_without_a_positive_class_is_plain_binary():
    assert parse_task({"binary": None}) == parse_task({"binary": {}}) == Binary()


def test_what_is_not_built_yet_says_so():
    with pytest.raises(TaskError, match="forecasting is not built yet"):
        parse_task("forecasting")


def test_a_wrong_name_gets_the_nearest_one():
    with pytest.raises(TaskError) as caught:
        parse_task("regresion")
    assert caught.value.hint == "did you mean regression?"


@pytest.mark.parametrize(
    "obj", [3, None, {"binary": {"negative": 1}}, {"binary": {"positive": [1]}}, {"regression": {}}]
)
def test_other_shapes_are_refused(obj):
    with pytest.raises(TaskError):
        parse_task(obj)

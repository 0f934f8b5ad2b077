"""Thresholds by hand: every expected value is worked out in the comment above it."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from learners.errors import TaskError
from learners.tasks import parse_task
from learners.threshold import NEVER, ThresholdSettings, check_threshold, choose_threshold

# Five bins of width 0.2; at the threshold i/5 what lies in bin i and above is predicted True.
#   i     0    1    2    3    4
#   tp  100   90   70   40   10
#   fp  100   40   15    5    0
#   precision .5  .692 .8235 .889  1
POSITIVES = [10, 20, 30, 30, 10]
NEGATIVES = [60, 25, 10, 5, 0]


def settings(value: object) -> ThresholdSettings:
    return ThresholdSettings.model_validate(value)


@pytest.mark.parametrize(
    ("goal", "threshold"),
    [
        # 70/85 = 0.8235 is the first to reach 0.8; 0.69 (90/130) does not.
        ({"precision": 0.8}, 0.4),
        ({"precision": 0.69}, 0.2),
        ({"precision": 1.0}, 0.8),
        ({"precision": 0.5}, 0.0),
        # 90 of 100 at 0.2, exactly 0.9; 70 at 0.4.
        ({"recall": 0.9}, 0.2),
        ({"recall": 0.91}, 0.0),
        ({"recall": 0.7}, 0.4),
        ({"recall": 0.05}, 0.8),
        # Equal costs: fp + fn = 100, 50, 45, 65, 90, never 100.
        ({"cost": {"false_positive": 1, "false_negative": 1}}, 0.4),
        # Misses four times as dear: fp + 4 fn = 100, 80, 135, 245, 360, never 400.
        ({"cost": {"false_positive": 1, "false_negative": 4}}, 0.2),
        # False alarms ten times: 10 fp + fn = 1000, 410, 180, 110, 90, never 100.
        ({"cost": {"false_positive": 10, "false_negative": 1}}, 0.8),
        # A miss costs nothing: 0 at 0.8 and for never; of equals the highest.
        ({"cost": {"false_positive": 1, "false_negative": 0}}, NEVER),
    ],
)
def test_the_threshold_meets_the_goal(goal, threshold):
    assert choose_threshold(settings(goal), POSITIVES, NEGATIVES) == threshold


def test_shares_are_compared_as_exact_fractions():
    # In floats 0.57 * 100 is 56.99999999999999; 57 of 100 positives reach 0.57, and 56 do not.
    assert choose_threshold(settings({"recall": 0.57}), [43, 57], [100, 0]) == 0.5
    assert choose_threshold(settings({"recall": 0.57}), [44, 56], [100, 0]) == 0.0
    # 55 of 100 predicted: 0.55 * 100 is 55.00000000000001 in floats, and would not be reached.
    assert choose_threshold(settings({"precision": 0.55}), [0, 55], [100, 45]) == 0.5


def test_a_goal_out_of_reach_changes_nothing():
    assert choose_threshold(settings({"precision": 0.9}), [50, 50], [50, 50]) is None


@pytest.mark.parametrize(
    ("positives", "negatives"), [([0, 0], [0, 0]), ([0, 9], [500, 0]), ([5, 30], [50, 14])]
)
def test_too_few_labels_change_nothing(positives, negatives):
    for goal in ({"precision": 0.5}, {"recall": 0.5}, {"cost": {"false_positive": 1,
                                                              "false_negative": 1}}):  # fmt: skip
        assert choose_threshold(settings(goal), positives, negatives) is None


def test_a_fixed_threshold_is_itself_and_none_is_none():
    assert choose_threshold(settings(0.3), [0], [0]) == 0.3
    assert choose_threshold(settings(None), POSITIVES, NEGATIVES) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        0.25,
        {"precision": 0.9},
        {"recall": 0.5},
        {"cost": {"false_positive": 1.0, "false_negative": 5.0}},
    ],
)
def test_settings_read_back_equal_from_their_json(value):
    class Configuration(BaseModel):
        threshold: ThresholdSettings = ThresholdSettings()

    dumped = Configuration(threshold=value).model_dump(mode="json")
    assert dumped == {"threshold": value}
    assert Configuration.model_validate(dumped).threshold == settings(value)


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        -0.1,
        True,
        "high",
        float("nan"),
        {"precision": 0},
        {"precision": 1.1},
        {"precision": 0.9, "recall": 0.9},
        {"precison": 0.9},
        {"cost": {"false_positive": 1}},
        {"cost": {"false_positive": 0, "false_negative": 0}},
        {"cost": {"false_positive": -1, "false_negative": 1}},
    ],
)
def test_impossible_thresholds_are_refused(value):
    with pytest.raises(ValidationError):
        settings(value)


def test_a_threshold_fits_the_task():
    check_threshold(settings({"recall": 0.9}), parse_task("binary"))
    check_threshold(settings(0.7), parse_task("anomaly"))
    check_threshold(settings(None), parse_task("regression"))
    for value, task in ((0.5, "regression"), (0.5, "multiclass"), ({"recall": 0.9}, "anomaly")):
        with pytest.raises(TaskError, match=task):
            check_threshold(settings(value), parse_task(task))

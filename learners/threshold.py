"""From which probability on a binary prediction is True: fixed, or learnt from recent labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from learners.errors import TaskError
from learners.tasks import Task

MIN_LABELLED = 100
"""Labelled events below which no threshold is learnt: fewer say little about a rate."""

MIN_OF_EACH_CLASS = 10
"""Events of the rarer class below which no threshold is learnt."""

NEVER = math.nextafter(1.0, 2.0)
"""A threshold that no probability reaches: least cost may mean never to say True."""

Share = Annotated[float, Field(gt=0, le=1)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Cost(BaseModel):
    """What one error of each kind costs, in any one unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_positive: Price
    false_negative: Price


class ThresholdSettings(BaseModel):
    """The configuration's `threshold:`: null, a number in [0, 1], or one of three goals.

    `{precision: p}`, `{recall: r}` or `{cost: {false_positive: a, false_negative: b}}`. At most
    one field is set; none means River's own argmax.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fixed: Annotated[float, Field(ge=0, le=1)] | None = None
    precision: Share | None = None
    recall: Share | None = None
    cost: Cost | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_configuration(cls, value: object) -> object:
        if value is None:
            return {}
        if isinstance(value, bool):
            raise ValueError("a threshold is a number in [0, 1] or a goal, not a boolean")
        if isinstance(value, int | float | str):
            # Text is what an environment variable holds.
            return {"fixed": value}
        if isinstance(value, Mapping) and len(value) > 1:
            raise ValueError("a threshold has one goal: precision, recall or cost")
        return value

    @model_validator(mode="after")
    def _has_meaning(self) -> ThresholdSettings:
        if self.cost is not None and self.cost.false_positive + self.cost.false_negative == 0:
            raise ValueError("one of the two costs must be above 0")
        return self

    @model_serializer
    def _to_json(self) -> Any:
        if self.fixed is not None:
            return self.fixed
        if self.precision is not None:
            return {"precision": self.precision}
        if self.recall is not None:
            return {"recall": self.recall}
        if self.cost is not None:
            return {"cost": self.cost.model_dump()}
        return None

    @property
    def learnt(self) -> bool:
        """Whether the threshold follows the labels (`choose_threshold`)."""
        return not (self.precision is None and self.recall is None and self.cost is None)


def check_threshold(settings: ThresholdSettings, task: Task) -> None:
    """Raise TaskError unless the task can use such a threshold.

    A number: binary and anomaly. A goal: binary, the only one whose scores are probabilities.
    """
    given = settings.fixed is not None or settings.learnt
    allowed = ("binary",) if settings.learnt else ("binary", "anomaly")
    if given and task.name not in allowed:
        raise TaskError(
            f"a threshold {'with a goal ' if settings.learnt else ''}needs the task "
            f"{' or '.join(allowed)}, not {task.name}",
            hint="leave threshold out",
        )


def choose_threshold(
    settings: ThresholdSettings, positives: Sequence[int], negatives: Sequence[int]
) -> float | None:
    """The threshold that meets the goal on labelled events, or None to keep what is in force.

    Parameters
    ----------
    positives, negatives
        Labelled events by their class and by the predicted probability of True: two histograms of
        n equal bins over [0, 1], bin i counting p in [i/n, (i+1)/n), the last one 1.0 too.

    Returns
    -------
    i/n for one of the bins: the lowest that reaches the precision (so with the most recall), the
    highest that reaches the recall, the one of least cost (of equals the highest; NEVER among
    them). None if nothing reaches the goal, or if there are fewer than MIN_LABELLED events or
    MIN_OF_EACH_CLASS of a class. A fixed threshold as it is. Shares are compared as exact
    fractions.
    """
    if settings.fixed is not None:
        return settings.fixed
    assert len(positives) == len(negatives)
    n = len(positives)
    all_positive, all_negative = sum(positives), sum(negatives)
    if (
        all_positive + all_negative < MIN_LABELLED
        or min(all_positive, all_negative) < MIN_OF_EACH_CLASS
    ):
        return None
    # At the threshold i/n: what lies in bin i and above is predicted True.
    true_positive = list(accumulate(reversed(positives)))[::-1]
    false_positive = list(accumulate(reversed(negatives)))[::-1]
    if settings.precision is not None:
        goal = _exact(settings.precision)
        for i in range(n):
            predicted = true_positive[i] + false_positive[i]
            if predicted and true_positive[i] >= goal * predicted:
                return i / n
        return None
    if settings.recall is not None:
        goal = _exact(settings.recall)
        reached = [i for i in range(n) if true_positive[i] >= goal * all_positive]
        return max(reached) / n if reached else None
    if settings.cost is None:
        return None
    per_fp, per_fn = _exact(settings.cost.false_positive), _exact(settings.cost.false_negative)
    least, chosen = per_fn * all_positive, NEVER
    for i in reversed(range(n)):
        cost = per_fp * false_positive[i] + per_fn * (all_positive - true_positive[i])
        if cost < least:
            least, chosen = cost, i / n
    return chosen


def _exact(number: float) -> Fraction:
    """The decimal that was written: 0.9 as 9/10, not as its nearest float."""
    return Fraction(str(number))

from __future__ import annotations

import pytest

from learners.errors import LearnerFailedError
from learners.snapshots import Probe, failed_probes

PROBES = (
    Probe.take("champion", {"x": 1.0}, (True, 0.1 + 0.2)),
    Probe.take("champion", {"x": 2}, ("b", {"a": 0.25, "b": 0.75})),
    Probe.take("champion", {"x": 3}, (None, None)),
)
ANSWERS: dict[float, object] = {
    1.0: (True, 0.30000000000000004),
    2: ("b", {"a": 0.25, "b": 0.75}),
    3: (None, None),
}


def test_equal_answers_pass() -> None:
    assert failed_probes(PROBES, lambda _, features: ANSWERS[features["x"]]) == []  # type: ignore[index]


@pytest.mark.parametrize(
    ("x", "answer"), [(1.0, (True, 0.3)), (1.0, (1, 0.30000000000000004)), (3, (None, 0.0))]
)
def test_an_answer_off_by_a_bit_or_a_type_is_named(x: float, answer: object) -> None:
    answers = {**ANSWERS, x: answer}
    (failed,) = failed_probes(PROBES, lambda _, features: answers[features["x"]])  # type: ignore[index]
    assert failed.number == [1.0, 2, 3].index(x)
    assert "instead of" in failed.detail


def test_a_model_that_raises_fails_its_probes_and_other_errors_pass_through() -> None:
    def raises(learner: str, features: object) -> object:
        raise LearnerFailedError("predict", "AttributeError: no such thing")

    assert len(failed_probes(PROBES, raises)) == 3
    with pytest.raises(KeyError):
        failed_probes(PROBES, lambda learner, features: ANSWERS[-1])

import itertools
import random

import pytest

from learners.quality.baselines import (
    MAX_CLASSES,
    BinaryBaselines,
    ClassBaselines,
    RegressionBaselines,
)


def test_nothing_is_known_before_the_first_label() -> None:
    assert BinaryBaselines().naive() == [None, None, None]
    assert ClassBaselines().naive() == [None, None]
    assert RegressionBaselines().naive() == [None, None]


def test_binary_baselines_by_hand() -> None:
    baselines = BinaryBaselines()
    for label in (True, False, True):
        baselines.learn(label)

    # recent: mean of a prior 0.5 and the labels; all: (2 + 0.5) / (3 + 1)
    assert baselines.naive() == [True, True, pytest.approx(0.9 * 2.5 / 4 + 0.1 * 2.5 / 4)]


def test_the_recent_rate_follows_the_last_hundred_labels() -> None:
    baselines = BinaryBaselines()
    for i in range(3000):
        baselines.learn(i >= 2700)

    majority, last, rate = baselines.naive()

    assert (majority, last) == (False, True)
    assert isinstance(rate, float)
    assert 0.85 < rate < 0.9


def test_the_recent_rate_never_says_never() -> None:
    baselines = BinaryBaselines()
    for _ in range(100_000):
        baselines.learn(False)

    rate = baselines.naive()[2]

    assert isinstance(rate, float)
    assert rate > 1e-7


@pytest.mark.parametrize("labels", [1, 5, 98, 99, 100, 101, 250])
def test_a_correction_leaves_the_rate_of_a_run_with_the_right_label(labels: int) -> None:
    rng = random.Random(labels)
    stream = [rng.random() < 0.4 for _ in range(labels)]
    for number in {0, labels // 2, labels - 1, min(98, labels - 1), min(99, labels - 1)}:
        corrected, fresh = BinaryBaselines(), BinaryBaselines()
        for i, label in enumerate(stream):
            corrected.learn(label)
            fresh.learn(label != (i == number))

        corrected.correct(stream[number], not stream[number], number)

        assert corrected.naive()[:2] == fresh.naive()[:2]
        assert corrected.recent == pytest.approx(fresh.recent, abs=1e-12)


def test_majority_class_is_the_most_frequent_and_of_a_tie_the_first_there() -> None:
    baselines = ClassBaselines()
    seen = []
    for label in "abbcca":
        baselines.learn(label)
        seen.append(baselines.naive())

    assert seen == [["a", "a"], ["a", "b"], ["b", "b"], ["b", "c"], ["b", "c"], ["b", "a"]]


def test_a_corrected_class_may_lose_the_majority() -> None:
    baselines = ClassBaselines()
    for label in "aab":
        baselines.learn(label)

    baselines.correct("a", "b", 1)
    assert baselines.naive() == ["b", "b"]

    baselines.correct("b", "c", 2)
    assert baselines.naive() == ["a", "c"]


def test_ids_taken_for_classes_make_no_flood() -> None:
    baselines = ClassBaselines()
    for label in itertools.chain(range(5000), [3]):
        baselines.learn(label)
    baselines.correct(4999, 4998, 4999)

    assert len(baselines.counts) == MAX_CLASSES
    assert baselines.naive() == [3, 3]


def test_regression_baselines_by_hand() -> None:
    baselines = RegressionBaselines()
    for label in (1.0, 2, 6.0):
        baselines.learn(label)
    assert baselines.naive() == [3.0, 6.0]

    baselines.correct(6.0, 9.0, 2)
    assert baselines.naive() == [4.0, 9.0]

    baselines.correct(1.0, 4.0, 0)
    assert baselines.naive() == [5.0, 9.0]

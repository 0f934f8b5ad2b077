"""What a comparison says of pairs of answers, by hand."""

from math import log

import pytest

from stream.comparison import FEWEST, Pair, compare


def pairs(count, served, version, *, label=True, flat=True):
    """`count` events; without `flat` every other one has the two answers the other way round."""
    found = []
    for number in range(count):
        one, other = (served, version) if flat or number % 2 else (version, served)
        found.append(Pair(number, label, (one > 0.5, one), (other > 0.5, other)))
    return found


def test_a_version_that_is_worse_on_every_label_is_not_advised():
    found = compare("binary", pairs(200, 0.9, 0.6))

    assert found.labels == 200
    assert found.served["log_loss"] == pytest.approx(-log(0.9))
    assert found.version["log_loss"] == pytest.approx(-log(0.6))
    assert found.gain == pytest.approx(log(0.6) - log(0.9))
    assert found.error == pytest.approx(0.0, abs=1e-12)
    assert found.verdict == "worse"


def test_one_that_is_better_is_advised():
    assert compare("binary", pairs(200, 0.6, 0.9)).verdict == "better"


def test_answers_that_are_right_by_turns_do_not_differ():
    found = compare("binary", pairs(200, 0.9, 0.6, flat=False))

    assert found.gain == pytest.approx(0.0, abs=1e-12)
    assert found.verdict == "no clear difference"


def test_few_labels_say_nothing():
    found = compare("binary", pairs(FEWEST - 1, 0.9, 0.1))

    assert (found.labels, found.verdict, found.gain) == (FEWEST - 1, "too few labels", None)
    assert found.version["accuracy"] == 0.0
    assert compare("binary", []).labels == 0


def test_the_spread_is_that_of_batch_means():
    # 20 batches of five squared errors: a half where the version is better by 1, a half by 3.
    some = [Pair(n, 0.0, (1.0 if n < 50 else 3.0**0.5, None), (0.0, None)) for n in range(100)]
    found = compare("regression", some)

    assert found.gain == pytest.approx(2.0)
    # Ten ones and ten threes: standard deviation sqrt(20/19), over sqrt(20).
    assert found.error == pytest.approx((1 / 19) ** 0.5)
    assert found.verdict == "better"

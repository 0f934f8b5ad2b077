"""The evidence that River forgets, by hand and by brute force."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

import detectors.adwin
import detectors.page_hinkley
from detectors.adwin import Adwin
from detectors.page_hinkley import PageHinkley
from detectors.settings import AdwinSettings, PageHinkleySettings
from tests.detectors.streams import bernoulli, gaussian, river_detector


def adwin() -> Adwin:
    return Adwin(AdwinSettings(name="x", signal="error", method="ADWIN"))


def page_hinkley(**parameters: object) -> PageHinkley:
    return PageHinkley(
        PageHinkleySettings.model_validate(
            {"name": "x", "signal": "error", "method": "PageHinkley", **parameters}
        )
    )


@pytest.mark.parametrize("module", [detectors.adwin, detectors.page_hinkley])
def test_the_examples_in_the_docstrings_hold(module: ModuleType):
    result = doctest.testmod(module)

    assert result.attempted > 0
    assert result.failed == 0


def test_adwins_evidence_is_that_of_the_detecting_update_and_not_one_later():
    values = [0.0] * 960 + [1.0] * 640
    detector, river = adwin(), river_detector("ADWIN")

    for value in values:
        river.update(value)
        if detector.update(value):
            break

    change = detector.change
    assert change is not None
    assert change.width_after == river.width
    assert change.mean_after == river.estimation
    river.update(1.0)
    assert river.width == 1
    detector.update(1.0)
    assert detector.change == change


def test_adwins_start_is_near_a_clear_change():
    detector = adwin()
    values = [0.0] * 1000 + [1.0] * 1000

    at = next(index for index, value in enumerate(values) if detector.update(value))

    change = detector.change
    assert change is not None
    # The first check after the change is at 1,023; then 24 ones are in, all of them in W1. The
    # cut lies between buckets of the old part, within one clock (32 values) of the change.
    assert at == 1023
    assert abs(at - change.width_after + 1 - 1000) <= 32
    assert change.mean_before == 0.0
    assert change.mean_after * change.width_after == 24


DELTA = 0.5


def brute_force_change(values: list[float], alpha: float, rising: bool) -> int:
    """How many values lie up to the extreme of the cumulative sum, as the definition has it."""
    mean = total = 0.0
    sums = []
    for count, value in enumerate(values, 1):
        mean += (value - mean) / count
        total = alpha * total + (value - mean) + (-DELTA if rising else DELTA)
        sums.append(total)
    extreme = min(sums) if rising else max(sums)
    return sums.index(extreme) + 1


@pytest.mark.parametrize("mode", ["up", "down", "both"])
@pytest.mark.parametrize("alpha", [1.0, 0.9999])
@pytest.mark.parametrize("seed", range(5))
def test_page_hinkleys_start_follows_the_extreme_of_the_cumulative_sum(
    mode: str, alpha: float, seed: int
):
    shift = -2.0 if mode == "down" else 2.0
    values = gaussian((700, 0, 1), (700, shift, 1), seed=seed)
    detector = page_hinkley(mode=mode, alpha=alpha, delta=DELTA)

    at = next(index for index, value in enumerate(values) if detector.update(value))

    change = detector.change
    assert change is not None
    before = brute_force_change(values[: at + 1], alpha, rising=shift > 0)
    assert change.width_before == before
    assert change.width_before + change.width_after == at + 1
    assert (change.mean_after > change.mean_before) == (shift > 0)
    # With a quarter of the shift as delta the sum turns where the change is, but for the noise.
    assert abs(before - 700) < 20


def test_page_hinkley_starts_a_new_run_after_each_detection():
    values = gaussian((500, 0, 1), (500, 3, 1), (500, 0, 1), (500, 3, 1))
    detector, found = page_hinkley(), []
    for index, value in enumerate(values):
        if detector.update(value):
            assert detector.change is not None
            found.append((index, detector.change))

    assert len(found) >= 3
    ends = [-1] + [index for index, _ in found]
    for (index, change), previous in zip(found, ends, strict=False):
        assert change.width_before + change.width_after == index - previous


def test_a_start_far_back_is_still_counted():
    # A drift so slow that its start lies thousands of values before its detection.
    values = bernoulli((20_000, 0.2), (20_000, 0.22))
    detector = page_hinkley(threshold=150.0, alpha=1.0)

    at = next((i for i, value in enumerate(values) if detector.update(value)), None)

    assert at is not None
    assert detector.change is not None
    assert detector.change.width_after > 4096

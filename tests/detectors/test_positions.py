from __future__ import annotations

import pickle

import pytest

from detectors.positions import RECENT, Positions

COUNT = 300_000


def event(number: int) -> tuple[int, int]:
    return 5 * number + 3, 1_700_000_000_000 + 1000 * number


@pytest.fixture(scope="module")
def many() -> Positions:
    positions = Positions()
    for number in range(COUNT):
        positions.add(*event(number))
    return positions


def test_the_latest_values_are_exact(many: Positions):
    for number in range(COUNT - RECENT, COUNT):
        assert many.find(number) == (*event(number), 0)


def test_older_values_are_found_to_within_a_sixtieth_of_their_age(many: Positions):
    inexact = 0
    for number in range(0, COUNT, 97):
        index, time_ms, slack = many.find(number)
        named = (index - 3) // 5
        assert (index, time_ms) == event(named)
        assert named <= number <= named + slack
        assert slack <= (COUNT - number) / 60
        inexact += slack > 0
    assert inexact > 1000


def test_memory_is_bounded(many: Positions):
    assert len(pickle.dumps(many)) < 16 * 2 * RECENT + 40_000


def test_after_clear_numbers_start_at_zero_again(many: Positions):
    positions = pickle.loads(pickle.dumps(many))

    positions.clear()
    positions.add(7, 8)

    assert positions.find(0) == (7, 8, 0)
    with pytest.raises(AssertionError):
        positions.find(1)
    for number in range(1, 20_000):
        positions.add(-number, number)
    assert positions.find(0).event_index == 7
    assert positions.find(128) == (-128, 128, 127)
    assert positions.find(8192) == (-8192, 8192, 63)


@pytest.mark.parametrize("cut", [0, 1, 8191, 8192, 20_000])
def test_a_pickle_goes_on_identically(cut: int):
    kept = Positions()
    for number in range(cut):
        kept.add(*event(number))

    copy = pickle.loads(pickle.dumps(kept))

    for number in range(cut, 30_000):
        kept.add(*event(number))
        copy.add(*event(number))
    assert [copy.find(n) for n in range(0, 30_000, 61)] == [
        kept.find(n) for n in range(0, 30_000, 61)
    ]

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from learners.snapshots import SnapshotsSettings, due

SETTINGS = SnapshotsSettings.model_validate(
    {"recover_within": "10s", "min_interval": "5s", "every": "1h", "every_events": 50_000}
)


@pytest.mark.parametrize(
    ("seconds", "events", "rate", "expected"),
    [
        (3600.0, 0, 1000.0, None),  # nothing new
        (3600.0, 1, 1000.0, "age"),
        (3599.0, 1, 1000.0, None),
        (6.0, 50_000, None, "events"),
        (6.0, 49_999, None, None),
        (4.9, 49_999, 1.0, None),  # the minimum interval wins
        (6.0, 7_999, 1000.0, None),
        (6.0, 8_000, 1000.0, "recovery"),  # 80 % of 10 s
    ],
)
def test_due_by_age_events_and_replay(
    seconds: float, events: int, rate: float | None, expected: str | None
) -> None:
    reason = due(SETTINGS, seconds_since=seconds, events_since=events, replay_events_per_s=rate)
    assert reason == expected


def test_the_time_to_load_counts() -> None:
    arguments: dict[str, Any] = {
        "seconds_since": 6.0,
        "events_since": 7_000,
        "replay_events_per_s": 1000.0,
    }
    assert due(SETTINGS, **arguments) is None
    assert due(SETTINGS, **arguments, load_s=1.0) == "recovery"


@given(st.floats(5, 1e6), st.integers(1, 10**9), st.floats(1e-3, 1e7), st.floats(0.1, 1e5))
def test_while_none_is_due_a_replay_stays_within_its_bound(
    seconds: float, events: int, rate: float, bound_s: float
) -> None:
    settings = SnapshotsSettings(recover_within=timedelta(seconds=bound_s))
    reason = due(settings, seconds_since=seconds, events_since=events, replay_events_per_s=rate)
    if reason is None:
        assert events / rate <= bound_s


def test_what_is_not_built_or_not_positive_is_refused() -> None:
    wrongs: list[dict[str, object]] = [
        {"versions": {"keep": {"last": 0}}},
        {"recover_within": "0s"},
        {"every_events": 0},
        {"evry": "1h"},
    ]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            SnapshotsSettings.model_validate(wrong)

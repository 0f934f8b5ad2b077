from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.detection import Detection, Direction, Severity
from detectors.errors import StateFormatError
from detectors.policy import REMEMBERED, AlertPolicy, Send, Suppressed
from detectors.settings import AlertSettings

HOUR = 3_600_000


def detection(
    detector: str = "error", direction: Direction = "up", severity: Severity = "warning"
) -> Detection:
    return Detection(detector, "error", "ADWIN", direction, severity, 1, 1, {})


class Shown:
    """A policy that gives every detection an id of its own unless told one."""

    def __init__(self, cooldown: Any = "1h") -> None:
        self.policy = AlertPolicy(AlertSettings(cooldown=cooldown))
        self.count = 0

    def at(self, clock_ms: int, alert_id: str | None = None, **what: Any) -> Send | Suppressed:
        self.count += 1
        return self.policy.decide(
            detection(**what), alert_id=alert_id or f"id-{self.count}", clock_ms=clock_ms
        )


def test_within_the_cooldown_alerts_are_kept_back_and_counted():
    shown = Shown()

    assert shown.at(0) == Send(suppressed=0)
    assert shown.at(1) == Suppressed("cooldown")
    assert shown.at(HOUR - 1) == Suppressed("cooldown")
    assert shown.at(HOUR) == Send(suppressed=2)
    assert shown.at(2 * HOUR) == Send(suppressed=0)


def test_the_cooldown_counts_from_the_last_alert_sent_not_from_the_last_kept_back():
    shown = Shown()
    times = range(0, 5 * HOUR, HOUR // 4)

    sent = [time for time in times if isinstance(shown.at(time), Send)]

    assert sent == [0, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR]


@pytest.mark.parametrize("off", [None, 0, "0s"])
def test_without_a_cooldown_every_detection_is_sent(off: Any):
    shown = Shown(off)

    assert [shown.at(0), shown.at(0), shown.at(1), shown.at(0)] == [Send(0)] * 4


def test_an_improvement_hides_no_deterioration_nor_the_other_way_round():
    shown = Shown()

    assert shown.at(0, direction="down", severity="info") == Send(0)
    assert shown.at(1, direction="up", severity="warning") == Send(0)
    assert shown.at(2, direction="down", severity="info") == Suppressed("cooldown")
    assert shown.at(3, direction="up", severity="warning") == Suppressed("cooldown")


def test_the_two_directions_of_a_feature_do_not_silence_one_another():
    shown = Shown()

    assert shown.at(0, direction="up") == Send(0)
    assert shown.at(1, direction="down") == Send(0)


def test_a_warning_does_not_hide_what_is_critical():
    shown = Shown()

    assert shown.at(0, severity="warning") == Send(0)
    assert shown.at(1, severity="warning") == Suppressed("cooldown")
    assert shown.at(2, severity="critical") == Send(1)
    assert shown.at(3, severity="critical") == Suppressed("cooldown")
    assert shown.at(4, severity="warning") == Suppressed("cooldown")


def test_detectors_do_not_silence_one_another():
    shown = Shown()

    assert shown.at(0, detector="adwin") == Send(0)
    assert shown.at(0, detector="page-hinkley") == Send(0)


def test_the_same_id_is_never_sent_twice_and_does_not_count_as_kept_back():
    shown = Shown()

    assert shown.at(0, "same") == Send(0)
    assert shown.at(5 * HOUR, "same") == Suppressed("duplicate")
    assert shown.at(6 * HOUR, "other") == Send(0)


def test_remembered_ids_are_bounded():
    shown = Shown(None)
    for number in range(REMEMBERED + 10):
        shown.at(number)

    assert len(shown.policy.dump()["ids"]) == REMEMBERED
    assert shown.at(0, f"id-{REMEMBERED + 10}") == Suppressed("duplicate")


def test_a_clock_that_went_back_a_little_suppresses_and_far_back_starts_anew():
    shown = Shown()
    assert shown.at(10 * HOUR) == Send(0)

    assert shown.at(10 * HOUR - 1) == Suppressed("cooldown")
    assert shown.at(2 * HOUR) == Send(1)
    assert shown.at(3 * HOUR) == Send(0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["up", "down"]),
        st.sampled_from(["info", "warning", "critical"]),
        st.integers(0, 10 * HOUR),
        st.integers(0, 30),
    ),
    max_size=40,
)


@given(steps=STEPS, cut=st.integers(0, 40))
def test_it_goes_on_identically_after_dump_and_load(steps: list[Any], cut: int):
    def play(policy: AlertPolicy, part: list[Any]) -> list[Any]:
        return [
            policy.decide(detection(name, way, level), alert_id=f"id-{number}", clock_ms=clock)
            for name, way, level, clock, number in part
        ]

    alerts = AlertSettings()
    whole, first = AlertPolicy(alerts), AlertPolicy(alerts)
    expected = play(whole, steps)
    begun = play(first, steps[:cut])

    loaded = AlertPolicy.load(alerts, orjson.loads(orjson.dumps(first.dump())))

    assert begun + play(loaded, steps[cut:]) == expected
    assert json.dumps(loaded.dump()) == json.dumps(whole.dump())


def test_state_of_another_format_is_refused():
    with pytest.raises(StateFormatError, match="format 1 is read, and this is format 2"):
        AlertPolicy.load(AlertSettings(), {"format": 2})

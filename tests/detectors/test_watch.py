from __future__ import annotations

import pickle
import random
from typing import Any

import pytest

from detectors.detection import Detection, direction_of, severity_of
from detectors.errors import DuplicateDetectorError, NotFiniteError, SignalError, StateFormatError
from detectors.factory import build_watches
from detectors.scaling import WARM_UP, robust_scale
from detectors.watch import Watch
from tests.detectors.streams import (
    ALL_METHODS,
    STREAMS,
    bernoulli,
    events,
    gaussian,
    river_detections,
    settings,
)

every_detector = pytest.mark.parametrize("method", ALL_METHODS)


def feed(watch: Watch, values: list[float]) -> list[tuple[int, Detection]]:
    """Which value gave which detection."""
    return [
        (position, found)
        for position, event in enumerate(events(values))
        if (found := watch.update(*event)) is not None
    ]


@every_detector
def test_an_unbounded_signal_is_scaled_by_its_warm_up(method: str):
    values = [1e6 + 2000 * value for value in gaussian((2000, 0, 1), (1000, 3, 1))]

    found = feed(Watch(settings(method, signal="feature:x"), bounded=False), values)

    centre, spread, _, _ = robust_scale(values[:WARM_UP])
    scaled = [(value - centre) / spread for value in values]
    assert [position for position, _ in found] == river_detections(method, scaled)
    evidence = found[0][1].evidence
    assert evidence["scale_centre"] == centre
    assert evidence["scale_spread"] == spread
    assert evidence["mean_before"] == pytest.approx(1e6, abs=1000)


@every_detector
def test_scale_none_feeds_the_values_as_they_come(method: str):
    values = STREAMS["a poll"]

    found = feed(Watch(settings(method, signal="feature:x", scale="none"), bounded=False), values)

    assert [position for position, _ in found] == river_detections(method, values)
    assert "scale_spread" not in found[0][1].evidence


@every_detector
def test_a_detection_among_the_warm_up_values_names_the_events_where_it_happened(method: str):
    values = [0.01 * value for value in gaussian((90, 0, 1), (110, 40, 1))]
    centre, spread, _, _ = robust_scale(values)
    scaled = [(value - centre) / spread for value in values]
    parameters: dict[str, Any] = {"PageHinkley": {"threshold": 10.0}}.get(method, {})
    watch = Watch(settings(method, signal="feature:x", **parameters), bounded=False)

    found = feed(watch, values)

    # It is given with the last warm-up value, and tells of the event that River stopped at.
    unscaled = Watch(settings(method, scale="none", **parameters), bounded=False)
    at = [position for position, _ in feed(unscaled, scaled)]
    assert at
    assert at[-1] < WARM_UP - 1
    [(given, detection)] = found
    assert given == WARM_UP - 1
    assert detection.event_index == 1000 + 3 * at[-1]
    assert detection.time_ms == 1_700_000_000_000 + 60_000 * at[-1]
    assert detection.evidence["start_index"] <= detection.event_index
    assert detection.evidence.get("earlier_detections", 0) == len(at) - 1


def test_several_detections_among_the_warm_up_values_are_counted():
    values = gaussian((50, 0, 1), (50, 40, 1), (50, -40, 1), (50, 40, 1))
    watch = Watch(settings("PageHinkley", signal="feature:x", threshold=5.0), bounded=False)

    [(_, detection)] = feed(watch, values)

    # The last of them stands for all.
    assert detection.evidence["earlier_detections"] >= 2
    assert detection.event_index > 1000 + 3 * 150


def test_late_labels_keep_the_events_they_are_about():
    # given values that come in another order than their events
    order = list(range(2000))
    random.Random(3).shuffle(order)
    values = [0.0] * 1000 + [1.0] * 1000
    watch = Watch(settings("ADWIN"), bounded=True)

    found = [
        (position, detection)
        for position, value in enumerate(values)
        if (detection := watch.update(value, order[position], 10 * order[position])) is not None
    ]

    for position, detection in found:
        start = position - detection.evidence["width_after"] + 1
        assert detection.event_index == order[position]
        assert detection.evidence["start_index"] == order[int(start)]
        assert detection.evidence["start_time_ms"] == 10 * order[int(start)]


def test_a_start_too_far_back_says_how_uncertain_it_is():
    values = bernoulli((20_000, 0.2), (20_000, 0.22))
    watch = Watch(settings("PageHinkley", threshold=150.0, alpha=1.0), bounded=True)

    _, detection = feed(watch, values)[0]

    evidence = detection.evidence
    at = (detection.event_index - 1000) // 3
    start = at - evidence["width_after"] + 1
    named = (int(evidence["start_index"]) - 1000) // 3
    assert 0 < evidence["start_uncertainty_values"] <= evidence["width_after"] / 60
    assert named <= start <= named + evidence["start_uncertainty_values"]


@every_detector
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("bounded", [True, False])
def test_a_number_that_is_not_finite_is_refused_and_changes_nothing(
    method: str, bad: float, bounded: bool
):
    values = STREAMS["a level that shifts"]
    watch, untouched = (Watch(settings(method), bounded=bounded) for _ in range(2))
    found = []
    for position, event in enumerate(events(values)):
        if position % 100 == 50:
            with pytest.raises(NotFiniteError, match=r"'watched' takes finite numbers"):
                watch.update(bad, 1, 1)
        found.append(watch.update(*event))

    assert found == [untouched.update(*event) for event in events(values)]
    assert any(found)


@every_detector
@pytest.mark.parametrize("scale", ["none", "robust"])
@pytest.mark.parametrize("wild", ["1e300", "-1e308", "int"])
def test_wild_values_never_make_the_evidence_infinite(method: str, scale: str, wild: str):
    values = gaussian((3000, 0, 1), (3000, 5, 1))
    values[100] = values[3300] = 10**400 if wild == "int" else float(wild)
    watch = Watch(settings(method, signal="feature:x", scale=scale), bounded=False)

    for _, detection in feed(watch, values):
        means = [detection.evidence["mean_before"], detection.evidence["mean_after"]]
        assert all(abs(mean) <= 1e71 for mean in means)


@every_detector
@pytest.mark.parametrize("wild", [1e6, -1e9, 1e300])
def test_one_wild_value_does_not_silence_a_scaled_detector(method: str, wild: float):
    values = gaussian((3500, 0, 1), (3000, 5, 1))
    values[300] = wild
    watch = Watch(settings(method, signal="feature:x"), bounded=False)

    found = [position for position, _ in feed(watch, values)]

    assert any(3500 <= position < 4000 for position in found)


def test_after_a_constant_warm_up_nothing_saturates():
    values = [0.0] * 1000 + [1e5] * 1000 + [2e5] * 1000
    watch = Watch(settings("ADWIN", signal="feature:x"), bounded=False)

    found = [position // 1000 for position, _ in feed(watch, values)]

    assert found == [1, 2]


@every_detector
@pytest.mark.parametrize("constant", [0.0, 42.0, 1e69])
def test_a_constant_signal_raises_no_alarm_until_it_changes(method: str, constant: float):
    watch = Watch(settings(method, signal="feature:x"), bounded=False)
    assert feed(watch, [constant] * 3000) == []
    assert feed(watch, [constant + 1 + abs(constant)] * 300) != []


def test_booleans_are_numbers():
    values = STREAMS["an error rate that rises, then falls"]

    as_booleans = feed(Watch(settings("ADWIN"), bounded=True), [bool(value) for value in values])

    assert as_booleans == feed(Watch(settings("ADWIN"), bounded=True), values)


def test_a_pickled_watch_of_another_format_is_refused():
    state = Watch(settings("ADWIN"), bounded=True).__getstate__()

    with pytest.raises(StateFormatError, match="format 1 is read, and this is format 2"):
        Watch.__new__(Watch).__setstate__({**state, "format": 2})


def test_a_pickled_watch_is_small():
    watch = Watch(settings("ADWIN"), bounded=True)
    feed(watch, bernoulli((50_000, 0.2)))

    assert len(pickle.dumps(watch)) < 200_000


@pytest.mark.parametrize(
    ("signal", "before", "after", "step", "severity"),
    [
        ("error", 0.30, 0.20, 0.1, "info"),  # an improvement
        ("loss", 0.9, 0.3, 1.0, "info"),
        ("error", 0.30, 0.45, 0.1, "warning"),  # worse by half
        ("error", 0.01, 0.03, 0.1, "warning"),  # tripled, of next to nothing
        ("error", 0.2, 0.4, 0.1, "critical"),
        ("error", 0.0, 0.1, 0.1, "critical"),
        ("loss", 1.0, 2.5, 2.0, "warning"),  # doubled, within one spread
        ("loss", 1.0, 3.0, 2.0, "critical"),
        ("prediction", 0.9, 0.1, 0.1, "warning"),
        ("feature:x", 1.0, 100.0, 1.0, "warning"),
        ("label", 0.5, 0.1, 0.1, "warning"),
    ],
)
def test_severity_follows_direction_and_size(
    signal: str, before: float, after: float, step: float, severity: str
):
    assert severity_of(signal, before, after, step=step) == severity


def test_direction_is_that_of_the_means():
    assert direction_of(0.1, 0.2) == "up"
    assert direction_of(0.2, 0.1) == "down"
    assert direction_of(0.2, 0.2) == "up"


def test_a_rising_and_a_falling_error_are_told_apart():
    values = STREAMS["an error rate that rises, then falls"]

    found = [detection for _, detection in feed(Watch(settings("ADWIN"), bounded=True), values)]

    assert (found[0].direction, found[0].severity) == ("up", "warning")
    assert (found[-1].direction, found[-1].severity) == ("down", "info")


@pytest.mark.parametrize(("rise", "severity"), [(1.5, "warning"), (4.0, "critical")])
def test_a_large_rise_of_a_loss_is_measured_in_its_own_spread(rise: float, severity: str):
    # given a loss of mean 1 that more than doubles either way, and whose quartiles lie 2 apart
    values = [0.0, 2.0] * 1000
    values += [value + rise for value in values]
    watch = Watch(settings("PageHinkley", signal="loss", delta=0.2), bounded=False)

    _, detection = feed(watch, [7 * value for value in values])[0]

    evidence = detection.evidence
    assert evidence["mean_after"] >= 2 * evidence["mean_before"]
    assert detection.severity == severity


def test_watches_are_built_in_the_configurations_order():
    asked = [
        settings("ADWIN", name="a"),
        settings("PageHinkley", name="b", signal="feature:wind"),
        settings("ADWIN", name="c", signal="loss"),
    ]

    watches = build_watches(asked, "binary")

    assert [watch.settings for watch in watches] == asked


def test_the_factory_scales_only_what_is_not_bounded():
    values = STREAMS["docstring"]
    bounded, unbounded = build_watches(
        [settings("ADWIN", name="a"), settings("ADWIN", name="b", signal="loss")], "binary"
    )

    assert "scale_spread" not in feed(bounded, values)[0][1].evidence
    assert "scale_spread" in feed(unbounded, values)[0][1].evidence


def test_two_detectors_of_one_name_are_refused():
    with pytest.raises(DuplicateDetectorError, match="two are called 'watched'"):
        build_watches([settings("ADWIN"), settings("PageHinkley")], "binary")


def test_a_signal_that_the_task_lacks_names_the_detector():
    with pytest.raises(SignalError, match="detector 'watched': the anomaly task") as caught:
        build_watches([settings("ADWIN", signal="loss")], "anomaly")

    assert caught.value.hint is not None

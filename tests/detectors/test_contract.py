"""One suite over every detector: what detector.py and watch.py promise holds for each of them."""

from __future__ import annotations

import math
import pickle

import pytest

from detectors.detection import Detection
from detectors.methods import build_detector
from detectors.watch import Watch
from tests.detectors.streams import ALL_METHODS, STREAMS, events, river_detections, settings

every_detector = pytest.mark.parametrize("method", ALL_METHODS)
every_stream = pytest.mark.parametrize("stream", STREAMS)


def watch(method: str, *, scaled: bool = False) -> Watch:
    return Watch(settings(method), bounded=not scaled)


def detections(one: Watch, values: list[float], start: int = 0) -> list[Detection]:
    fed = list(events(values))[start:]
    return [found for event in fed if (found := one.update(*event)) is not None]


@every_detector
@every_stream
def test_detects_exactly_where_river_does(method: str, stream: str):
    values = STREAMS[stream]
    detector = build_detector(settings(method))

    found = [index for index, value in enumerate(values) if detector.update(value)]

    assert found == river_detections(method, values)


@every_detector
@every_stream
def test_a_watch_names_the_events_where_river_detects(method: str, stream: str):
    values = STREAMS[stream]
    fed = list(events(values))

    found = detections(watch(method), values)

    at = river_detections(method, values)
    assert [(one.event_index, one.time_ms) for one in found] == [fed[index][1:] for index in at]


@pytest.mark.parametrize(("method", "first"), [("ADWIN", 1023), ("PageHinkley", 1006)])
def test_rivers_documented_examples_hold(method: str, first: int):
    detector = build_detector(settings(method))

    found = [i for i, value in enumerate(STREAMS["docstring"]) if detector.update(value)]

    assert found[0] == first


@every_detector
def test_the_streams_have_something_to_detect(method: str):
    counts = {name: len(river_detections(method, values)) for name, values in STREAMS.items()}

    assert counts["a level that shifts"] >= 2
    assert counts["a poll"] >= 2
    assert counts["an error rate that rises, then falls"] >= 2


@every_detector
@every_stream
@pytest.mark.parametrize("scaled", [False, True])
def test_evidence_is_finite_and_adds_up(method: str, stream: str, scaled: bool):
    fed = {event[1]: position for position, event in enumerate(events(STREAMS[stream]))}
    previous = -1
    for found in detections(watch(method, scaled=scaled), STREAMS[stream]):
        evidence = found.evidence
        assert all(math.isfinite(value) for value in evidence.values())
        assert evidence["width_before"] >= 1
        assert evidence["width_after"] >= 1
        # The two parts are all values since the last detection, and the start parts them.
        at, start = fed[found.event_index], fed[int(evidence["start_index"])]
        assert evidence["width_before"] + evidence["width_after"] == at - previous
        assert start == at - evidence["width_after"] + 1
        assert previous < start <= at
        assert evidence["start_time_ms"] == 1_700_000_000_000 + 60_000 * start
        # The means are those of the very values, in the signal's own units.
        before = STREAMS[stream][previous + 1 : start]
        after = STREAMS[stream][start : at + 1]
        assert evidence["mean_before"] == pytest.approx(sum(before) / len(before), abs=1e-6)
        assert evidence["mean_after"] == pytest.approx(sum(after) / len(after), abs=1e-6)
        previous = at


@every_detector
@pytest.mark.parametrize("scaled", [False, True])
def test_is_deterministic(method: str, scaled: bool):
    values = STREAMS["a level that shifts"]

    assert detections(watch(method, scaled=scaled), values) == detections(
        watch(method, scaled=scaled), values
    )


@every_detector
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 77, 199, 200, 2011, 2064, 5000])
def test_goes_on_identically_after_a_pickle(method: str, scaled: bool, cut: int):
    values = STREAMS["a level that shifts"]
    kept = watch(method, scaled=scaled)
    before = [kept.update(*event) for event in list(events(values))[:cut]]

    copy = pickle.loads(pickle.dumps(kept))

    after = detections(copy, values, cut)
    assert after == detections(kept, values, cut)
    whole = detections(watch(method, scaled=scaled), values)
    assert [one for one in before if one is not None] + after == whole


@every_detector
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("at", [50, 1999, 2500])
def test_a_reset_watch_equals_a_new_one(method: str, scaled: bool, at: int):
    used = watch(method, scaled=scaled)
    for event in list(events(STREAMS["a level that shifts"]))[:at]:
        used.update(*event)

    used.reset()

    values = STREAMS["docstring"]
    assert detections(used, values) == detections(watch(method, scaled=scaled), values)


@every_detector
def test_a_reset_detector_forgets_its_last_change(method: str):
    detector = build_detector(settings(method))
    for value in STREAMS["docstring"]:
        detector.update(value)
    assert detector.change is not None

    detector.reset()

    assert detector.change is None

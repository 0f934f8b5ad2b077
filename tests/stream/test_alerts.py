"""Alerts of a shard: stable ids, cooldown, severity, evidence, and where they come from."""

from collections import Counter
from typing import Any

import pytest
from river import drift

from stream.shard.effects import Outputs
from stream.shard.step import Step
from stream.shard.updates import Place
from tests.stream.builders import HOUR_MS, Feed, apply, of, reborn, shard

JUMPS: dict[str, Any] = {"signal": "feature:x", "method": "ADWIN", "scale": "none"}
MINUTE_MS = 60_000


def jumping(count: int, every: int = 100, start: int = 0) -> Feed:
    """An event a minute whose x jumps between 0 and 1."""
    feed = Feed()
    for number in range(start, start + count):
        feed.event(f"e{number}", number * MINUTE_MS, x=float(number // every % 2))
    return feed


def adwin_indices(feed: Feed, count: int, every: int = 100) -> list[int]:
    adwin = drift.ADWIN()
    found = []
    for index in range(count):
        adwin.update(float(index // every % 2))
        if adwin.drift_detected:
            found.append(index)
    return found


def test_an_alert_says_what_changed_where_and_since_when():
    feed = jumping(200)
    [index] = adwin_indices(feed, 200)
    outputs = apply(shard(detectors=[{"name": "x", **JUMPS}]), feed)
    [alert] = of("alerts", outputs)
    [key] = [record.key for topic, record in outputs if topic == "alerts"]
    assert key == alert["id"].encode()
    assert alert["event_index"] == index
    assert alert["source"] == {"topic": "events", "partition": 0, "offset": index}
    assert (alert["kind"], alert["severity"], alert["version"]) == ("drift", "warning", 0)
    assert (alert["detector"], alert["signal"]) == ("x", "feature:x")
    assert alert["time"] == of("predictions", apply(shard(), feed))[index]["time"]
    evidence = alert["evidence"]
    assert evidence["mean_before"] < 0.1 < evidence["mean_after"]
    assert evidence["width_before"] + evidence["width_after"] == index + 1
    assert evidence["start_index"] <= 100 <= index
    assert evidence["start_time"].endswith("Z")
    assert len(alert["id"]) == 20


def test_an_alerts_id_is_the_same_whoever_raises_it_and_differs_between_alerts():
    # given: the same records in other steps, and a shard recovered in between
    detectors = [{"name": "x", **JUMPS}, {"name": "again", **JUMPS}]
    fields: dict[str, Any] = {"detectors": detectors, "alerts": {"cooldown": None}}
    feed = jumping(400)
    whole = of("alerts", apply(shard(**fields), feed))
    first = shard(**fields)
    pieces = apply(first, feed.records[:150], 7)
    pieces += apply(reborn(first), feed.records[150:], 3)
    assert of("alerts", pieces) == whole
    ids = [alert["id"] for alert in whole]
    assert len(set(ids)) == len(ids) > 4


@pytest.mark.parametrize(
    ("cooldown", "sent"), [(None, 5), ("0s", 5), ("3h", 5), ("4h", 3), ("30d", 2)]
)
def test_within_the_cooldown_a_detector_says_nothing_more_in_the_same_direction(cooldown, sent):
    # given: jumps up and down in turn, 100 minutes apart: 3 h 20 in the same direction
    feed = jumping(600)
    assert len(adwin_indices(feed, 600)) == 5
    one = shard(detectors=[{"name": "x", **JUMPS}], alerts={"cooldown": cooldown})
    alerts = of("alerts", apply(one, feed))
    assert len(alerts) == sent
    assert one.parts.counters.alerts == {"info": 0, "warning": sent, "critical": 0}
    assert one.parts.counters.alerts_suppressed == 5 - sent


def test_what_was_kept_back_is_counted_in_the_next_alert():
    one = shard(detectors=[{"name": "x", **JUMPS}], alerts={"cooldown": "5h"})
    alerts = of("alerts", apply(one, jumping(1000)))
    assert {alert["evidence"]["suppressed"] for alert in alerts} == {0, 1}


def test_alerts_are_counted_by_severity_and_the_counts_survive_a_snapshot():
    # given: a model that is wrong, then right, then wrong in half of all cases
    one = shard(
        detectors=[{"name": "e", "signal": "error", "method": "ADWIN"}],
        events={"id": "id", "time": "time", "label": "y"},
    )
    feed = Feed()
    for number in range(900):
        wrong = not 200 <= number < 400
        feed.event(f"e{number}", number * 1000, x=1.0, y=wrong and number % 2 == 0)
    sent = Counter(alert["severity"] for alert in of("alerts", apply(one, feed)))
    assert set(sent) == {"info", "critical"}
    counted = {"info": sent["info"], "warning": 0, "critical": sent["critical"]}
    assert one.parts.counters.alerts == counted
    assert reborn(one).parts.counters.alerts == counted


def test_what_a_halt_and_a_suspension_tell_is_counted_as_critical():
    # given: a learner that fails at four updates, then events that nobody can read
    one = shard(
        events={"id": "id", "time": "time", "label": "y"}, halt={"share": 0.5, "window": 10}
    )
    feed = Feed()
    for number in range(5):
        feed.event(f"e{number}", number * 1000, x=1.0, y=True)
    failing = {Place("events", number): "told to fail" for number in range(4)}
    outputs: Outputs = []
    one.apply(Step({}, {}, (), None, feed.records, failing), outputs)
    assert one.parts.counters.alerts == {"info": 0, "warning": 0, "critical": 1}
    bad = Feed()
    for number in range(5, 15):
        bad.raw("events", b"no", number * 1000)
    one.apply(Step({}, {}, (), None, bad.records), outputs)
    # then each was told once, and counted once
    assert [alert["state"] for alert in of("alerts", outputs)] == ["suspended", "halted"]
    assert {alert["severity"] for alert in of("alerts", outputs)} == {"critical"}
    assert one.parts.counters.alerts == {"info": 0, "warning": 0, "critical": 2}


def test_an_improvement_does_not_hide_a_deterioration():
    # given: a model that is wrong, then right, then wrong again, within one cooldown
    one = shard(
        detectors=[{"name": "e", "signal": "error", "method": "ADWIN"}],
        alerts={"cooldown": "30d"},
        events={"id": "id", "time": "time", "label": "y"},
    )
    feed = Feed()
    for number in range(600):
        # The recorder says what most labels were so far: False at first.
        wrong = not 200 <= number < 400
        feed.event(f"e{number}", number * 1000, x=1.0, y=wrong and number % 2 == 0)
    alerts = of("alerts", apply(one, feed))
    severities = [alert["severity"] for alert in alerts]
    assert severities[0] == "info"
    assert severities[-1] in {"warning", "critical"}
    assert [alert["evidence"]["direction"] for alert in alerts] == ["down", "up"]


def test_the_event_index_of_a_late_label_is_that_of_its_event():
    # given: 300 events, then their labels in the opposite order, wrong after the first hundred
    one = shard(
        detectors=[{"name": "e", "signal": "error", "method": "ADWIN"}],
        labels={"wait": "30d"},
    )
    feed = Feed()
    for number in range(300):
        feed.event(f"e{number}", number * 1000)
    for number in reversed(range(300)):
        feed.label(f"e{number}", number < 200, HOUR_MS + (300 - number) * 1000)
    adwin, found = drift.ADWIN(), []
    for number in reversed(range(300)):
        # Served without any label learnt, so False: wrong where the label is True.
        adwin.update(float(number < 200))
        if adwin.drift_detected:
            found.append(number)
    outputs = apply(one, feed)
    alerts = of("alerts", outputs)
    assert [alert["event_index"] for alert in alerts] == found[:1]
    index = found[0]
    assert alerts[0]["source"] == {"topic": "labels", "partition": 0, "offset": 299 - index}
    assert alerts[0]["time"] == of("predictions", outputs)[index]["time"]


def test_every_signal_is_fed_what_it_is_called():
    # given: detectors that fire at a jump of their own signal
    def first_alert(signal: str, feed: Feed, **fields: Any) -> int | None:
        detectors = [{"name": "d", "signal": signal, "method": "ADWIN", "scale": "none"}]
        events = {"id": "id", "time": "time", "label": "y"}
        alerts = of("alerts", apply(shard(detectors=detectors, events=events, **fields), feed))
        return alerts[0]["event_index"] if alerts else None

    labels_jump = Feed()
    for number in range(300):
        labels_jump.event(f"e{number}", number * 1000, x=1.0, y=number >= 150)
    for signal in ("label", "error", "loss"):
        found = first_alert(signal, labels_jump)
        assert found is not None
        assert 150 <= found < 200
    slow = first_alert("prediction", labels_jump)
    assert slow is not None
    assert slow > 150
    assert first_alert("feature:x", labels_jump) is None
    assert first_alert("feature:nowhere", labels_jump) is None


def test_text_and_absent_features_feed_nothing_and_booleans_are_numbers():
    detectors = [{"name": "x", **JUMPS}]
    one = shard(detectors=detectors)
    feed = Feed()
    for number in range(600):
        # Every third is text, every third is absent: the jump is at the 100th boolean.
        kinds: list[dict[str, Any]] = [{"x": number >= 300}, {"x": "text"}, {"z": 1}]
        feed.event(f"e{number}", number * 1000, **kinds[number % 3])
    alerts = of("alerts", apply(one, feed))
    adwin, index = drift.ADWIN(), -1
    for number in range(0, 600, 3):
        adwin.update(float(number >= 300))
        if adwin.drift_detected:
            index = number
            break
    assert [alert["event_index"] for alert in alerts] == [index]

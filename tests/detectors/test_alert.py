from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from detectors.alert import alert_id, build_alert
from detectors.watch import Watch
from tests.detectors.streams import STREAMS, settings

SOURCE: dict[str, Any] = {"topic": "events", "partition": 2, "offset": 1023}
WHO: dict[str, Any] = {"service": "flights", "shard": 2}


def an_alert(**changed: Any) -> dict[str, Any]:
    watch = Watch(settings("ADWIN", name="error"), bounded=True)
    # An hour apart from 2013 on, as the docstring's stream.
    found = next(
        found
        for index, value in enumerate(STREAMS["docstring"])
        if (found := watch.update(value, index, 1_356_998_400_000 + index * 3_600_000))
    )
    return build_alert(found, **{**WHO, "version": 0, **SOURCE, **changed})


def test_the_message_is_as_documented():
    # Means by hand: 1,000 values of 0 or 1 before, 4 to 7 after; ADWIN keeps the 32 latest.
    values = STREAMS["docstring"]

    assert an_alert(suppressed=3) == {
        "format": 1,
        "id": alert_id(**WHO, detector="error", **SOURCE),
        "kind": "drift",
        "state": "drift",
        "severity": "critical",
        "detector": "error",
        "signal": "error",
        "time": "2013-02-12T15:00:00.000Z",
        "event_index": 1023,
        "evidence": {
            "method": "ADWIN",
            "direction": "up",
            "mean_before": pytest.approx(sum(values[:992]) / 992),
            "mean_after": pytest.approx(sum(values[992:1024]) / 32),
            "width_before": 992,
            "width_after": 32,
            "start_index": 992,
            "start_time": "2013-02-11T08:00:00.000Z",
            "start_uncertainty_values": 0,
            "suppressed": 3,
        },
        "version": 0,
        "source": {"topic": "events", "partition": 2, "offset": 1023},
    }


def test_the_message_is_json():
    assert orjson.loads(orjson.dumps(an_alert())) == an_alert()


def test_the_id_is_the_documented_hash():
    # By hand: the first 20 hexadecimal digits of SHA-256 over the six as JSON.
    named = b'["flights", 2, "error", "events", 2, 1023]'

    assert an_alert()["id"] == hashlib.sha256(named).hexdigest()[:20]


def test_the_id_depends_on_where_and_who_and_on_nothing_else():
    assert an_alert()["id"] == an_alert(version=7, suppressed=5)["id"]
    others = [
        an_alert(**changed)["id"]
        for changed in (
            {},
            {"service": "other"},
            {"shard": 3},
            {"topic": "labels"},
            {"partition": 3},
            {"offset": 1024},
        )
    ]
    others.append(alert_id(**WHO, detector="other", **SOURCE))
    assert len(set(others)) == len(others)

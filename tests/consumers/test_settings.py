import json
from datetime import timedelta

import pytest
from pydantic import ValidationError

from consumers.settings import EventsSettings, LabelsSettings


def test_the_defaults_are_those_of_the_design():
    events = EventsSettings(id="flight_id", time="scheduled_at")
    labels = LabelsSettings()
    assert (events.label, events.features, events.key) == (None, None, None)
    assert (events.start, events.max_ahead, events.max_bytes) == (
        "earliest",
        timedelta(hours=1),
        1_000_000,
    )
    assert (labels.wait, labels.default, labels.on_correction) == (
        timedelta(days=2),
        None,
        "ignore",
    )
    assert (labels.max_pending, labels.max_seen, labels.max_held) == (
        1_000_000,
        1_000_000,
        100_000,
    )


def test_id_and_time_must_be_said_even_when_null():
    with pytest.raises(ValidationError) as caught:
        EventsSettings.model_validate({})
    assert [error["loc"] for error in caught.value.errors()] == [("id",), ("time",)]
    assert EventsSettings.model_validate({"id": None, "time": None}).id is None


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30s", timedelta(seconds=30)),
        ("2d", timedelta(days=2)),
        ("1h30m", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
    ],
)
def test_durations_are_written_with_their_unit_and_survive_json(text, duration):
    settings = LabelsSettings.model_validate({"wait": text})
    assert settings.wait == duration
    assert LabelsSettings.model_validate(json.loads(settings.model_dump_json())) == settings


@pytest.mark.parametrize("wait", [0, 30, "0s", "-1h", "soon", "", None, True])
def test_a_wait_without_unit_or_without_length_is_refused(wait):
    with pytest.raises(ValidationError):
        LabelsSettings.model_validate({"wait": wait})


def test_no_event_may_be_ahead_when_max_ahead_is_zero():
    settings = EventsSettings.model_validate({"id": None, "time": "t", "max_ahead": "0s"})
    assert settings.max_ahead == timedelta(0)
    assert EventsSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("default", [True, 0, 1, 0.5, "late", None])
def test_a_default_label_keeps_its_type(default):
    kept = LabelsSettings.model_validate({"default": default}).default
    assert (type(kept), kept) == (type(default), default)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "a", "time": "a"},
        {"id": "a", "time": "t", "label": "a"},
        {"id": "a", "time": "t", "label": "y", "features": ["x", "y"]},
        {"id": "a", "time": "t", "features": ["x", "x"]},
        {"id": "a", "time": "t", "features": []},
        {"id": "", "time": "t"},
        {"id": "a", "time": "t", "label": "y", "key": "y"},
        {"id": "a", "time": "t", "max_bytes": 0},
        {"id": "a", "time": "t", "max_ahead": "-1s"},
        {"id": "a", "time": "t", "start": "yesterday"},
        {"id": "a", "time": "t", "lable": "y"},
    ],
)
def test_settings_that_cannot_be_are_refused(fields):
    with pytest.raises(ValidationError):
        EventsSettings.model_validate(fields)

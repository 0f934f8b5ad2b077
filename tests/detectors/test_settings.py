from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from river import drift

from detectors import signals
from detectors.errors import SignalError
from detectors.methods import build_detector
from detectors.settings import AdwinSettings, AlertSettings, DetectorSettings, fields_of, methods

ROOT = Path(__file__).parents[2]
ADAPTER: TypeAdapter[DetectorSettings] = TypeAdapter(DetectorSettings)
ADWIN = {"name": "error", "signal": "error", "method": "ADWIN"}
PAGE_HINKLEY = {"name": "wind", "signal": "feature:wind_speed", "method": "PageHinkley"}


def parse(**fields: Any) -> DetectorSettings:
    return ADAPTER.validate_python({**ADWIN, **fields})


@pytest.mark.parametrize("method", methods())
def test_parameters_and_defaults_are_rivers_own(method: str):
    rivers = {
        name: parameter.default
        for name, parameter in inspect.signature(getattr(drift, method)).parameters.items()
    }
    ours = parse(method=method).model_dump(exclude={"name", "signal", "method", "scale"})

    assert ours == rivers


def test_the_examples_of_the_documentation_parse():
    adwin = ADAPTER.validate_python({**ADWIN, "delta": 0.002})
    page_hinkley = ADAPTER.validate_python({**PAGE_HINKLEY, "threshold": 50})

    assert isinstance(adwin, AdwinSettings)
    assert page_hinkley.model_dump()["threshold"] == 50.0


@pytest.mark.parametrize("method", methods())
def test_settings_survive_json(method: str):
    one = parse(method=method, delta=0.3, scale="none")

    assert ADAPTER.validate_json(ADAPTER.dump_json(one)) == one


def test_an_unknown_key_is_located_under_its_method_so_that_the_nearest_can_be_named():
    with pytest.raises(ValidationError) as caught:
        parse(method="PageHinkley", treshold=50)

    [error] = caught.value.errors()
    assert error["type"] == "extra_forbidden"
    assert error["loc"] == ("PageHinkley", "treshold")
    assert "threshold" in fields_of("PageHinkley")
    assert "threshold" not in fields_of("ADWIN")


def test_a_parameter_of_another_method_is_unknown():
    with pytest.raises(ValidationError, match="threshold"):
        parse(threshold=50)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValidationError, match="'ADWIN', 'PageHinkley'"):
        parse(method="adwin")


@pytest.mark.parametrize(
    "fields",
    [
        {"delta": 0},
        {"delta": 1},
        {"delta": float("nan")},
        {"clock": 0},
        {"max_buckets": 1},
        {"min_window_length": 0},
        {"grace_period": -1},
        {"method": "PageHinkley", "delta": -0.1},
        {"method": "PageHinkley", "threshold": 0},
        {"method": "PageHinkley", "threshold": float("inf")},
        {"method": "PageHinkley", "alpha": 1.1},
        {"method": "PageHinkley", "alpha": 0},
        {"method": "PageHinkley", "mode": "sideways"},
        {"method": "PageHinkley", "min_instances": 0},
        {"name": ""},
        {"scale": "minmax"},
    ],
)
def test_parameters_that_river_cannot_bear_are_refused(fields: dict[str, Any]):
    with pytest.raises(ValidationError):
        parse(**fields)


@settings(max_examples=60, deadline=None)
@given(
    delta=st.floats(0, 1, exclude_min=True, exclude_max=True),
    clock=st.integers(1, 40),
    max_buckets=st.integers(2, 9),
    min_window_length=st.integers(1, 20),
    grace_period=st.integers(0, 20),
    rng=st.randoms(use_true_random=False),
)
def test_every_accepted_adwin_lives_through_drifts(rng: Any, **parameters: Any):
    # With one bucket River panics, which is no Exception and would end the worker.
    detector = build_detector(parse(**parameters))
    for index in range(400):
        if detector.update(rng.random() + (index // 100) * 3):
            assert detector.change is not None
            assert min(detector.change.width_before, detector.change.width_after) >= 1


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        parse().name = "other"


@pytest.mark.parametrize("signal", ["error", "loss", "prediction", "label", "feature:a b:c"])
def test_known_signals_parse(signal: str):
    assert parse(signal=signal).signal == signal


@pytest.mark.parametrize(
    ("signal", "hint"),
    [
        ("eror", "did you mean error?"),
        ("labels", "did you mean label?"),
        ("wind_speed", "a column of the data is watched as feature:NAME"),
        ("feature:", "a column of the data is watched as feature:NAME"),
        ("features:x", "a column of the data is watched as feature:NAME"),
    ],
)
def test_an_unknown_signal_comes_with_its_hint(signal: str, hint: str):
    with pytest.raises(ValidationError) as caught:
        parse(signal=signal)

    [error] = caught.value.errors()
    assert error["msg"] == (
        f"a signal is one of error, loss, prediction, label, feature:NAME, not {signal!r}"
    )
    assert error["ctx"]["hint"] == hint


@pytest.mark.parametrize(
    ("task", "bounded", "unbounded", "lacking"),
    [
        ("binary", ["error", "prediction", "label"], ["loss"], []),
        ("multiclass", ["error"], ["loss"], ["prediction", "label"]),
        ("regression", [], ["error", "loss", "prediction", "label"], []),
        ("anomaly", ["error", "label"], ["prediction"], ["loss"]),
    ],
)
def test_each_task_offers_its_signals(
    task: str, bounded: list[str], unbounded: list[str], lacking: list[str]
):
    for signal in [*bounded, *unbounded, "feature:x"]:
        signals.check_signal(signal, task)
        assert signals.bounded(signal, task) == (signal in bounded)
    for signal in lacking:
        with pytest.raises(
            SignalError, match=f"the {task} task has no signal '{signal}'"
        ) as caught:
            signals.check_signal(signal, task)
        assert caught.value.hint


def test_signals_tell_what_they_follow():
    assert signals.feature_name("feature:a:b") == "a:b"
    assert signals.feature_name("error") is None
    assert [name for name in signals.NAMES if signals.follows_model(name)] == [
        "error",
        "loss",
        "prediction",
    ]
    assert not signals.follows_model("feature:error")


@pytest.mark.parametrize(("value", "number"), [(3, 3), (0.5, 0.5), (True, True), ("x", None)])
def test_only_numbers_and_booleans_are_fed(value: object, number: float | None):
    assert signals.as_number(value) == number


@pytest.mark.parametrize(
    ("written", "cooldown"),
    [
        ("1h", timedelta(hours=1)),
        ("2d", timedelta(days=2)),
        ("1h30m", timedelta(minutes=90)),
        (0, timedelta(0)),
        ("0", timedelta(0)),
        (None, None),
        (timedelta(seconds=5), timedelta(seconds=5)),
    ],
)
def test_cooldowns_are_written_as_people_write_them(written: Any, cooldown: timedelta | None):
    alerts = AlertSettings(cooldown=written)

    assert alerts.cooldown == cooldown
    assert AlertSettings.model_validate_json(alerts.model_dump_json()) == alerts


@pytest.mark.parametrize("written", ["", "soon", "-1h", 3600, 1.5, True, False, ["1h"], "P1D"])
def test_other_durations_are_refused(written: Any):
    with pytest.raises(ValidationError, match="a duration"):
        AlertSettings(cooldown=written)


def test_a_configuration_is_checked_without_importing_river():
    # River takes a second to import, and `--help` and errors should not wait for it.
    script = (
        "import sys, detectors.settings, detectors.policy, detectors.alert;"
        "sys.exit('river' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=ROOT)


def test_the_default_cooldown_is_an_hour():
    assert AlertSettings().cooldown == timedelta(hours=1)

"""What docs/models.md and docs/detectors.md show can be written in a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from detectors.alert import build_alert
from detectors.errors import SignalError
from detectors.settings import AdwinSettings, PageHinkleySettings
from detectors.signals import NAMES, check_signal
from detectors.watch import Watch
from stream.configuration import parse
from tests.docs.markdown import blocks, code_spans, section, tables
from tests.house.files import ROOT

MODELS = ROOT / "docs" / "models.md"
DETECTORS = ROOT / "docs" / "detectors.md"
TASKS = ("binary", "multiclass", "regression", "anomaly")


def configuration(**fields: Any) -> dict[str, Any]:
    return {
        "name": "guide",
        "events": {"id": "id", "time": "time"},
        "task": "binary",
        "model": "linear_model.LogisticRegression",
        **fields,
    }


@pytest.mark.parametrize("text", blocks(MODELS, "yaml"))
def test_a_model_of_the_guide_is_built(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given the guide's own function where the guide says that it lies
    (source,) = blocks(MODELS, "python")
    (tmp_path / "shop_models.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))

    # then every model is accepted, which builds it
    parse(configuration(**yaml.safe_load(text)), "docs/models.md")


def test_the_detectors_of_the_guide_are_accepted() -> None:
    (text,) = blocks(DETECTORS, "yaml")

    parsed = parse(configuration(**yaml.safe_load(text)), "docs/detectors.md")

    assert [one.method for one in parsed.detectors] == ["ADWIN", "PageHinkley"]


def test_the_signals_table_says_which_task_has_which() -> None:
    table = tables(section(DETECTORS, "## Signals"))[0]
    documented = {
        code_spans(row[0])[0]: set(TASKS) if row[2] == "all" else set(row[2].split(", "))
        for row in table[1:]
    }

    assert documented.pop("feature:NAME") == set(TASKS)
    assert documented == {
        signal: {task for task in TASKS if offers(task, signal)} for signal in NAMES
    }


def offers(task: str, signal: str) -> bool:
    try:
        check_signal(signal, task)
    except SignalError:
        return False
    return True


@pytest.mark.parametrize("model", [AdwinSettings, PageHinkleySettings])
def test_the_parameters_of_a_method_have_the_defaults_that_the_guide_says(
    model: type[AdwinSettings | PageHinkleySettings],
) -> None:
    name = model.__name__.removesuffix("Settings")
    rows = tables(section(DETECTORS, "## Methods"))[0][1:]
    text = next(row[1] for row in rows if name.lower() in row[0].lower())
    documented = {key: float(value) for key, value in re.findall(r"`(\w+)` ([\d.]+)", text)}

    common = {"name", "signal", "scale", "method", "mode"}
    own = {key: field.default for key, field in model.model_fields.items() if key not in common}
    assert documented == pytest.approx(own)


def test_the_evidence_that_an_alert_carries_is_explained() -> None:
    table = next(t for t in tables(DETECTORS.read_text()) if t[0][0] == "evidence")
    documented = {name for row in table[1:] for name in code_spans(row[0])}
    noisy = [0.0] * 300 + [5.0] * 300

    watch = Watch(AdwinSettings(name="a", signal="feature:a", method="ADWIN"), bounded=False)
    found = [one for i, x in enumerate(noisy) if (one := watch.update(x + i % 7, i, i))]
    alert = build_alert(
        found[-1], service="guide", shard=0, version=0, topic="events", partition=0, offset=0
    )

    assert documented == {*alert["evidence"], "earlier_detections"}

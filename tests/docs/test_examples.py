"""Every configuration of examples/ can be started from: it loads, learns, and notices its drift."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest

from examples.sample_data import STREAMS, write
from stream.backtest import backtest
from stream.configuration import load_file
from stream.file_stream import LabelSource
from tests.docs.markdown import blocks
from tests.house.files import ROOT

EXAMPLES = ROOT / "examples"
CONFIGURATIONS = sorted(EXAMPLES.rglob("*.yaml"))

# How each one's labels come, the metric to look at, what its baselines reach, what its model
# must, and which detectors notice the change that is in the data.
EXPECTED: dict[str, tuple[LabelSource, str, float, set[str]]] = {
    "payments": (LabelSource("fraud", "reported_at"), "accuracy", 0.90, {"mistakes", "amounts"}),
    "activity": (LabelSource(), "accuracy", 0.98, {"tilt"}),
    "energy": (LabelSource("kwh", delay=timedelta(hours=1)), "r2", 0.95, {"error"}),
    "servers": (LabelSource(), "roc_auc", 0.99, {"latency"}),
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write(folder)
    return folder


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_a_configuration_loads_and_says_what_it_is_for(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert load_file(path).name == path.stem


def test_every_configuration_has_data_or_a_demo_of_its_own() -> None:
    assert set(EXPECTED) == set(STREAMS)
    assert {path.stem for path in CONFIGURATIONS} == {*EXPECTED, "flights"}


def test_every_task_has_an_example() -> None:
    tasks = {load_file(path).task.name for path in CONFIGURATIONS}

    assert tasks == {"binary", "multiclass", "regression", "anomaly"}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_learns_and_notices_what_changes(name: str, samples: Path) -> None:
    labels, metric, least, noticed = EXPECTED[name]

    report = backtest(
        load_file(EXAMPLES / f"{name}.yaml"), samples / f"{name}.csv", labels
    ).report()

    assert report["dead_letters"] == 0
    assert report["predictions"] == report["events"] >= 3_000
    assert report["metrics"][metric] > least
    for baseline in report["baselines"].values():
        assert report["metrics"][metric] > (baseline.get(metric) or -math.inf)
    assert {alert["detector"] for alert in report["alerts"]} == noticed
    assert len(report["alerts"]) <= 5


def test_the_samples_are_the_same_for_everybody(samples: Path, tmp_path: Path) -> None:
    write(tmp_path)

    for name in STREAMS:
        assert (tmp_path / f"{name}.csv").read_bytes() == (samples / f"{name}.csv").read_bytes()


def test_the_readme_shows_the_first_example_as_it_is() -> None:
    assert (EXAMPLES / "payments.yaml").read_text() in blocks(ROOT / "README.md", "yaml")

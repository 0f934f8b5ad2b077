"""A back-test gives what a plain River loop gives, to the last bit."""

from typing import Any

import pytest
from river import (
    datasets,
    drift,
    forest,
    linear_model,
    metrics,
    preprocessing,
    stats,
    tree,
)

from stream.backtest import backtest
from stream.file_stream import LabelSource
from tests.stream.builders import LOGISTIC, configuration, of, write_csv, write_jsonl

EVENTS = {"id": None, "time": None, "label": "y"}
DETECTORS = [
    {"name": "adwin", "signal": "error", "method": "ADWIN", "delta": 0.9, "clock": 8},
    {"name": "ph", "signal": "error", "method": "PageHinkley", "threshold": 5},
]
BINARY: list[tuple[Any, Any, Any]] = [
    (
        LOGISTIC,
        lambda: preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        datasets.Phishing,
    ),
    ("tree.HoeffdingTreeClassifier", tree.HoeffdingTreeClassifier, datasets.Bananas),
    (
        {"forest.ARFClassifier": {"n_models": 5}},
        lambda: forest.ARFClassifier(n_models=5, seed=42),
        datasets.Phishing,
    ),
]


@pytest.mark.parametrize("write", [write_csv, write_jsonl])
@pytest.mark.parametrize(("spec", "model", "dataset"), BINARY, ids=["lr", "tree", "arf"])
def test_a_backtest_predicts_scores_and_detects_what_a_plain_river_loop_does(
    tmp_path, spec, model, dataset, write
):
    # given: a stream bundled with River, and River's own loop over it
    rows = [(x, bool(y)) for x, y in dataset().take(2_500)]
    river, accuracy = model(), metrics.Accuracy()
    adwin = drift.ADWIN(delta=0.9, clock=8)
    page_hinkley = drift.PageHinkley(threshold=5)
    expected, drifts = [], []
    for index, (x, y) in enumerate(rows):
        proba = river.predict_proba_one(x)
        best = max(proba, key=proba.get) if proba else None
        expected.append((best, proba.get(True, 0.0) if proba else None))
        if best is not None:
            accuracy.update(y, best)
            for name, detector in (("adwin", adwin), ("ph", page_hinkley)):
                detector.update(best != y)
                if detector.drift_detected:
                    drifts.append((name, index))
        river.learn_one(x, y)

    # when
    outputs: Any = []
    result = backtest(
        configuration(events=EVENTS, model=spec, detectors=DETECTORS),
        write(tmp_path / f"rows.{write.__name__[6:]}", [{**x, "y": y} for x, y in rows]),
        LabelSource(),
        on_output=lambda *output: outputs.append(output),
    )

    # then
    assert [
        (row["prediction"], row["probabilities"] and row["probabilities"]["true"])
        for row in of("predictions", outputs)
    ] == expected
    report = result.report()
    assert report["metrics"]["accuracy"] == accuracy.get()
    assert [(alert["detector"], alert["event_index"]) for alert in report["alerts"]] == drifts
    assert report["events"] == report["labels"] == report["predictions"] == len(rows)


def test_an_event_that_the_model_cannot_answer_yet_has_no_prediction_and_is_not_scored(tmp_path):
    # given: a Hoeffding tree answers from its second event on
    rows = [{"x": 1.0, "y": True}, {"x": 1.0, "y": True}, {"x": 2.0, "y": False}]
    outputs: Any = []
    result = backtest(
        configuration(
            events=EVENTS,
            model="tree.HoeffdingTreeClassifier",
            detectors=[{"name": "e", "signal": "error", "method": "ADWIN"}],
        ),
        write_csv(tmp_path / "rows.csv", rows),
        LabelSource(),
        on_output=lambda *output: outputs.append(output),
    )
    first, *others = of("predictions", outputs)
    assert (first["prediction"], first["probabilities"]) == (None, None)
    assert [row["prediction"] for row in others] == [True, True]
    quality = result.shard.parts.quality.report()
    assert (quality["labels"], quality["scored"]) == (3, 2)
    assert quality["metrics"]["accuracy"] == 0.5


def test_classes_and_quantities_are_predicted_as_by_river_too(tmp_path):
    # given: River's own loops over ImageSegments and TrumpApproval
    segments = [(x, y) for x, y in datasets.ImageSegments().take(400)]
    classifier, classes = tree.HoeffdingTreeClassifier(), []
    for x, y in segments:
        classes.append(classifier.predict_proba_one(x))
        classifier.learn_one(x, y)
    approval = list(datasets.TrumpApproval().take(400))
    regressor, values, mae = linear_model.LinearRegression(), [], stats.Mean()
    scaler = preprocessing.StandardScaler()
    for x, y in approval:
        scaled = scaler.transform_one(x)
        values.append(regressor.predict_one(scaled))
        mae.update(abs(values[-1] - y))
        scaler.learn_one(x)
        regressor.learn_one(scaler.transform_one(x), y)

    # when
    found: Any = []
    backtest(
        configuration(events=EVENTS, task="multiclass", model="tree.HoeffdingTreeClassifier"),
        write_jsonl(tmp_path / "segments.jsonl", [{**x, "y": y} for x, y in segments]),
        LabelSource(),
        on_output=lambda *output: found.append(output),
    )
    quantities: Any = []
    result = backtest(
        configuration(
            events=EVENTS,
            task="regression",
            model=["preprocessing.StandardScaler", "linear_model.LinearRegression"],
        ),
        write_jsonl(tmp_path / "approval.jsonl", [{**x, "y": y} for x, y in approval]),
        LabelSource(),
        on_output=lambda *output: quantities.append(output),
    )

    # then
    assert [row["probabilities"] or {} for row in of("predictions", found)] == classes
    assert [row["prediction"] for row in of("predictions", quantities)] == values
    assert result.report()["metrics"]["mae"] == pytest.approx(mae.get(), rel=1e-12)

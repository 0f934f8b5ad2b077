"""The figures of each task are River's own, on streams that River ships."""

from itertools import pairwise
from typing import Any

import pytest
from river import datasets, linear_model, metrics, naive_bayes, preprocessing
from scipy import stats

from learners.quality import Quality, new_quality


def test_binary_figures_on_phishing_are_rivers() -> None:
    # given: River's Phishing stream, scaler and logistic regression
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    quality = new_quality("binary", None, window=2_000)
    oracles = {
        "accuracy": metrics.Accuracy(),
        "f1": metrics.F1(),
        "mcc": metrics.MCC(),
        "log_loss": metrics.LogLoss(),
    }
    scores: dict[bool, list[float]] = {True: [], False: []}
    brier = 0.0

    # when: progressive validation
    for i, (x, y) in enumerate(datasets.Phishing()):
        p = model.predict_proba_one(x)[True]
        prediction = p > 0.5
        for name, oracle in oracles.items():
            oracle.update(y, p if name == "log_loss" else prediction)
        scores[y].append(p)
        brier += (p - y) ** 2
        error, loss = quality.inline(i * 60_000, (prediction, p), y)
        assert error == float(prediction != y)
        assert loss == metrics.LogLoss()._eval(y, p)
        model.learn_one(x, y)

    # then
    report = quality.report()
    figures, window = report["metrics"], report["window"]["metrics"]
    total = sum(map(len, scores.values()))
    auc = stats.mannwhitneyu(scores[True], scores[False]).statistic
    auc /= len(scores[True]) * len(scores[False])
    for name, oracle in oracles.items():
        assert figures[name] == pytest.approx(oracle.get(), abs=1e-12), name
        assert window[name] == pytest.approx(oracle.get(), abs=1e-12), name
    assert figures["brier"] == pytest.approx(brier / total, abs=1e-12)
    assert window["roc_auc"] == pytest.approx(auc, abs=1e-12)
    assert figures["roc_auc"] == pytest.approx(auc, abs=1e-4)
    assert report["window"]["auc"] == "exact"
    assert report["auc"] == "histogram of 2083 bins, finer towards 0 and 1"
    flagged = sorted(((p, y) for y, ps in scores.items() for p in ps), reverse=True)[: total // 10]
    assert figures["precision_at_10_percent"] == pytest.approx(
        sum(y for _, y in flagged) / len(flagged), abs=0.005
    )


def test_the_last_label_baseline_is_rivers_no_change_classifier() -> None:
    labels = [y for _, y in datasets.Phishing()]
    quality = new_quality("binary", None)
    for i, y in enumerate(labels):
        quality.inline(i, (None, None), y)

    right = sum(a == b for a, b in pairwise(labels))

    baselines = quality.report()["baselines"]
    assert baselines["last_label"]["accuracy"] == right / (len(labels) - 1)


def test_multiclass_figures_on_image_segments_are_rivers() -> None:
    model = naive_bayes.GaussianNB()
    quality = new_quality("multiclass", None, window=3_000)
    oracles = {
        "accuracy": metrics.Accuracy(),
        "macro_f1": metrics.MacroF1(),
        "weighted_f1": metrics.WeightedF1(),
        "micro_f1": metrics.MicroF1(),
        "balanced_accuracy": metrics.BalancedAccuracy(),
    }
    cross_entropy = metrics.CrossEntropy()
    unscored = 0
    for i, (x, y) in enumerate(datasets.ImageSegments().take(1_200)):
        probabilities = model.predict_proba_one(x)
        prediction = max(probabilities, key=probabilities.get) if probabilities else None
        if prediction is None:
            unscored += 1
        else:
            for oracle in oracles.values():
                oracle.update(y, prediction)
            # a class that the model has not met has probability 0; River would leave it out
            cross_entropy.update(y, {y: 0.0, **probabilities})
        quality.inline(i * 60_000, (prediction, probabilities or None), y)
        model.learn_one(x, y)

    report = quality.report()
    assert unscored == 1
    assert report["labels"] - report["scored"] == unscored
    for figures in (report["metrics"], report["window"]["metrics"]):
        for name, oracle in oracles.items():
            assert figures[name] == pytest.approx(oracle.get(), abs=1e-12), name
        assert figures["log_loss"] == pytest.approx(cross_entropy.get(), abs=1e-12)
    assert set(report["baselines"]) == {"majority", "last_label"}


def test_regression_figures_on_trump_approval_are_rivers() -> None:
    model = preprocessing.StandardScaler() | linear_model.LinearRegression()
    quality = new_quality("regression", None, window=500)
    oracles = {"mae": metrics.MAE(), "rmse": metrics.RMSE(), "r2": metrics.R2()}
    for i, (x, y) in enumerate(datasets.TrumpApproval()):
        prediction = model.predict_one(x)
        for oracle in oracles.values():
            oracle.update(y, prediction)
        error, loss = quality.inline(i * 600_000, (prediction, None), y)
        assert error == abs(prediction - y)
        assert loss == abs(prediction - y) ** 2
        model.learn_one(x, y)

    for name, oracle in oracles.items():
        assert quality.report()["metrics"][name] == pytest.approx(oracle.get(), rel=1e-9), name


def test_r2_survives_an_offset_that_cancels_naive_sums() -> None:
    # Squares of 1e9 take 60 bits: a sum of squares minus a squared sum would leave noise.
    def fill(offset: float) -> dict[str, Any]:
        quality = new_quality("regression", None)
        for i in range(5_000):
            label = float(i % 7)
            quality.inline(i * 60_000, (offset + label + i % 2, None), offset + label)
        figures: dict[str, Any] = quality.report()["metrics"]
        return figures

    assert fill(1e9)["r2"] == pytest.approx(fill(0.0)["r2"], abs=1e-6)


def test_a_diverging_regression_leaves_finite_figures() -> None:
    quality = new_quality("regression", None)

    error, loss, _ = quality.label(0, (-2e300, None), [1e308, -1e308], 1.7e308)

    assert error == 1e150
    assert loss == pytest.approx(1e300)
    quality.inline(0, (1.0, None), -1.7e308)
    assert _finite(quality.report())


def test_anomaly_scores_are_ranked_with_and_without_a_threshold() -> None:
    scored = [(0.2, False), (3.5, True), (-1.0, False), (0.9, True), (1.2, False), (0.1, True)]
    with_threshold, without = new_quality("anomaly", None), new_quality("anomaly", None)
    for score, label in scored:
        error = float((score >= 1.0) != label)
        assert with_threshold.inline(0, (score >= 1.0, score), label) == (error, None)
        assert without.inline(0, (None, score), label) == (None, None)

    report, bare = with_threshold.report(), without.report()
    # of the 9 pairs of an anomaly and a normal event, 6 are in order
    for figures in (report, bare, report["window"], bare["window"]):
        assert figures["metrics"]["roc_auc"] == 6 / 9
        assert figures["scored"] == 6
        assert "log_loss" not in figures["metrics"]
    assert report["metrics"]["precision"] == 0.5
    assert report["metrics"]["recall"] == 1 / 3
    assert bare["metrics"]["accuracy"] is None


def test_probabilities_of_0_and_1_lose_no_more_than_rivers_clip() -> None:
    for p, label in ((0.0, True), (1.0, False), (0.0, False), (1.0, True), (1e-17, True)):
        quality = new_quality("binary", None)
        _, loss = quality.inline(0, (p >= 0.5, p), label)

        assert loss == metrics.LogLoss()._eval(label, p)


def test_a_model_without_probabilities_has_error_but_no_loss() -> None:
    binary, multiclass = new_quality("binary", None), new_quality("multiclass", None)

    assert binary.inline(0, (True, None), False) == (1.0, None)
    assert multiclass.inline(0, ("a", None), "a") == (0.0, None)
    assert binary.report()["metrics"]["log_loss"] is None
    assert multiclass.report()["metrics"]["log_loss"] is None


def test_an_event_without_answer_is_labelled_but_not_scored() -> None:
    quality = new_quality("binary", None)
    quality.inline(0, (True, 0.9), True)

    assert quality.inline(1, (None, None), False) == (None, None)

    report = quality.report()
    assert (report["labels"], report["scored"]) == (2, 1)
    assert report["metrics"]["accuracy"] == 1.0


def test_ids_taken_for_classes_keep_the_accuracy_exact() -> None:
    quality = new_quality("multiclass", None)
    for i in range(3_000):
        quality.inline(0, (i if i % 3 else -i, None), i)

    report = quality.report()
    assert report["metrics"]["accuracy"] == pytest.approx(2 / 3, abs=1e-3)
    assert len(report["confusion"]) == 1_001


def _finite(figures: object) -> bool:
    if isinstance(figures, dict):
        return all(map(_finite, figures.values()))
    return not isinstance(figures, float) or abs(figures) < float("inf")


def test_precision_of_the_flagged_tenth_comes_from_the_histogram_too() -> None:
    quality = _stepped()

    assert quality.report()["metrics"]["precision_at_10_percent"] == 0.75
    assert quality.report()["window"]["metrics"]["precision_at_10_percent"] == 0.75


def _stepped() -> Quality:
    quality = new_quality("binary", None)
    for i in range(400):
        quality.inline(0, (i > 200, i / 400), i % 4 != 0)
    return quality

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import metrics

from learners.quality.confusion import ClassCounts, binary_metrics, multiclass_metrics

answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1)
class_answers = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=60
)


def test_binary_metrics_by_hand() -> None:
    figures = binary_metrics(tn=50, fp=10, fn=5, tp=35)

    assert figures["accuracy"] == 0.85
    assert figures["precision"] == 35 / 45
    assert figures["recall"] == 35 / 40
    assert figures["balanced_accuracy"] == (35 / 40 + 50 / 60) / 2
    assert figures["f1"] == 70 / 85
    assert figures["mcc"] == pytest.approx((35 * 50 - 10 * 5) / (45 * 40 * 60 * 55) ** 0.5)


@given(answers)
def test_binary_metrics_are_rivers(pairs: list[tuple[bool, bool]]) -> None:
    oracles = {
        "accuracy": metrics.Accuracy(),
        "balanced_accuracy": metrics.BalancedAccuracy(),
        "precision": metrics.Precision(),
        "recall": metrics.Recall(),
        "f1": metrics.F1(),
        "mcc": metrics.MCC(),
    }
    for label, prediction in pairs:
        for oracle in oracles.values():
            oracle.update(label, prediction)

    figures = binary_metrics(*(pairs.count(pair) for pair in TN_FP_FN_TP))

    for name, oracle in oracles.items():
        figure = figures[name]  # None where River says 0 of an empty ratio
        assert (figure or 0.0) == pytest.approx(oracle.get(), abs=1e-12), name


@given(class_answers)
def test_multiclass_metrics_are_rivers(pairs: list[tuple[str, str]]) -> None:
    oracles = {
        "accuracy": metrics.Accuracy(),
        "balanced_accuracy": metrics.BalancedAccuracy(),
        "macro_precision": metrics.MacroPrecision(),
        "macro_recall": metrics.MacroRecall(),
        "macro_f1": metrics.MacroF1(),
        "weighted_f1": metrics.WeightedF1(),
        "micro_f1": metrics.MicroF1(),
    }
    for label, prediction in pairs:
        for oracle in oracles.values():
            oracle.update(label, prediction)

    figures = multiclass_metrics(
        [
            ClassCounts(
                sum(label == c for label, _ in pairs),
                sum(prediction == c for _, prediction in pairs),
                pairs.count((c, c)),
            )
            for c in "abcd"
        ]
    )

    for name, oracle in oracles.items():
        assert figures[name] == pytest.approx(oracle.get(), abs=1e-12), name


@given(answers)
def test_the_correlation_of_two_classes_is_the_binary_one(pairs: list[tuple[bool, bool]]) -> None:
    tn, fp, fn, tp = (pairs.count(pair) for pair in TN_FP_FN_TP)

    binary = binary_metrics(tn, fp, fn, tp)
    multiclass = multiclass_metrics(
        [ClassCounts(tp + fn, tp + fp, tp), ClassCounts(tn + fp, tn + fn, tn)]
    )

    assert multiclass["mcc"] == pytest.approx(binary["mcc"], abs=1e-12)


def test_nothing_scored_has_no_figures() -> None:
    assert set(binary_metrics(0, 0, 0, 0).values()) == {None}
    assert set(multiclass_metrics([]).values()) == {None}


def test_a_model_that_never_says_yes_has_no_precision() -> None:
    figures = binary_metrics(tn=9, fp=0, fn=1, tp=0)

    assert figures["precision"] is None
    assert figures["recall"] == 0.0
    assert figures["mcc"] == 0.0


TN_FP_FN_TP = ((False, False), (False, True), (True, False), (True, True))

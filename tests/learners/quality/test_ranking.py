import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from learners.quality.ranking import groups_of, precision_at, roc_auc


def test_auc_of_a_small_case_by_hand() -> None:
    # River's ROCAUC docstring gives 0.75 as the true figure of this one.
    scored = [(0.1, False), (0.4, False), (0.35, True), (0.8, True)]

    assert roc_auc(groups_of(scored)) == 0.75


def test_a_tie_counts_one_half() -> None:
    assert roc_auc(groups_of([(0.5, False), (0.5, True)])) == 0.5
    assert roc_auc([(1, 0), (1, 1)]) == 0.75


@pytest.mark.parametrize("groups", [[], [(3, 0)], [(0, 2), (0, 1)]])
def test_one_class_alone_has_no_auc(groups: list[tuple[int, int]]) -> None:
    assert roc_auc(groups) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2))
def test_auc_is_mann_whitneys_u(scored: list[tuple[float, bool]]) -> None:
    positives = [score for score, label in scored if label]
    negatives = [score for score, label in scored if not label]
    auc = roc_auc(groups_of(scored))

    if not positives or not negatives:
        assert auc is None
    else:
        u = stats.mannwhitneyu(positives, negatives).statistic
        assert auc == pytest.approx(u / len(positives) / len(negatives), abs=1e-12)


def test_precision_of_the_highest_tenth_by_hand() -> None:
    # 20 scores: two flagged, one of them positive.
    scored = [(i / 20, i in {3, 19}) for i in range(20)]

    assert precision_at(groups_of(scored), 0.1) == 0.5


def test_a_group_at_the_cut_counts_in_proportion() -> None:
    # Of 30, 3 are flagged: one positive at the top, then 2 of a tie of 4 of which 1 is positive.
    assert precision_at([(25, 0), (3, 1), (0, 1)], 0.1) == pytest.approx((1 + 0.5) / 3)


def test_a_handful_has_no_highest_tenth() -> None:
    assert precision_at([(4, 5)], 0.1) is None


def test_labels_do_not_order_what_the_scores_leave_equal() -> None:
    rng = random.Random(4)
    scored = [(0.5, rng.random() < 0.3) for _ in range(100)]

    assert groups_of(scored) == [(100 - sum(y for _, y in scored), sum(y for _, y in scored))]

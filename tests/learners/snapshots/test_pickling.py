from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from typing import Any

import pytest
from river import tree

from learners.errors import SnapshotError, SnapshotIncompatibleError
from learners.snapshots import dumps, loads


def nested(levels: int) -> list[Any]:
    deep: list[Any] = []
    for _ in range(levels):
        deep = [deep]
    return deep


def levels(deep: list[Any]) -> int:
    count = 0
    while deep:
        (deep,) = deep
        count += 1
    return count


def overflows(model: object) -> bool:
    try:
        pickle.dumps(model, protocol=5)
    except RecursionError:
        return True
    return False


def test_a_tree_on_a_feature_that_only_grows_comes_back_and_predicts_the_same() -> None:
    # given a tree that is one long branch, too long for pickle on a usual stack
    model = tree.HoeffdingTreeRegressor(
        grace_period=5, leaf_prediction="mean", delta=0.9, tau=0.9, min_samples_split=2
    )
    learnt = 0
    while learnt < 5_000 and (learnt % 200 or not overflows(model)):
        model.learn_one({"x": float(learnt)}, float(learnt))
        learnt += 1
    assert overflows(model)

    # when
    back = loads(dumps(model))

    # then it predicts and goes on learning to the same bit
    for number in range(learnt + 50):
        row = {"x": float(number)}
        assert back.predict_one(row) == model.predict_one(row)
        back.learn_one(row, 1.0)
        model.learn_one(row, 1.0)


def test_a_hundred_thousand_levels_come_back() -> None:
    assert levels(loads(dumps(nested(100_000)))) == 100_000


def test_too_many_levels_are_an_error_and_no_crash() -> None:
    with pytest.raises(SnapshotError, match="RecursionError"):
        dumps(nested(1_000_000))


def test_limits_and_stack_size_are_as_before_whoever_pickles_at_once() -> None:
    before = sys.getrecursionlimit(), threading.stack_size()
    deep = nested(20_000)
    results: list[int] = []

    def work() -> None:
        for _ in range(5):
            results.append(levels(loads(dumps(deep))))
        with pytest.raises(SnapshotError):
            dumps(lambda: None)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [20_000] * 40
    assert (sys.getrecursionlimit(), threading.stack_size()) == before


def test_what_cannot_be_pickled_is_told() -> None:
    with pytest.raises(SnapshotError, match="must be picklable") as caught:
        dumps(number for number in range(3))
    assert caught.value.hint


def test_a_class_that_is_gone_is_incompatible() -> None:
    gone = b"\x80\x04\x8c\x0friver.gone.away\x8c\x04Tree\x93."
    with pytest.raises(SnapshotIncompatibleError, match="ModuleNotFoundError") as caught:
        loads(gone)
    assert caught.value.hint


def test_without_address_space_for_the_stack_usual_models_still_pickle() -> None:
    script = """
import resource, threading
from learners.snapshots import dumps, loads
in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = in_use + 200 * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
assert loads(dumps({"a": [1, 2.5]})) == {"a": [1, 2.5]}
assert threading.stack_size() == 0
"""
    subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )

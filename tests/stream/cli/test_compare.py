"""How a version would do now, before anybody goes back to it."""

from math import log

import pytest
from river import linear_model, preprocessing

from tests.docs.markdown import section
from tests.docs.shapes import differences, documented
from tests.house.files import ROOT
from tests.stream.builders import LOGISTIC, T0_MS, write_csv

JSON = ROOT / "docs" / "json.md"
SECOND_MS = 1_000


def rows(first, last, *, flipped=False):
    """Events whose label is plain to see, or its opposite."""
    found = []
    for number in range(first, last):
        x = ((number * 37) % 101) / 50 - 1
        found.append(
            {
                "id": f"e{number}",
                "time": T0_MS + number * SECOND_MS,
                "x": x,
                "y": (x > 0) is not flipped,
            }
        )
    return found


def bare(some):
    """A River pipeline after these rows."""
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    for row in some:
        model.predict_proba_one({"x": row["x"]})
        model.learn_one({"x": row["x"]}, row["y"])
    return model


def log_loss(model, some):
    """Of a model that goes on learning."""
    losses = []
    for row in some:
        p = model.predict_proba_one({"x": row["x"]})[True]
        losses.append(-log(p if row["y"] else 1 - p))
        model.learn_one({"x": row["x"]}, row["y"])
    return sum(losses) / len(losses)


@pytest.fixture
def poisoned(driftline, config, tmp_path):
    """A service that learnt well, cut version 1, and then learnt 600 flipped labels; after them
    the labels are true again."""
    config(model=LOGISTIC)
    driftline("ingest", "--input", write_csv(tmp_path / "a.csv", rows(0, 800)))
    driftline("run", "--until-idle")
    driftline("models", "cut")
    driftline("run", "--until-idle")
    rest = rows(800, 1_400, flipped=True) + rows(1_400, 1_600)
    driftline("ingest", "--input", write_csv(tmp_path / "b.csv", rest))
    driftline("run", "--until-idle")
    return rest


def test_the_figures_are_those_of_a_bare_river_loop(driftline, poisoned):
    found = driftline("models", "compare", "1", "--labels", "200", "--json").json()

    last = rows(1_400, 1_600)
    assert found["labels"] == 200
    version = log_loss(bare(rows(0, 800)), last)
    served = log_loss(bare(rows(0, 800) + poisoned[:600]), last)
    assert found["version"]["log_loss"] == pytest.approx(version, rel=1e-12)
    assert found["served"]["log_loss"] == pytest.approx(served, rel=1e-12)
    assert found["gain"] == pytest.approx(served - version, rel=1e-9)
    assert found["verdict"] == "better"
    shape = documented(section(JSON, "## `driftline models compare --json`"))
    assert differences(found, shape) == []


def test_a_rollback_says_beforehand_how_the_version_does(driftline, poisoned):
    good = driftline("rollback", "1", "--compare", "200", "--dry-run")
    bad = driftline("rollback", "--empty", "--compare", "600", "--dry-run", "--json").json()
    none = driftline("rollback", "1", "--compare", "0", "--dry-run", "--json").json()

    assert "on the last 200 mature labels since version 1: roc_auc" in good.err
    assert good.err.splitlines()[-1].endswith("version 1 is better")
    assert bad["comparison"]["labels"] == 600
    assert none["comparison"] is None


def test_only_events_after_the_version_count(driftline, poisoned):
    driftline("models", "cut")
    driftline("run", "--until-idle")

    found = driftline("models", "compare", "1", "--json").json()
    newest = driftline("models", "compare", "2", "--json").json()

    assert found["labels"] == 800
    assert (newest["labels"], newest["verdict"]) == (0, "too few labels")
    assert "no mature label came since version 2" in driftline("models", "compare", "2").out


def test_late_labels_count_once_no_other_can_come(driftline, config, tmp_path):
    config(model=LOGISTIC, events={"id": "id", "time": "time"}, labels={"wait": "100s"})
    file = write_csv(tmp_path / "a.csv", rows(0, 300))
    label = ("--label", "y", "--label-delay", "50s")
    driftline("ingest", "--input", write_csv(tmp_path / "first.csv", rows(0, 100)), *label)
    driftline("run", "--until-idle")
    driftline("models", "cut")
    driftline("run", "--until-idle")
    driftline("ingest", "--input", file, *label)
    driftline("run", "--until-idle")

    found = driftline("models", "compare", "1", "--json").json()

    # The stream's clock is at the last label, 349 s: waits of events before 249 s are over.
    assert found["labels"] == 249 - 100

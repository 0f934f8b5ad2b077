"""Whether a configuration can be used, and how it differs from what a service has in force."""

import pytest

from tests.docs.markdown import section
from tests.docs.shapes import differences, documented
from tests.house.files import ROOT

JSON = ROOT / "docs" / "json.md"


def test_a_good_file_is_said_to_be_good_and_nothing_is_made(driftline, config, tmp_path):
    path = config()

    said = driftline("config", "check", path)
    body = driftline("config", "check", path, "--json").json()

    assert said.code == 0
    assert said.out == f"{path} can be used\n"
    assert body == {"configuration": str(path), "valid": True, "problem": None, "hint": None}
    assert [one.name for one in tmp_path.iterdir()] == ["driftline.yaml"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"modle": "x"}, "unknown field `modle`"),
        ({"model": "linear_model.Logistic"}, "River has no class"),
        ({"log": "sqllite:x"}, "a log is"),
        ({"snapshots": {"url": "ftp://x"}}, "ftp"),
        ({"snapshots": {"key": "5" * 60}}, "64 hexadecimal digits"),
    ],
)
def test_a_bad_file_is_refused_for_people_and_for_scripts(driftline, config, fields, words):
    path = config(**fields)

    error, hint = driftline("config", "check", path).refusal()
    said = driftline("config", "check", path, "--json")

    assert words in error
    assert said.code == 2
    assert said.err == ""
    body = said.json()
    assert not body["valid"]
    assert " ".join(body["problem"].split()) == error
    assert body["hint"] is None or " ".join(body["hint"].split()) == hint
    assert "5555" not in said.out
    assert differences(body, documented(section(JSON, "## `driftline config check --json`"))) == []


def test_a_file_is_compared_field_by_field_with_what_is_in_force(driftline, config, file):
    driftline("ingest", config(), "--input", file)
    driftline("run", "--until-idle")

    same = driftline("config", "diff", "--json")
    config(seed=7, labels={"wait": "3d"}, snapshots={"url": "file:elsewhere"})
    for_people = driftline("config", "diff")
    differs = driftline("config", "diff", "--json")

    assert (same.code, same.json()) == (0, {"same": True, "fields": []})
    assert (for_people.code, differs.code) == (2, 2)
    assert for_people.err == ""
    fields = {row["field"]: (row["in_force"], row["file"]) for row in differs.json()["fields"]}
    assert set(fields) == {"labels.wait", "seed"}
    assert fields["seed"] == (42, 7)
    shape = documented(section(JSON, "## `driftline config diff --json`"))
    assert differences(differs.json(), shape) == []


def test_a_service_that_has_never_run_has_nothing_in_force(driftline, config, file):
    driftline("ingest", config(), "--input", file)

    error, hint = driftline("config", "diff").refusal()

    assert "never run" in error
    assert "driftline run" in hint


OTHER_TASK = {"task": "multiclass", "model": "naive_bayes.GaussianNB"}
EXTRA = {"name": "x", "signal": "feature:x", "method": "ADWIN"}


@pytest.fixture
def served(driftline, config, file):
    """A service that has used a file, and stands still."""
    driftline("ingest", config(), "--input", file)
    driftline("run", "--until-idle")
    return driftline


def test_another_detector_comes_into_force_and_the_model_goes_on(served, config):
    before = served("status", "--json").json()
    config(detectors=[EXTRA])
    refused = served("run", "--until-idle")

    given = served("config", "apply", "--keep", "--yes", "--reason", "watch x", "--json")
    ran = served("run", "--until-idle")
    history = served("models", "history", "--json").json()["commands"]

    assert refused.code == 2
    assert "config apply --keep" in refused.err
    assert given.code == 0
    body = given.json()
    assert [row["field"] for row in body["fields"]] == ["detectors"]
    assert body["plan"][0] == "version 1: the models go on with what they have learnt"
    assert "detectors that start afresh: x" in body["plan"]
    assert body["command"]["reason"] == "watch x"
    assert ran.code == 0, ran.err
    assert [one["outcomes"]["0"]["outcome"] for one in history] == ["applied"]
    assert served("config", "diff", "--json").json()["same"]
    after = served("status", "--json").json()
    assert after["version"] == before["version"] + 1
    shape = documented(section(JSON, "## `driftline config apply --json`"))
    body["command"] = dict.fromkeys(body["command"])  # each of its own shape
    body["fields"] = [{**row, "in_force": None, "file": None} for row in body["fields"]]
    assert differences(body, shape) == []


def test_a_dry_run_shows_the_fields_and_writes_nothing(served, config):
    config(seed=7)

    said = served("config", "apply", "--fresh", "--dry-run", "--json")
    for_people = served("config", "apply", "--fresh", "--dry-run")

    assert said.json()["fields"] == [{"field": "seed", "in_force": 42, "file": 7}]
    assert "seed: 42 becomes 7" in for_people.err
    assert "start from nothing learnt" in for_people.err
    assert served("models", "history", "--json").json()["commands"] == []


@pytest.mark.parametrize(
    ("fields", "options", "words"),
    [
        ({}, ["--keep"], "in force already"),
        ({"seed": 7}, [], "either --keep or --fresh"),
        ({"seed": 7}, ["--keep", "--fresh"], "either --keep or --fresh"),
        ({"model": "naive_bayes.GaussianNB"}, ["--keep", "--yes"], "cannot be kept"),
        (OTHER_TASK, ["--fresh", "--yes"], "the task of a service is fixed"),
    ],
)
def test_what_cannot_be_applied_is_refused_and_nothing_is_written(
    served, config, fields, options, words
):
    config(**fields)

    error, hint = served("config", "apply", *options).refusal()

    assert words in error
    assert hint
    assert served("models", "history", "--json").json()["commands"] == []


def test_without_a_terminal_it_wants_to_be_told_yes(served, config):
    config(seed=7)

    said = served("config", "apply", "--keep")

    assert said.code == 2
    assert "there is no terminal to ask on\nhint: give --yes" in said.err
    assert served("models", "history", "--json").json()["commands"] == []


def test_nothing_is_applied_over_another_change_that_waits(served, config):
    config(seed=7)
    served("config", "apply", "--keep", "--yes")
    config(seed=8)

    error, _ = served("config", "apply", "--keep", "--yes").refusal()
    rollback, _ = served("rollback", "--empty", "--yes").refusal()

    assert "is not applied by every shard yet" in error
    assert "is not applied by every shard yet" in rollback


def test_a_rollback_names_the_lines_of_the_file_to_change(served, config):
    served("models", "cut")
    served("run", "--until-idle")
    config(model="naive_bayes.GaussianNB")
    served("config", "apply", "--fresh", "--yes")
    served("run", "--until-idle")

    said = served("rollback", "1", "--dry-run")

    assert "put this" not in said.err
    assert "its `model` section comes back with it" in said.err
    assert "linear_model.LogisticRegression" in said.err

"""The configuration: read once, refused with the nearest name, and never telling a secret."""

import json
from pathlib import Path
from typing import Any

import pytest

from stream.configuration import (
    Configuration,
    difference,
    from_semantic,
    load_file,
    parse,
)
from stream.errors import ConfigurationError
from tests.stream.builders import LOGISTIC, configuration

BASE: dict[str, Any] = {
    "name": "shop",
    "events": {"id": "id", "time": "time"},
    "task": "binary",
    "model": LOGISTIC,
}
DETECTOR = {"name": "a", "signal": "error"}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "driftline.yaml"
    path.write_text(text)
    return path


def base_file(tmp_path: Path) -> Path:
    return written(tmp_path, json.dumps(BASE))


def refusal(content: dict[Any, Any]) -> tuple[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(content, "file")
    message, hint = str(caught.value), caught.value.hint
    assert "\n" not in message
    assert hint
    return message, hint


@pytest.mark.parametrize(
    ("fields", "unknown", "nearest"),
    [
        ({"modle": 1}, "modle", "model"),
        ({"log_partition": 3}, "log_partition", "log_partitions"),
        ({"events": {"id": "i", "time": "t", "lable": "y"}}, "events.lable", "label"),
        ({"labels": {"wiat": "2d"}}, "labels.wiat", "wait"),
        ({"alerts": {"cooldwn": "1h"}}, "alerts.cooldwn", "cooldown"),
        ({"snapshots": {"ulr": "x"}}, "snapshots.ulr", "url"),
        ({"snapshots": {"s3": {"endpont": "x"}}}, "snapshots.s3.endpont", "endpoint"),
        ({"threshold": {"precison": 0.9}}, "threshold.precison", "precision"),
        ({"topics": {"evnts": "x"}}, "topics.evnts", "events"),
        (
            {"detectors": [{**DETECTOR, "method": "ADWIN", "dleta": 1}]},
            "detectors.0.dleta",
            "delta",
        ),
        (
            {"detectors": [{**DETECTOR, "method": "PageHinkley", "treshold": 1}]},
            "detectors.0.treshold",
            "threshold",
        ),
    ],
)
def test_an_unknown_field_anywhere_is_refused_with_the_nearest_known_one(fields, unknown, nearest):
    message, hint = refusal({**BASE, **fields})
    assert message == f"file: unknown field `{unknown}`"
    assert hint == f"did you mean `{nearest}`?"


def test_a_parameter_of_the_other_method_is_unknown_to_a_detector():
    message, _ = refusal(
        {**BASE, "detectors": [{**DETECTOR, "method": "ADWIN", "min_instances": 3}]}
    )
    assert message == "file: unknown field `detectors.0.min_instances`"


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        (
            {"detectors": [{**DETECTOR, "method": "ADWINN"}]},
            "`detectors.0.method` must be one of ADWIN, PageHinkley, not 'ADWINN'",
            "did you mean `ADWIN`?",
        ),
        (
            {"detectors": [DETECTOR]},
            "the field `detectors.0.method` is missing",
            "add `method:`, one of ADWIN, PageHinkley",
        ),
        (
            {"detectors": [{**DETECTOR, "signal": "eror", "method": "ADWIN"}]},
            (
                "`detectors.0.signal`: a signal is one of error, loss, prediction, label, "
                "feature:NAME, not 'eror'"
            ),
            "did you mean error?",
        ),
        ({"detectors": None}, "`detectors`: must be a list, not null", None),
        ({"labels": 7}, "`labels`: must be a mapping of fields, not 7", None),
        ({"labels": {"wait": "0s"}}, "`labels.wait`: must be greater than 0s, not '0s'", None),
        (
            {"labels": {"wait": 7}},
            "`labels.wait`: must be a duration with its unit, such as 30s, 1h or 2d, not 7",
            None,
        ),
        (
            {"snapshots": {"recover_within": 5}},
            (
                "`snapshots.recover_within`: must be a duration with its unit, such as 30s, 1h "
                "or 2d, not 5"
            ),
            None,
        ),
        (
            {"labels": {"default": "perhaps"}},
            "a binary label is true, false, 0 or 1, not 'perhaps'",
            None,
        ),
        (
            {"log_partitions": 0},
            "`log_partitions`: must be greater than or equal to 1, not 0",
            None,
        ),
        ({"retention": {"events": "30d"}}, "`retention` is not built yet in this driftline", None),
        (
            {"snapshots": {"versions": {"keep": {"last": 0}}}},
            "`snapshots.versions.keep.last`: must be greater than 0, not 0",
            None,
        ),
        ({"task": "forecasting"}, "the task forecasting is not built yet", None),
        ({"task": "binry"}, None, "did you mean binary?"),
        (
            {"model": "linear_model.LogisticRegresion"},
            "River has no class linear_model.LogisticRegresion",
            "did you mean linear_model.LogisticRegression?",
        ),
        (
            {"model": {"linear_model.LogisticRegression": {"l3": 1}}},
            "linear_model.LogisticRegression has no parameter 'l3'",
            "did you mean l2?",
        ),
        (
            {"model": "linear_model.LinearRegression"},
            "the task binary needs a classifier; linear_model.LinearRegression is none",
            "use linear_model.LogisticRegression",
        ),
        (
            {"task": "regression", "threshold": 0.5, "model": "linear_model.LinearRegression"},
            "a threshold needs the task binary or anomaly, not regression",
            None,
        ),
        (
            {
                "task": "multiclass",
                "model": "tree.HoeffdingTreeClassifier",
                "detectors": [{"name": "a", "signal": "prediction", "method": "ADWIN"}],
            },
            "detector 'a': the multiclass task has no signal 'prediction'",
            None,
        ),
        ({1: "x"}, "unknown field `1`", None),
    ],
)
def test_what_cannot_be_is_refused_saying_where_and_what_would_do(fields, message, hint):
    said, hinted = refusal({**BASE, **fields})
    if message is not None:
        assert said == f"file: {message}"
    if hint is not None:
        assert hinted == hint


@pytest.mark.parametrize("field", ["name", "events", "task", "model"])
def test_a_missing_field_is_named(field):
    message, hint = refusal({name: value for name, value in BASE.items() if name != field})
    assert (message, hint) == (f"file: the field `{field}` is missing", f"add `{field}:`")


def test_id_and_time_must_be_said_even_if_they_are_null():
    message, _ = refusal({**BASE, "events": {"id": None}})
    assert message == "file: the field `events.time` is missing"


@pytest.mark.parametrize(
    "snapshots",
    [
        {"key": 1234567},
        {"key": ["1234567"]},
        {"s3": {"secret_access_key": 1234567, "access_key_id": "a"}},
        {"s3": {"secret_access_key": "1234567"}},
    ],
)
def test_a_secret_is_never_shown_in_a_refusal(snapshots):
    message, hint = refusal({**BASE, "snapshots": snapshots})
    assert "1234567" not in message + hint


def test_a_secret_is_neither_printed_nor_journalled():
    one = configuration(snapshots={"url": "memory:", "key": "5" * 64})
    assert "5555" not in repr(one) + str(one) + json.dumps(one.semantic())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "is not YAML in line"),
        ("- name\n", "must be a mapping of fields, not list"),
        ("", "must be a mapping of fields, not NoneType"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, words):
    with pytest.raises(ConfigurationError, match=words):
        load_file(written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_refused_with_the_ways_to_name_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        load_file()
    assert caught.value.hint is not None
    assert "DRIFTLINE_CONFIG" in caught.value.hint
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_file(tmp_path / "latin.yaml")


def test_the_file_is_the_one_given_else_the_variables_else_the_folders(tmp_path, monkeypatch):
    here = base_file(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(json.dumps({**BASE, "name": "other"}))
    monkeypatch.chdir(tmp_path)
    assert load_file().name == "shop"
    monkeypatch.setenv("DRIFTLINE_CONFIG", str(other))
    assert load_file().name == "other"
    assert load_file(here).name == "shop"


def test_the_environment_sets_any_field_and_leaves_its_neighbours(tmp_path, monkeypatch):
    path = written(tmp_path, json.dumps({**BASE, "labels": {"wait": "3h", "max_held": 7}}))
    detectors = '[{"name": "e", "signal": "error", "method": "ADWIN"}]'
    for name, value in {
        "NAME": "from-env",
        "SEED": "7",
        "LABELS__WAIT": "5h",
        "EVENTS__LABEL": "y",
        "THRESHOLD__RECALL": "0.5",
        "DETECTORS": detectors,
        "MODEL": '["tree.HoeffdingTreeClassifier"]',
        "SNAPSHOTS__KEY": "a" * 64,
    }.items():
        monkeypatch.setenv(f"DRIFTLINE_{name}", value)
    found = load_file(path)
    assert (found.name, found.seed, found.events.label) == ("from-env", 7, "y")
    assert (found.labels.wait.total_seconds(), found.labels.max_held) == (5 * 3600, 7)
    assert found.threshold.recall == 0.5
    assert [detector.name for detector in found.detectors] == ["e"]
    assert "HoeffdingTreeClassifier" in str(found.model)
    assert found.snapshots.key is not None
    assert found.snapshots.key.get_secret_value() == "a" * 64


@pytest.mark.parametrize(
    ("name", "value", "words", "hint"),
    [
        ("DRIFTLINE_SEEED", "3", "unknown variable `DRIFTLINE_SEEED`", "`DRIFTLINE_SEED`"),
        ("DRIFTLINE_EVENTS__LABL", "y", "unknown field `events.labl`", "`label`"),
        ("DRIFTLINE_RETENTION__EVENTS", "1d", "`retention` is not built yet", "unset"),
        ("DRIFTLINE_EVENTS", "{", "environment cannot be read", "JSON"),
        ("DRIFTLINE_SEED", "x", "`seed`: must be a valid integer", ""),
    ],
)
def test_a_variable_that_cannot_be_is_refused(tmp_path, monkeypatch, name, value, words, hint):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_file(base_file(tmp_path))
    assert hint in (caught.value.hint or "")


def test_what_decides_the_results_is_semantic_and_addresses_are_not():
    one = configuration()
    elsewhere = configuration(name="other", log="sqlite:elsewhere.db", log_partitions=3)
    assert elsewhere.semantic() == one.semantic()
    assert set(one.semantic()) == {
        "events",
        "labels",
        "halt",
        "task",
        "threshold",
        "seed",
        "model",
        "detectors",
        "alerts",
    }


def test_two_ways_to_write_the_same_have_one_semantic_form_that_json_keeps():
    one = configuration(labels={"wait": "48h"}, model=LOGISTIC, task={"binary": None})
    same = configuration(
        labels={"wait": "2d", "max_held": 100_000},
        model=["preprocessing.StandardScaler", {"linear_model.LogisticRegression": {}}],
    )
    assert one.semantic() == same.semantic()
    assert json.loads(json.dumps(one.semantic())) == one.semantic()


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": {"wait": "49h", "default": False, "on_correction": "learn_again"}},
        {"threshold": {"cost": {"false_positive": 1, "false_negative": 2.5}}},
        {"threshold": 0.25, "task": {"binary": {"positive": "late"}}},
        {"alerts": {"cooldown": None}},
        {"detectors": [{**DETECTOR, "method": "PageHinkley", "threshold": 3}]},
        {"events": {"id": None, "time": None, "label": "y", "features": ["b", "a"]}},
        {"model": LOGISTIC},
    ],
)
def test_a_journals_configuration_reads_back_as_it_was(fields):
    one = configuration(**fields)
    stored = json.loads(json.dumps(one.semantic()))
    here = configuration(name="here", log="sqlite:here.db")
    back = from_semantic(here, stored)
    assert isinstance(back, Configuration)
    assert back.semantic() == one.semantic()
    assert (back.name, back.log) == ("here", "sqlite:here.db")


def test_a_difference_names_each_field_with_both_values():
    mine = configuration(labels={"wait": "1h"}, seed=1).semantic()
    theirs = configuration(labels={"wait": "2h"}, seed=2).semantic()
    assert difference(mine, theirs) == [
        "labels.wait: '2h' in the journal, '1h' in the file",
        "seed: 2 in the journal, 1 in the file",
    ]
    assert difference(mine, mine) == []


def test_a_field_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("name: shop\ntask: binary\nevents: {id: a, time: b}\ntask: regression\n")
    with pytest.raises(ConfigurationError, match="line 4: the field 'task' is there twice"):
        load_file(path)

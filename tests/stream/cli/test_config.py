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

"""The alerts: valid, each seen to fire and to be silent, and each names commands that exist."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.house.files import ROOT
from tests.integration.deploy.command_line import require_known

FOLDER = ROOT / "deploy" / "prometheus"


class Rule(NamedTuple):
    """One alert of rules.yml."""

    name: str
    severity: str
    annotations: dict[str, str]


@cache
def rules() -> list[Rule]:
    (group,) = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [
        Rule(one["alert"], one["labels"]["severity"], one["annotations"]) for one in group["rules"]
    ]


def run(promtool: Path, *words: str | Path) -> str:
    done = subprocess.run(
        (promtool, *words), cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.deploy
def test_prometheus_accepts_its_configuration_and_finds_every_alert(promtool):
    checked = run(promtool, "check", "config", "prometheus.yml")

    assert "prometheus.yml is valid" in checked
    assert f"{len(rules())} rules found" in checked


@pytest.mark.deploy
def test_prometheus_has_nothing_to_say_against_the_alerts(promtool):
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yml")


@pytest.mark.deploy
def test_each_alert_fires_and_stays_silent_where_it_must(promtool):
    assert "SUCCESS" in run(promtool, "test", "rules", "rules_test.yml")


def test_each_alert_is_tested_both_ways():
    fires: set[str] = set()
    silent: set[str] = set()
    for test in yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]:
        for one in test["alert_rule_test"]:
            (fires if one["exp_alerts"] else silent).add(one["alertname"])

    names = {rule.name for rule in rules()}
    assert len(names) == len(rules())
    assert fires == silent == names


def test_each_alert_says_who_is_woken_what_has_happened_and_what_to_type():
    for rule in rules():
        assert rule.severity in {"critical", "warning"}, rule.name
        assert set(rule.annotations) == {"summary", "runbook"}, rule.name
        assert typed(rule.annotations["runbook"]), rule.name


def test_each_command_and_option_that_an_alert_names_exists():
    for rule in rules():
        for words in typed(rule.annotations["runbook"]):
            require_known(words, rule.name)


def typed(runbook: str) -> list[list[str]]:
    """What follows each `driftline` in a text, as words: a command, its options, then prose."""
    parts = re.split(r"\bdriftline ", runbook)[1:]
    return [[word.rstrip(",.;") for word in part.split()] for part in parts]

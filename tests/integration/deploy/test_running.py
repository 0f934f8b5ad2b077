"""The deployment runs: both workers serve, Prometheus sees them, and every alert and every panel
asks for something that is there."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.house.files import ROOT
from tests.integration.deploy.running import EVENTS, Deployment, read, wait_for

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.kafka,
    pytest.mark.xdist_group("deployment"),
    pytest.mark.timeout(300),
]

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "driftline.json").read_text())
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())["groups"][0]
# What Prometheus itself makes.
ITS_OWN = {"up", "ALERTS"}


def panels() -> list[tuple[str, str]]:
    """Title and expression of every query of the dashboard, its variables filled in."""
    filled = {"$service": "flights", "$shard": ".*", "$__rate_interval": "10s"}
    found = []
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in filled.items():
                expression = expression.replace(name, value)
            found.append((panel["title"], expression))
    return found


def names(tree: Any) -> set[str]:
    """The metrics in an expression, as Prometheus has parsed it."""
    if isinstance(tree, list):
        return {name for one in tree for name in names(one)}
    if not isinstance(tree, dict):
        return set()
    own = {tree["name"]} if tree.get("type") in {"vectorSelector", "matrixSelector"} else set()
    return own | {name for one in tree.values() for name in names(one)}


def test_each_worker_has_a_shard_and_every_flight_its_result(deployment: Deployment):
    served = deployment.values("driftline_journal_entry")
    dead = deployment.values("sum by (reason) (driftline_dead_letters_total)")

    assert {one["shard"] for one in served} == {"0", "1"}
    assert len({one["instance"] for one in served}) == 2
    for name, count in (("events", EVENTS + 2), ("labels", EVENTS), ("labels_joined", EVENTS)):
        assert deployment.value(f"sum(driftline_{name}_total)") == count
    assert [(one["reason"], one["value"]) for one in dead] == [("not_json", 2)]


def test_every_metric_that_an_alert_or_a_panel_names_is_one_that_a_worker_gives(
    deployment: Deployment,
):
    expressions = [rule["expr"] for rule in RULES["rules"]] + [one for _, one in panels()]
    asked = {
        name
        for expression in expressions
        for name in names(deployment.ask("parse_query", query=expression))
    }

    for worker in deployment.workers.values():
        families = text_string_to_metric_families(read(f"{worker.address}/metrics"))
        given = {sample.name for family in families for sample in family.samples}
        assert asked - given == ITS_OWN
    assert len(asked) > 20


def test_every_alert_is_evaluated_and_none_fires_on_a_service_that_is_well(deployment: Deployment):
    def evaluated() -> Any:
        (group,) = deployment.ask("rules")["groups"]
        return all(rule["health"] == "ok" for rule in group["rules"]) and group["rules"]

    rules = wait_for(evaluated, "every alert is evaluated")

    assert [rule["name"] for rule in rules] == [rule["alert"] for rule in RULES["rules"]]
    assert {rule["state"] for rule in rules if rule["labels"]["severity"] == "critical"} == {
        "inactive"
    }


@pytest.mark.parametrize(("title", "expression"), panels())
def test_a_panel_shows_something(deployment: Deployment, title: str, expression: str):
    if "ALERTS" in expression:
        assert deployment.ask("query", query=expression)["resultType"] == "vector"
        return
    wait_for(lambda: deployment.values(expression), f"{title}: {expression}")


@pytest.mark.parametrize(("name", "offered"), [("service", ["flights"]), ("shard", ["0", "1"])])
def test_a_variable_of_the_dashboard_offers_what_there_is(
    deployment: Deployment, name: str, offered: list[str]
):
    queries = {one["name"]: one["query"]["query"] for one in DASHBOARD["templating"]["list"]}
    found = re.fullmatch(rf"label_values\((.+), {name}\)", queries[name])
    assert found
    selector = {"match[]": found[1].replace("$service", "flights")}

    wait_for(
        lambda: deployment.ask(f"label/{name}/values", **selector) == offered,
        f"{name} offers {offered}",
    )


def test_the_health_checks_of_compose_tell_life_from_death(deployment: Deployment, promtool):
    worker = deployment.workers["worker-1"]
    check = deployment.services["worker-1"]["healthcheck"]["test"]
    assert check[1] == "python"
    port = worker.address.rpartition(":")[2]
    there = [word.replace("9108", port) for word in check[2:]]
    nowhere = [word.replace("9108", "1") for word in check[2:]]
    assert subprocess.run((sys.executable, *there), capture_output=True).returncode == 0
    assert subprocess.run((sys.executable, *nowhere), capture_output=True).returncode != 0

    check = deployment.services["prometheus"]["healthcheck"]["test"]
    assert check[1] == "promtool"
    there = [word.replace("http://localhost:9090", deployment.prometheus) for word in check[2:]]
    nowhere = [word.replace(":9090", ":1") for word in check[2:]]
    assert subprocess.run((promtool, *there), capture_output=True).returncode == 0
    assert subprocess.run((promtool, *nowhere), capture_output=True).returncode != 0


def test_a_worker_that_is_stopped_leaves_a_snapshot_and_its_alert_begins(deployment: Deployment):
    # given the folder that both share, with one key beside it, and a state that is in no snapshot
    assert (deployment.folder / "state" / "snapshots.key").exists()
    worker = deployment.workers["worker-2"]
    deployment.put_bad_events()
    wait_for(
        lambda: deployment.values("count(driftline_snapshot_behind_records > 0) == 2"),
        "both have something to keep",
    )
    before = deployment.snapshots()

    # when compose would stop it
    worker.process.send_signal(signal.SIGTERM)

    # then it ends well within the time that it is given, and Prometheus notices
    assert deployment.services["worker-2"]["stop_grace_period"] == "30s"
    assert worker.process.wait(timeout=30) == 0, worker.log.read_text()
    assert deployment.snapshots() - before
    wait_for(
        lambda: deployment.values('ALERTS{alertname="DriftlineWorkerDown", alertstate="pending"}'),
        "the alert begins",
    )

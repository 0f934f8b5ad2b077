"""docker-compose.yml as Compose itself reads it: valid, pinned, without rights and secrets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.configuration import load_file
from tests.house.files import ROOT
from tools.test_tools import KAFKA_POM, PROMETHEUS

pytestmark = pytest.mark.deploy

DEPLOY = ROOT / "deploy"
CONFIGURATION = DEPLOY / "flights.yaml"
WORKERS = ("worker-1", "worker-2")
LONG_RUNNING = ("kafka", *WORKERS, "prometheus", "grafana")


@pytest.fixture
def services(project) -> dict[str, Any]:
    found: dict[str, Any] = project["services"]
    return found


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("healthcheck:", "healthchek:"),
        ("topics: {condition", "topic: {condition"),
        ("kafka:/var/lib/kafka/data]", "kafak:/var/lib/kafka/data]"),
    ],
)
def test_compose_refuses_a_mistake(compose, tmp_path, right, wrong):
    text = (ROOT / "docker-compose.yml").read_text()
    assert right in text
    (tmp_path / "docker-compose.yml").write_text(text.replace(right, wrong, 1))

    done = subprocess.run(
        (compose, tmp_path / "docker-compose.yml"), capture_output=True, text=True, cwd=tmp_path
    )

    assert done.returncode == 1
    assert wrong.partition(":")[0] in done.stderr


def test_it_holds_what_the_service_needs_and_what_looks_at_it(services):
    assert set(services) == {*LONG_RUNNING, "topics"}


def test_each_image_is_built_here_or_pinned(services):
    images = {name: one["image"] for name, one in services.items() if "build" not in one}
    kafka = re.search(r"kafka_2\.13</artifactId>\s*<version>([\d.]+)<", KAFKA_POM.read_text())
    prometheus = re.fullmatch(r".+@v0\.(\d)(\d\d)\.(\d+)", PROMETHEUS)

    # What the tests run is what is deployed.
    assert kafka and prometheus
    assert images["kafka"] == f"apache/kafka:{kafka[1]}"
    major, minor, patch = map(int, prometheus.groups())
    assert images["prometheus"] == f"prom/prometheus:v{major}.{minor}.{patch}"
    assert re.fullmatch(r"grafana/grafana:\d+\.\d+\.\d+", images["grafana"])
    assert set(images) == {"kafka", "prometheus", "grafana"}


def test_nobody_is_root_nor_can_become_it(services):
    for name, one in services.items():
        assert re.fullmatch(r"[1-9]\d*:\d+", one["user"]), name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in one, name


def test_what_goes_on_is_watched_and_started_again(services):
    for name in LONG_RUNNING:
        check = services[name]["healthcheck"]
        assert check["test"][0] == "CMD", name
        assert {"interval", "timeout", "retries", "start_period"} <= set(check), name
        assert services[name]["restart"] == "unless-stopped", name


def test_workers_start_once_the_topics_are_made_on_a_healthy_broker(services):
    assert services["topics"]["command"][:2] == ["topics", "create"]
    assert services["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"
    for name in WORKERS:
        needs = services[name]["depends_on"]
        assert needs["topics"]["condition"] == "service_completed_successfully"


def test_workers_differ_by_their_identity_alone_and_share_their_snapshots(services):
    first, second = (dict(services[name]) for name in WORKERS)
    identities = [one.pop("environment")["DRIFTLINE_KAFKA__INSTANCE"] for one in (first, second)]

    assert identities == list(WORKERS)
    assert first == second
    folder = load_file(CONFIGURATION).snapshots.url.removeprefix("file:")
    shared = {one["target"]: one for one in first["volumes"] if one["type"] == "volume"}
    assert [target for target in shared if Path(target) in Path(folder).parents]


def test_data_lies_in_named_volumes_and_files_from_here_cannot_be_changed(project):
    named = set()
    for name, one in project["services"].items():
        for volume in one.get("volumes", []):
            if volume["type"] == "volume":
                named.add(volume["source"])
            else:
                assert volume["type"] == "bind", name
                assert volume["read_only"], name
                assert Path(volume["source"]).is_relative_to(DEPLOY), name
                assert Path(volume["source"]).exists(), name

    assert named == set(project["volumes"]) == {"kafka", "state", "prometheus", "grafana"}


def test_nothing_listens_beyond_this_machine(services):
    published = {
        port["published"]: port["host_ip"]
        for one in services.values()
        for port in one.get("ports", [])
    }

    assert published == {"29092": "127.0.0.1", "9090": "127.0.0.1", "3000": "127.0.0.1"}


def test_it_holds_no_secret_and_grafana_has_no_password(services):
    secret = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|API_?KEY|__KEY")
    for name, one in services.items():
        assert not [key for key in one.get("environment", {}) if secret.search(key)], name

    grafana = services["grafana"]["environment"]
    assert grafana["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    assert grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    # Otherwise there would be an admin whose password is known to everybody.
    assert grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert grafana["GF_AUTH_BASIC_ENABLED"] == "false"


def test_the_configuration_is_that_of_the_example_on_this_broker(services):
    deployed = load_file(CONFIGURATION)
    example = load_file(ROOT / "examples" / "flights" / "flights.yaml")
    listeners = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")

    assert deployed.semantic() == example.semantic()
    assert deployed.log.replace("kafka://", "INSIDE://") in listeners
    assert deployed.log_partitions >= len(WORKERS)
    for name in (*WORKERS, "topics"):
        mounted = {one["target"]: one["source"] for one in services[name]["volumes"]}
        given = [word for word in services[name]["command"] if word.endswith(".yaml")]
        assert [mounted[path] for path in given] == [str(CONFIGURATION)]


def test_prometheus_looks_at_every_worker(services):
    content = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = content["scrape_configs"]
    metrics = load_file(CONFIGURATION).metrics

    assert job["static_configs"] == [{"targets": [f"{name}:{metrics.port}" for name in WORKERS]}]
    assert metrics.host == "0.0.0.0"
    for name in WORKERS:
        check = services[name]["healthcheck"]["test"][-1]
        assert f"http://127.0.0.1:{metrics.port}/healthz" in check


def test_grafana_is_given_the_dashboard_and_that_prometheus(services):
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "driftline.yml").read_text())[
        "providers"
    ]
    mounted = {one["target"]: one["source"] for one in services["grafana"]["volumes"]}

    assert source["url"] == "http://prometheus:9090"
    assert mounted["/etc/grafana/provisioning"] == str(provisioning)
    assert mounted[provider["options"]["path"]] == str(DEPLOY / "grafana" / "dashboards")
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).parent == Path(provider["options"]["path"])
    assert (DEPLOY / "grafana" / "dashboards" / Path(home).name).exists()

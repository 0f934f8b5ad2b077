"""What docker-compose.yml describes, run without containers: the broker with its settings on the
real jars, `topics create`, both workers with their commands, and Prometheus with its configuration.

Addresses, folders and intervals are those of the test; everything else is the files'.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.error import URLError

import pytest
import yaml

from consumers.record import NewRecord
from stream.configuration import Configuration, load_file
from stream.opening import open_service_log
from tests.house.files import ROOT
from tests.integration.kafka.broker import LIBS

DEADLINE_S = 60.0
EVENTS = 200
T = TypeVar("T")
WORKERS = ("worker-1", "worker-2")
JAVA = ("java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", f"{LIBS}/*")


class Worker(NamedTuple):
    """A running worker and what it says; `address` is where it serves its metrics."""

    process: subprocess.Popen[bytes]
    log: Path
    address: str


class Deployment(NamedTuple):
    """The parts of it that run."""

    services: dict[str, Any]
    workers: dict[str, Worker]
    prometheus: str
    folder: Path
    configuration: Configuration

    def put_bad_events(self) -> None:
        """An event that cannot be used on each partition."""
        with open_service_log(self.configuration, create=False) as log:
            log.append([("events", shard, NewRecord(b"no flight")) for shard in (0, 1)])

    def snapshots(self) -> set[Path]:
        """The files in the folder that the workers share."""
        written = (self.folder / "state" / "snapshots").rglob("*")
        return {path for path in written if path.is_file()}

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of Prometheus's API."""
        query = urllib.parse.urlencode(parameters)
        return json.loads(read(f"{self.prometheus}/api/v1/{path}?{query}"))["data"]

    def values(self, query: str) -> list[dict[str, Any]]:
        """The labels of each series of an instant query, and its value."""
        found = self.ask("query", query=query)["result"]
        return [{**one["metric"], "value": float(one["value"][1])} for one in found]

    def value(self, query: str) -> float | None:
        """The value of a query that gives one series, or none."""
        found = self.values(query)
        return found[0]["value"] if found else None


def read(address: str) -> str:
    """What is served there; raises URLError."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def wait_for(look: Callable[[], T], what: str) -> T:
    """What `look` gives once that is true; fails with `what` after the deadline."""
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        try:
            if found := look():
                return found
            last = f"{found}"
        except URLError as error:
            last = str(error)
        assert time.monotonic() < deadline_s, f"{what}: {last}"
        time.sleep(0.1)  # a refused connection answers at once


@contextmanager
def deployed(project: dict[str, Any], prometheus: Path, folder: Path) -> Iterator[Deployment]:
    """It runs for as long as the block lasts; skips loudly where there is no Kafka."""
    if shutil.which("java") is None or not any(LIBS.glob("kafka_*.jar")):
        pytest.skip("NO KAFKA: it needs java and the jars that `make test-tools` fetches")
    services = project["services"]
    with ExitStack() as closing:
        bootstrap = closing.enter_context(broker(services["kafka"]["environment"], folder))
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",
            "DRIFTLINE_LOG": f"kafka://{bootstrap}",
            "DRIFTLINE_SNAPSHOTS__URL": f"file:{folder}/state/snapshots",
            "DRIFTLINE_SNAPSHOTS__EVERY_EVENTS": "100",
            "DRIFTLINE_SNAPSHOTS__MIN_INTERVAL": "1ms",
            "DRIFTLINE_METRICS__HOST": "127.0.0.1",
            "DRIFTLINE_METRICS__PORT": "0",
        }
        made = subprocess.run(
            _command(services["topics"]), env=environment, capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
        source = services["worker-1"]["volumes"][0]["source"]
        configuration = load_file(Path(source)).model_copy(update={"log": f"kafka://{bootstrap}"})
        _put_flights(configuration)
        workers = {
            name: closing.enter_context(worker(name, services[name], environment, folder))
            for name in WORKERS
        }
        addresses = [one.address.removeprefix("http://") for one in workers.values()]
        address = closing.enter_context(
            prometheus_server(prometheus, services["prometheus"], addresses, folder)
        )
        deployment = Deployment(services, workers, address, folder, configuration)
        deployment.put_bad_events()
        for query, wanted in (
            ("count(count by (instance) (driftline_journal_entry))", len(WORKERS)),
            ("sum(driftline_events_total)", EVENTS + len(WORKERS)),
            ("sum(driftline_labels_joined_total)", EVENTS),
            ("count(driftline_snapshot_timestamp_seconds)", len(WORKERS)),
        ):
            wait_for(partial(_is, deployment, query, wanted), f"{query} is not {wanted}")
        yield deployment


@contextmanager
def broker(environment: dict[str, str], folder: Path) -> Iterator[str]:
    """HOST:PORT of the compose file's broker; its image turns KAFKA_A_B into a.b as this does."""
    ports = {port: str(_free_port()) for port in ("9092", "9093", "29092")}
    here = partial(re.sub, r"(://|@)\w*:(\d+)", lambda at: f"{at[1]}127.0.0.1:{ports[at[2]]}")
    settings = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): here(value)
        for name, value in environment.items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }
    settings["log.dirs"] = str(folder / "kafka")
    properties = folder / "server.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    storage = ("kafka.tools.StorageTool", "format", "-t", environment["CLUSTER_ID"])
    log = folder / "kafka.log"
    with log.open("wb") as output:
        formatted = subprocess.run(
            (*JAVA, *storage, "-c", properties), stdout=output, stderr=subprocess.STDOUT
        )
        assert formatted.returncode == 0, log.read_text()
        process = subprocess.Popen(
            (*JAVA, "kafka.Kafka", properties), stdout=output, stderr=subprocess.STDOUT
        )
    try:

        def listens() -> bool:
            assert process.poll() is None, log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", int(ports["9092"]))) == 0

        wait_for(listens, "no Kafka")
        yield f"127.0.0.1:{ports['9092']}"
    finally:
        process.kill()  # nothing of it is kept
        process.wait()


@contextmanager
def worker(
    name: str, service: dict[str, Any], environment: dict[str, str], folder: Path
) -> Iterator[Worker]:
    """A worker with the command and the environment of the compose file, serving its metrics."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(service), env=environment | service["environment"], stderr=output
        )
    try:

        def serves() -> str | None:
            assert process.poll() is None, log.read_text()
            found = re.search(r"metrics on (http://\S+)/metrics", log.read_text())
            return found and found[1]

        yield Worker(process, log, wait_for(serves, f"{name} serves no metrics") or "")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def prometheus_server(
    binary: Path, service: dict[str, Any], targets: list[str], folder: Path
) -> Iterator[str]:
    """Prometheus with its own configuration, which looks at these targets every second."""
    mounted = {one["target"]: one["source"] for one in service["volumes"]}
    content = yaml.safe_load((Path(mounted["/etc/prometheus"]) / "prometheus.yml").read_text())
    content["global"] = dict.fromkeys(content["global"], "1s")
    content["rule_files"] = [f"{mounted['/etc/prometheus']}/{one}" for one in content["rule_files"]]
    content["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(content))
    given = {"--config.file": config, "--storage.tsdb.path": folder / "prometheus"}
    options = [word.partition("=")[::2] for word in service["command"]]
    port = _free_port()
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            (
                binary,
                *(f"{name}={given.get(name, value)}" for name, value in options),
                f"--web.listen-address=127.0.0.1:{port}",
            ),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:

        def is_ready() -> str:
            assert process.poll() is None, log.read_text()
            return read(f"http://127.0.0.1:{port}/-/ready")

        wait_for(is_ready, "no Prometheus")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _is(deployment: Deployment, query: str, wanted: float) -> bool:
    return deployment.value(query) == wanted


def _command(service: dict[str, Any]) -> list[str]:
    """A service's command, with the files that are mounted where they really are."""
    mounted = {one["target"]: one["source"] for one in service["volumes"]}
    words = [mounted.get(word, word) for word in service["command"]]
    return [sys.executable, "-m", "stream.cli.main", *words]


def _put_flights(configuration: Configuration) -> None:
    """Flights and their labels on both partitions."""
    records = []
    now_ms = int(time.time() * 1000)  # the broker stamps them with now, and labels wait two days
    for number in range(EVENTS):
        partition, at_ms = number % 2, now_ms - (EVENTS - number) * 1000
        body = {
            "flight_id": f"f{number}",
            "scheduled_at": at_ms,
            "carrier": "UA" if number % 3 else "DL",
            "origin": "JFK",
            "dest": "BOS" if number % 2 else "HNL",
            "plane": "unknown",
            "hour": number % 24,
            "weekday": number % 7,
            "distance": 500 + number,
            "overdue": number % 5 / 5,
        }
        label = {"id": f"f{number}", "label": number % 4 == 0}
        for topic, value in (("events", body), ("labels", label)):
            records.append((topic, partition, NewRecord(json.dumps(value).encode())))
    with open_service_log(configuration, create=False) as log:
        log.append(records)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

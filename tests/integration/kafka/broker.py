"""A real Apache Kafka for tests, without containers: one node, on loopback, its jars in .cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

LIBS = Path(__file__).resolve().parents[3] / ".cache" / "kafka" / "libs"
START_S = 60.0

_LOG4J = """
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {folder}/broker.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c %m%n
"""


@contextmanager
def shared_kafka(folder: Path) -> Iterator[str]:
    """HOST:PORT of the broker in KAFKA_BOOTSTRAP_SERVERS, else of one for all the test processes
    that share `folder`: the first to come starts it, the last to go ends it, and none waits for
    another. Skips the test loudly on a machine without Java or the jars.
    """
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    home, note = folder / "kafka", folder / "kafka.started"
    with (folder / "kafka.users").open("w") as users, (folder / "kafka.door").open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        if not note.exists():
            note.write_text(_start_for_all(home))
        bootstrap, pid = note.read_text().split()
        fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield bootstrap
        finally:
            fcntl.flock(door, fcntl.LOCK_EX)
            # Held by nobody else: this is the last one.
            with suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.kill(int(pid), signal.SIGKILL)
                note.unlink()
                shutil.rmtree(home, ignore_errors=True)


def _start_for_all(home: Path) -> str:
    """Address and process of a broker that no single process owns."""
    require_tools()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    broker = Broker(home)
    broker.start()
    return f"{broker.bootstrap} {broker.give_away()}"


@contextmanager
def broker_of_its_own() -> Iterator[Broker]:
    """A broker that is started for the while, and that a test may kill."""
    require_tools()
    with tempfile.TemporaryDirectory(prefix="driftline-kafka-") as folder:
        broker = Broker(Path(folder))
        try:
            broker.start()
            yield broker
        finally:
            # Nothing of it is kept, so nothing need be flushed.
            broker.kill()


class Broker:
    """One node that is broker and controller; what it has written survives its death.

    `properties` are set beside ours, or in their place; one that begins with `+` is added to ours.
    `format_options` are for the tool that makes its storage.
    """

    def __init__(
        self,
        folder: Path,
        properties: Mapping[str, str] | None = None,
        format_options: tuple[str, ...] = (),
    ) -> None:
        self._folder = folder
        self._port, controller_port = free_port(), free_port()
        self._properties = folder / "server.properties"
        ours = dict(
            line.split("=", 1) for line in _properties(folder, self._port, controller_port).split()
        )
        for name, value in (properties or {}).items():
            ours[name] = ours[name] + value[1:] if value.startswith("+") else value
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in ours.items()))
        (folder / "log4j2.properties").write_text(_LOG4J.format(folder=folder))
        self._process: subprocess.Popen[bytes] | None = None
        storage = ("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAQACAAAAAAAAAAA")
        subprocess.run(
            (*self._java(), *storage, "-c", str(self._properties), *format_options),
            check=True,
            stdout=subprocess.DEVNULL,
        )

    @property
    def bootstrap(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it, for the first time or again; returns when it listens."""
        output = self._folder / "output"
        with output.open("ab") as out:
            self._process = subprocess.Popen(
                (*self._java(), "kafka.Kafka", str(self._properties)),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.wait_for(self._port)

    def wait_for(self, port: int) -> None:
        """Returns when it listens on a port."""
        assert self._process is not None, "it was started"
        _wait_for(self._process, port, self._folder / "output")

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def give_away(self) -> int:
        """Its process's id, for whoever is to end it; this object has no part in it any more."""
        assert self._process is not None
        process, self._process = self._process, None
        # Or it would warn, when it is dropped, that the process still runs.
        process.returncode = 0
        return process.pid

    def stop(self) -> None:
        """Makes it silent: it takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Ends the silence."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _java(self) -> tuple[str, ...]:
        return (
            "java",
            "-Xmx512m",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
            "-cp",
            f"{LIBS}/*",
        )


def require_tools() -> None:
    """Skips the test loudly on a machine without Java or the jars."""
    if shutil.which("java") is None:
        pytest.skip("NO KAFKA TESTS: this machine has no java")
    if not any(LIBS.glob("kafka_*.jar")):
        pytest.skip("NO KAFKA TESTS: no jars in .cache/kafka/libs; `make test-tools` fetches them")


# A node that was killed takes itself for leader until its old session is over, and then has none
# for a moment. What it aborts meanwhile for its time-out gets no markers (4.3.0: "likely deleted
# already and hence can be skipped") and hangs for ever; so the session is shorter than that
# interval, as it is by default: 9 s and 10 s.
def _properties(folder: Path, port: int, controller_port: int) -> str:
    return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/logs
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=5000
log.segment.bytes=16777216
log.index.size.max.bytes=65536
"""


def _wait_for(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, output.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"no Kafka within {START_S} s: {output.read_text()}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def two_free_ports() -> int:
    """The lower of two ports, one after the other, on which nobody listens."""
    while True:
        with socket.socket() as lower, socket.socket() as upper:
            lower.bind(("127.0.0.1", 0))
            port: int = lower.getsockname()[1]
            try:
                upper.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port

"""TLS and passwords, on a real broker that lets nobody else in."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from consumers.errors import LogUnavailableError
from consumers.kafka_settings import KafkaSettings
from consumers.transport import Log
from consumers.transports import open_log, open_transport
from consumers.transports.kafka import client
from tests.consumers.transports.worlds import Worker, expect, record, step
from tests.integration.kafka.broker import Broker, free_port, require_tools

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka-security")]

USER, PASSWORD = "driftline", "correct-horse"
STORE_PASSWORD = "only-for-this-folder"


class Secured(NamedTuple):
    """A broker's address behind TLS and a password, and the certificate that it shows."""

    bootstrap: str
    certificate: Path
    passwords: Path

    def settings(self, **fields: Any) -> KafkaSettings:
        """Of a client that is let in, but for `fields`."""
        return KafkaSettings(
            **{
                "security_protocol": "SASL_SSL",
                "ssl_cafile": self.certificate,
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_username": USER,
                "sasl_password_file": self.passwords,
                **fields,
            }
        )

    def log(self, service: str, **fields: Any) -> Log:
        """A service's log, as that client opens it."""
        return open_log(f"kafka://{self.bootstrap}", service, kafka=self.settings(**fields))


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    """A broker with a certificate of its own for 127.0.0.1 and one user, for PLAIN and SCRAM."""
    require_tools()
    with tempfile.TemporaryDirectory(prefix="driftline-kafka-") as name:
        folder = Path(name)
        certificate, passwords = folder / "broker.pem", folder / "password"
        passwords.write_text(f"{PASSWORD}\n")
        _make_certificate(folder, certificate)
        port = free_port()
        broker = Broker(folder, _secured(folder, port), ("--add-scram", _SCRAM))
        try:
            broker.start()
            broker.wait_for(port)
            yield Secured(f"127.0.0.1:{port}", certificate, passwords)
        finally:
            broker.kill()


_SCRAM = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"


def _make_certificate(folder: Path, certificate: Path) -> None:
    """The broker's key store, and its certificate for clients to trust."""
    store = ("-keystore", str(folder / "broker.p12"), "-storepass", STORE_PASSWORD)
    made = ("-genkeypair", "-alias", "broker", "-keyalg", "EC", "-dname", "CN=127.0.0.1")
    names = ("-ext", "SAN=IP:127.0.0.1", "-validity", "2")
    for arguments in ((*made, *names), ("-exportcert", "-rfc", "-alias", "broker")):
        file = ("-file", str(certificate)) if arguments[0] == "-exportcert" else ()
        subprocess.run(
            ("keytool", *arguments, *store, *file), check=True, capture_output=True, timeout=60
        )


def _secured(folder: Path, port: int) -> dict[str, str]:
    """A second listener for clients; the plain one is the broker's own."""
    module = "org.apache.kafka.common.security"
    return {
        "listeners": f"+,SASL_SSL://127.0.0.1:{port}",
        "advertised.listeners": f"+,SASL_SSL://127.0.0.1:{port}",
        "listener.security.protocol.map": "+,SASL_SSL:SASL_SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": (
            f'{module}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        ),
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            f"{module}.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.location": str(folder / "broker.p12"),
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.password": STORE_PASSWORD,
        "ssl.key.password": STORE_PASSWORD,
    }


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not let in tries again and again for eight seconds otherwise."""
    monkeypatch.setitem(client._CONNECTION, "bootstrap_timeout_ms", 4_000)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_worker_with_the_password_works_and_others_read(secured: Secured, mechanism: str):
    service = f"payments-{mechanism.lower()}"
    settings = secured.settings(sasl_mechanism=mechanism)
    log = secured.log(service, sasl_mechanism=mechanism)
    transport = None
    try:
        log.create_topics(1)
        log.append([("events", 0, record("e1"))])
        transport = open_transport(f"kafka://{secured.bootstrap}", service, kafka=settings)
        worker = Worker(transport).start(0)
        worker.poll_until(lambda: bool(worker.records.get((0, "events"))))
        transport.commit([step(0, [("journal", record("done"))], "1", events=1)])
        expect(log, "journal", 0, ["done"])
    finally:
        log.close()
        if transport is not None:
            transport.close()


@pytest.mark.parametrize(
    ("wrong", "said", "hint"),
    [
        ({"sasl_username": "mallory"}, "does not let this client in", "sasl_username"),
        ({"sasl_mechanism": "SCRAM-SHA-256"}, "does not let this client in", "sasl_mechanism"),
        ({"ssl_cafile": None}, "certificate verify failed", "ssl_cafile"),
        (
            {
                "security_protocol": "PLAINTEXT",
                "ssl_cafile": None,
                "sasl_mechanism": None,
                "sasl_username": None,
                "sasl_password_file": None,
            },
            "",
            "kafka",
        ),
    ],
    ids=["user", "mechanism", "unknown certificate", "no TLS"],
)
def test_who_is_not_let_in_is_told_why(
    secured: Secured, wrong: dict[str, Any], said: str, hint: str
):
    log = secured.log("payments", **wrong)
    try:
        with pytest.raises(LogUnavailableError) as caught:
            log.partitions()
    finally:
        log.close()
    assert said in str(caught.value)
    assert hint in str(caught.value.hint)
    assert PASSWORD not in f"{caught.value} {caught.value.hint}"


def test_a_wrong_password_is_said_and_never_shown(secured: Secured, tmp_path: Path):
    wrong = tmp_path / "password"
    wrong.write_text("battery-staple\n")
    log = secured.log("payments", sasl_password_file=wrong)
    try:
        with pytest.raises(LogUnavailableError, match="does not let this client in") as caught:
            log.partitions()
    finally:
        log.close()
    assert "password" in str(caught.value.hint)
    assert "battery-staple" not in f"{caught.value} {caught.value.hint}"

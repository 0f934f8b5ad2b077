"""A real S3-compatible server (versitygw over a folder) for the tests, on a loopback port.

`make test-tools` builds the binary where Go exists.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store
from pydantic import SecretStr

from learners.snapshots import S3Settings, SnapshotsSettings

BINARY = Path(__file__).parents[3] / ".cache" / "bin" / "versitygw"
BUCKET = "snapshots"


class S3Server(NamedTuple):
    """A running server with one bucket; `folder` is where it keeps the buckets."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    folder: Path

    def settings(self, prefix: str = "", **changes: object) -> SnapshotsSettings:
        """Settings that reach it; `changes` go to the s3 part."""
        given = {
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "allow_http": True,
            "access_key_id": SecretStr(self.access_key_id),
            "secret_access_key": SecretStr(self.secret_access_key),
        }
        return SnapshotsSettings.model_validate(
            {
                "url": f"s3://{BUCKET}/{prefix}",
                "timeout": "10s",
                "s3": S3Settings.model_validate({**given, **changes}),
            }
        )


def find_binary() -> Path | None:
    """The server's binary, if this machine has it."""
    if BINARY.exists():
        return BINARY
    on_path = shutil.which("versitygw")
    return Path(on_path) if on_path else None


@contextmanager
def running(binary: Path, folder: Path) -> Iterator[S3Server]:
    """The server for as long as the block lasts, answering."""
    (folder / BUCKET).mkdir(parents=True)
    port = _free_port()
    server = S3Server(f"http://127.0.0.1:{port}", "test-access", "test-secret-key", folder)
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary, "--port", f"127.0.0.1:{port}", "posix", folder],
            env={
                **os.environ,
                "ROOT_ACCESS_KEY": server.access_key_id,
                "ROOT_SECRET_KEY": server.secret_access_key,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_it_answers(server, process, log)
        yield server
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    client = S3Store(
        BUCKET,
        config={
            "endpoint": server.endpoint,
            "region": "us-east-1",
            "access_key_id": server.access_key_id,
            "secret_access_key": server.secret_access_key,
        },
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            obstore.list(client).collect()
            return
        except BaseError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"versitygw does not answer: {log.read_text()}") from error
            # A refused connection answers at once; this keeps the poll from spinning.
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

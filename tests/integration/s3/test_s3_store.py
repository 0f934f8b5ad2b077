"""Snapshots on a real S3-compatible server."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from learners.errors import StoreError
from learners.snapshots import SnapshotsSettings, SnapshotStore, open_store
from tests.integration.s3.server import BUCKET, S3Server
from tests.learners.snapshots.store_contract import StoreContract

pytestmark = pytest.mark.s3

_prefixes = itertools.count()


@pytest.fixture
def settings(s3_server: S3Server) -> SnapshotsSettings:
    # One bucket, a prefix for each test.
    return s3_server.settings(f"team/{next(_prefixes)}")


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, settings: SnapshotsSettings) -> SnapshotStore:
        return open_store(settings)


def test_objects_lie_under_the_prefix(s3_server: S3Server, settings: SnapshotsSettings) -> None:
    open_store(settings).put("j/0/a", b"one")

    prefix = settings.url.removeprefix("s3://")
    assert Path(s3_server.folder, prefix, "j/0/a").read_bytes() == b"one"


def aws_variables(server: S3Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
    }


def test_the_standard_variables_are_enough(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws_variables(s3_server).items():
        monkeypatch.setenv(name, value)

    store = open_store(SnapshotsSettings(url=f"s3://{BUCKET}/env/{next(_prefixes)}"))

    assert store.put("j/0/a", b"one")
    assert store.get("j/0/a") == b"one"


def test_processes_that_put_at_once_create_one_object(
    s3_server: S3Server, settings: SnapshotsSettings
) -> None:
    script = """
import sys
from learners.snapshots import SnapshotsSettings, open_store
store = open_store(SnapshotsSettings(url=sys.argv[1]))
store.head("j/0/a")
print("ready", flush=True)
sys.stdin.readline()
print(store.put("j/0/a", b"same" * 100_000))
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, settings.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **aws_variables(s3_server), "PYTHONPATH": os.getcwd()},
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate()[0].strip() for process in processes]
    assert sorted(answers) == ["False", "True"]


def attempts(store: SnapshotStore) -> list[StoreError]:
    """What each method says when it fails."""
    errors = []
    for attempt in (
        lambda: store.put("j/0/a", b"one"),
        lambda: store.get("j/0/a"),
        store.list,
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        errors.append(caught.value)
    return errors


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"secret_access_key": SecretStr("wrong-secret")}, "credentials are refused", "AWS_ACCESS"),
        ({"access_key_id": SecretStr("nobody")}, "credentials are refused", "AWS_ACCESS"),
        ({"allow_http": False}, "plain http, which is not allowed", "allow_http"),
    ],
)
def test_what_is_refused_says_why_and_tells_no_secret(
    s3_server: S3Server, changes: dict[str, object], message: str, hint: str
) -> None:
    for error in attempts(open_store(s3_server.settings("refused", **changes))):
        assert message in error.message
        assert hint in (error.hint or "")
        assert "\n" not in error.message
        shown = f"{error!r} {error.hint} {error.__cause__}"
        for secret in ("wrong-secret", "test-secret-key", "nobody", "test-access"):
            assert secret not in shown


def test_a_bucket_that_is_not_there_is_told(s3_server: S3Server) -> None:
    settings = s3_server.settings().model_copy(update={"url": "s3://no-such-bucket/p"})
    for error in attempts(open_store(settings)):
        assert "there is no such bucket" in error.message
        assert "snapshots.url" in (error.hint or "")


def test_an_endpoint_that_nobody_listens_at_fails_soon(s3_server: S3Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = closed.getsockname()[1]
        start = time.monotonic()
        settings = s3_server.settings(endpoint=f"http://127.0.0.1:{port}")
        for error in attempts(open_store(settings)):
            assert "cannot be reached" in error.message
            assert "check the endpoint" in (error.hint or "")
    assert time.monotonic() - start < 15  # 3 attempts of 4 requests each


def test_a_server_that_never_answers_is_given_up(s3_server: S3Server) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = s3_server.settings(endpoint=endpoint)
        settings = settings.model_copy(update={"timeout": timedelta(seconds=1)})
        start = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached"):
            open_store(settings).get("j/0/a")
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("endpoint", ["not a url", "127.0.0.1:9000"])
def test_an_endpoint_that_is_no_url_is_refused(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StoreError, match="must look like https://HOST"):
        open_store(SnapshotsSettings(url="s3://bucket"))

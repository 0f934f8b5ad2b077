from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from learners.errors import KeyMissingError
from learners.snapshots import SigningKey, SnapshotsSettings, open_keyring, open_store
from learners.snapshots.signing import parse_keys

TEXT = "\n".join(("# newest first", "a1" * 32 + " # 2026", "", "b2" * 32))


def local(tmp_path: Path) -> SnapshotsSettings:
    return SnapshotsSettings(url=f"file:{tmp_path}/var/snapshots")


def test_the_first_key_of_a_file_signs_and_all_verify() -> None:
    keyring = parse_keys(TEXT, "the file")

    assert [key.secret for key in keyring.keys] == [b"\xa1" * 32, b"\xb2" * 32]
    assert keyring.signing is keyring.keys[0]
    assert keyring.get(keyring.keys[1].id) is keyring.keys[1]


@pytest.mark.parametrize("text", ["", "# nothing\n", "a1" * 31, "secret!", "a1" * 32 + " xyz"])
def test_a_text_that_holds_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(KeyMissingError) as caught:
        parse_keys(text, "the file")
    assert "the file" in caught.value.message
    assert caught.value.hint == "make one with: openssl rand -hex 32"
    for word in text.replace("#", "").split():
        assert word not in caught.value.message


def test_a_secret_is_in_no_repr() -> None:
    key = SigningKey(b"\xa1" * 32)
    settings = SnapshotsSettings(key=SecretStr("a1" * 32))

    for text in (repr(key), repr(open_keyring(settings)), repr(settings)):
        assert "a1a1" not in text
        assert "\\xa1" not in text


def test_a_local_store_makes_its_key_once_beside_the_folder(tmp_path: Path) -> None:
    settings = local(tmp_path)

    keyring = open_keyring(settings)

    path = tmp_path / "var" / "snapshots.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_keyring(settings).signing == keyring.signing
    assert [entry.name for entry in path.parent.iterdir()] == ["snapshots.key"]


def test_looking_makes_no_key(tmp_path: Path) -> None:
    with pytest.raises(KeyMissingError, match="there is no snapshot key"):
        open_keyring(local(tmp_path), create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_lost_key_is_not_replaced_while_snapshots_need_it(tmp_path: Path) -> None:
    settings = local(tmp_path)
    open_keyring(settings)
    open_store(settings).put("j/0/1", b"a snapshot")
    (tmp_path / "var" / "snapshots.key").unlink()

    with pytest.raises(KeyMissingError, match=r"snapshots\.key; that file is gone") as caught:
        open_keyring(settings)
    assert "backup" in (caught.value.hint or "")


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket", "az://container"])
def test_a_remote_store_wants_a_key_given(url: str) -> None:
    with pytest.raises(KeyMissingError, match="need a key that every worker has") as caught:
        open_keyring(SnapshotsSettings(url=url))
    assert "DRIFTLINE_SNAPSHOTS__KEY" in (caught.value.hint or "")


def test_a_key_comes_from_the_settings_or_a_named_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(TEXT)

    from_file = open_keyring(SnapshotsSettings(url="s3://bucket", key_file=path))
    from_text = open_keyring(SnapshotsSettings(url="s3://bucket", key=SecretStr(TEXT)))

    assert from_file == from_text


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b""])
def test_a_named_file_without_a_key_is_never_made(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(KeyMissingError, match=str(path)):
        open_keyring(SnapshotsSettings(key_file=path))
    assert path.exists() == (content is not None)


def test_key_and_key_file_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="only one of key and key_file"):
        SnapshotsSettings(key=SecretStr("a1" * 32), key_file=tmp_path)


def test_processes_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    # One cold start; the children wait on a pipe and are let go together.
    script = """
import os, sys
from learners.snapshots import SnapshotsSettings, open_keyring
settings = SnapshotsSettings(url=sys.argv[1])
gate, go = os.pipe()
answers, answer = os.pipe()
for _ in range(8):
    if os.fork() == 0:
        os.close(go)
        os.read(gate, 1)
        os.write(answer, open_keyring(settings).signing.id.encode() + b"\\n")
        os._exit(0)
os.close(go)
for _ in range(8):
    assert os.wait()[1] == 0
print(os.read(answers, 1000).decode())
"""
    url = f"file:{tmp_path}/snapshots"
    done = subprocess.run(
        [sys.executable, "-c", script, url],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    ids = done.stdout.split()
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["snapshots.key"]

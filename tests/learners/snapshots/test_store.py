from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from learners.errors import SnapshotCorruptError, StoreError
from learners.snapshots import (
    SnapshotArchive,
    SnapshotRef,
    SnapshotsSettings,
    SnapshotStore,
    open_store,
    parse_key,
)
from learners.snapshots.local import LocalStore
from tests.learners.snapshots.samples import KEYRING, encoded
from tests.learners.snapshots.store_contract import StoreContract

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.getcwd()}


class TestLocalStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SnapshotStore:
        return open_store(SnapshotsSettings(url=f"file:{tmp_path}/snapshots"))


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> SnapshotStore:
        return open_store(SnapshotsSettings(url="memory:"))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_only_the_owner_reads_a_local_snapshot(tmp_path: Path) -> None:
    LocalStore(tmp_path / "s").put("j/0/a", b"data")

    assert stat.S_IMODE((tmp_path / "s/j/0/a").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700


def test_looking_into_a_local_store_makes_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "s")
    assert store.list() == []
    assert store.get("j/0/a") is None
    assert list(tmp_path.iterdir()) == []


def test_a_process_killed_at_any_point_leaves_all_or_nothing(tmp_path: Path) -> None:
    # One cold start; each child is killed by itself right after its step.
    script = """
import os, signal, sys
from pathlib import Path
from learners.snapshots.local import LocalStore
for step in ("temp", "written", "synced", "linked", "durable"):
    child = os.fork()
    if child == 0:
        def reached(at):
            if at == step:
                os.kill(os.getpid(), signal.SIGKILL)
        LocalStore(Path(sys.argv[1], step), reached=reached).put("j/0/a", b"whole" * 1000)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGKILL
"""
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True, env=ENVIRONMENT)

    for step in ("temp", "written", "synced", "linked", "durable"):
        store = LocalStore(tmp_path / step)
        whole = step in {"linked", "durable"}
        assert len(files(tmp_path / step)) == 1 + whole  # a leftover
        assert [entry.key for entry in store.list()] == (["j/0/a"] if whole else [])
        assert store.get("j/0/a") == (b"whole" * 1000 if whole else None)

        # The next put creates it, or finds it, and clears the leftover.
        assert store.put("j/0/a", b"whole" * 1000) == (not whole)
        assert files(tmp_path / step) == ["j/0/a"]


def test_a_writer_at_work_is_not_swept_away(tmp_path: Path) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    steps: list[str] = []

    def reached(step: str) -> None:
        steps.append(step)
        if step == "synced":
            at_work.set()
            go_on.wait()

    slow = LocalStore(tmp_path, reached=reached)
    writer = threading.Thread(target=slow.put, args=("j/0/a", b"slow"))
    writer.start()
    at_work.wait()
    LocalStore(tmp_path).put("j/0/b", b"fast")
    go_on.set()
    writer.join()

    assert files(tmp_path) == ["j/0/a", "j/0/b"]
    assert steps == ["temp", "written", "synced", "linked", "durable"]  # and not begun again


def test_processes_that_put_at_once_create_one_object(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from learners.snapshots.local import LocalStore
gate, go = os.pipe()
answers, answer = os.pipe()
for _ in range(8):
    if os.fork() == 0:
        os.close(go)
        os.read(gate, 1)
        created = LocalStore(Path(sys.argv[1])).put("j/0/a", b"same" * 100_000)
        os.write(answer, b"created\\n" if created else b"there\\n")
        os._exit(0)
os.close(go)
for _ in range(8):
    assert os.wait()[1] == 0
print(os.read(answers, 1000).decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        check=True,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert sorted(done.stdout.split()) == ["created"] + ["there"] * 7
    assert files(tmp_path) == ["j/0/a"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    # A limit on the size of files stands for the end of the disk; it is per process.
    script = """
import resource, sys
from pathlib import Path
from learners.errors import StoreError
from learners.snapshots.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
store.put("j/0/a", b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    store.put("j/0/b", bytes(1_000_000))
except StoreError as error:
    print(error.message, "|", error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        check=True,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(f"cannot write j/0/b in file:{tmp_path}: File too large | make")
    assert files(tmp_path) == ["j/0/a"]


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("not a folder")
    store = LocalStore(tmp_path / "s")

    for attempt in (lambda: store.put("j/0/a", b""), store.list):
        with pytest.raises(StoreError, match="file:") as caught:
            attempt()
        assert "must name a folder" in (caught.value.hint or "")


def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    # Root may write everywhere, so it becomes nobody first.
    script = """
import os, sys
from pathlib import Path
from learners.errors import StoreError
from learners.snapshots.local import LocalStore
store = LocalStore(Path(sys.argv[1], "s"))
if os.geteuid() == 0:
    os.setuid(65534)
for attempt in (lambda: store.put("j/0/a", b""), lambda: store.get("j/0/a"), lambda: store.list()):
    try:
        attempt()
    except StoreError as error:
        print(error.message.partition(": ")[2], "|", error.hint)
"""
    (tmp_path / "s").mkdir()
    (tmp_path / "s").chmod(0o000)
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        check=True,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert "Permission denied | let the user that driftline runs as" in line


@pytest.mark.parametrize(
    "url",
    [
        "file:",
        "file:///",
        "file://host/path",
        "ftp://host/path",
        "var/snapshots",
        "s3://",
        "s3:///prefix",
        "http://host/bucket",
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(SnapshotsSettings(url=url))
    assert caught.value.hint


def test_secrets_in_a_url_are_refused_and_not_repeated() -> None:
    for url in ("s3://id:topsecret@bucket/p", "az://box/p?sig=topsecret"):
        with pytest.raises(StoreError) as caught:
            open_store(SnapshotsSettings(url=url))
        assert "topsecret" not in caught.value.message


def test_local_urls_may_be_relative_or_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("file:s", f"file:{tmp_path}/s", f"file://{tmp_path}/s"):
        open_store(SnapshotsSettings(url=url)).put("j/0/a", b"one")
    assert files(tmp_path) == ["s/j/0/a"]


def test_an_object_under_another_name_is_not_believed(tmp_path: Path) -> None:
    archive = SnapshotArchive(LocalStore(tmp_path), KEYRING)
    old, new = encoded(sequence=1), encoded(sequence=2)
    archive.write(old)
    archive.write(new)
    (tmp_path / new.ref.key).write_bytes(old.data)

    with pytest.raises(SnapshotCorruptError, match="must hold that snapshot") as caught:
        archive.read(new.ref)
    assert caught.value.hint


def test_a_damaged_object_is_neither_replaced_nor_taken_for_the_same(tmp_path: Path) -> None:
    archive = SnapshotArchive(LocalStore(tmp_path), KEYRING)
    snapshot = encoded()
    archive.write(snapshot)
    (tmp_path / snapshot.ref.key).write_bytes(snapshot.data[:-1])

    with pytest.raises(StoreError, match="with other content"):
        archive.write(snapshot)


def test_keys_name_snapshots_and_sort_by_sequence() -> None:
    refs = [SnapshotRef("j-1", 3, sequence, "ab" * 32) for sequence in (9, 10, 123_456_789)]

    assert sorted(ref.key for ref in refs) == [ref.key for ref in refs]
    assert [parse_key(ref.key) for ref in refs] == refs
    assert refs[0].key == "j-1/3/000000000009-" + "ab" * 32
    assert refs[0].id == "9-abababababab"
    for foreign in ("j-1/3/9-" + "ab" * 32, "notes.txt", refs[0].key + "x", "../" + refs[0].key):
        assert parse_key(foreign) is None

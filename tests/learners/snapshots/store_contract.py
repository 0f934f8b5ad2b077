"""What every store does; run by the tests of the local, the memory and the S3 store alike."""

from __future__ import annotations

import threading

import pytest

from learners.errors import StoreError
from learners.snapshots import SnapshotArchive, SnapshotStore
from tests.learners.snapshots.samples import KEY, KEYRING, OTHER_KEY, SECTIONS, encoded


class StoreContract:
    @pytest.fixture
    def store(self) -> SnapshotStore:
        raise NotImplementedError

    def test_an_object_comes_back_as_put(self, store: SnapshotStore) -> None:
        data = bytes(range(256)) * 30_000  # above the size of a multipart upload's part

        assert store.put("j/0/a", data)

        assert store.get("j/0/a") == data
        assert store.head("j/0/a") == len(data)
        (listed,) = store.list("j/0")
        assert (listed.key, listed.size_bytes) == ("j/0/a", len(data))
        assert listed.modified_ms > 1_600_000_000_000

    def test_what_is_not_there_is_none(self, store: SnapshotStore) -> None:
        assert store.get("j/0/a") is None
        assert store.head("j/0/a") is None
        assert store.list() == []
        assert store.list("j/0") == []
        store.delete("j/0/a")

    def test_putting_the_same_again_succeeds(self, store: SnapshotStore) -> None:
        assert store.put("j/0/a", b"one")
        assert not store.put("j/0/a", b"one")

    def test_an_object_is_never_replaced(self, store: SnapshotStore) -> None:
        store.put("j/0/a", b"one")

        with pytest.raises(StoreError, match=r"j/0/a in .* is there with other content") as caught:
            store.put("j/0/a", b"two")

        assert caught.value.hint
        assert store.get("j/0/a") == b"one"

    def test_other_bytes_of_the_same_content_succeed(self, store: SnapshotStore) -> None:
        store.put("j/0/a", b"one")

        assert not store.put("j/0/a", b"ONE", same=lambda found: found == b"one")
        assert store.get("j/0/a") == b"one"

    def test_a_list_is_sorted_and_of_whole_segments(self, store: SnapshotStore) -> None:
        for key in ("j/1/b", "j/1/a", "j/10/c", "j/2/d", "jj/1/e"):
            store.put(key, b"x")

        assert [entry.key for entry in store.list()] == sorted(
            ["j/1/a", "j/1/b", "j/10/c", "j/2/d", "jj/1/e"]
        )
        assert [entry.key for entry in store.list("j/1")] == ["j/1/a", "j/1/b"]

    def test_a_deleted_object_is_gone_and_can_be_deleted_again(self, store: SnapshotStore) -> None:
        store.put("j/0/a", b"one")
        store.delete("j/0/a")
        store.delete("j/0/a")
        assert store.get("j/0/a") is None
        assert store.put("j/0/a", b"two")

    def test_of_several_that_put_at_once_one_creates(self, store: SnapshotStore) -> None:
        gate = threading.Barrier(8)
        created: list[bool] = []
        refused: list[StoreError] = []

        def put(number: int) -> None:
            data = b"same" if number < 4 else b"other %d" % number
            gate.wait()
            try:
                created.append(store.put("j/0/a", data))
            except StoreError as error:
                refused.append(error)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert created.count(True) == 1
        # Either one of the four equal ones won, or one of the others.
        assert (created.count(False), len(refused)) in {(3, 4), (0, 7)}

    def test_an_archive_gives_back_what_it_wrote(self, store: SnapshotStore) -> None:
        archive = SnapshotArchive(store, KEYRING)
        newer, older = encoded(sequence=1000), encoded(sequence=999)

        assert archive.write(newer)
        assert archive.write(older)
        store.put("j-4f1c/0/notes.txt", b"someone's notes")

        assert [entry.ref for entry in archive.stored("j-4f1c", 0)] == [older.ref, newer.ref]
        snapshot = archive.read(newer.ref)
        assert snapshot is not None
        assert snapshot.sections == SECTIONS
        archive.delete(newer.ref)
        assert archive.read(newer.ref) is None

    def test_content_taken_again_under_a_new_key_is_there_already(
        self, store: SnapshotStore
    ) -> None:
        both = SnapshotArchive(store, type(KEYRING)((OTHER_KEY, KEY)))
        both.write(encoded(key=KEY, reason="recovery"))
        assert not both.write(encoded(key=OTHER_KEY, reason="sigterm"))

"""Snapshots by name: a store and the keys of what is in it, together."""

from __future__ import annotations

from typing import NamedTuple

from learners.errors import KeyMissingError, SnapshotCorruptError, SnapshotError
from learners.snapshots.container import EncodedSnapshot, Snapshot, decode_snapshot
from learners.snapshots.reference import SnapshotRef, folder, parse_key
from learners.snapshots.signing import Keyring
from learners.snapshots.store import SnapshotStore


class StoredSnapshot(NamedTuple):
    """One snapshot as listed, not verified; `modified_ms` is the store's clock."""

    ref: SnapshotRef
    size_bytes: int
    modified_ms: int


class SnapshotArchive:
    """Puts and gets verified snapshots; what a shard's checkpoint and restore work with.

    Every method may raise StoreError.
    """

    def __init__(self, store: SnapshotStore, keyring: Keyring) -> None:
        self.store = store
        self.keyring = keyring

    def write(self, snapshot: EncodedSnapshot) -> bool:
        """Whether it was written; False if the same content was there, whoever signed it.

        On return it is durable.
        """
        wanted = snapshot.ref

        def same(found: bytes) -> bool:
            try:
                return decode_snapshot(found, self.keyring).header.ref == wanted
            except KeyMissingError:
                raise
            except SnapshotError:
                return False

        return self.store.put(wanted.key, snapshot.data, same=same)

    def read(self, ref: SnapshotRef) -> Snapshot | None:
        """The snapshot of that name, verified; None if there is none.

        Raises
        ------
        SnapshotError
            As `decode_snapshot`; SnapshotCorruptError also if the object under the name is another
            sound snapshot: whoever can write to the store could put an old one there.
        """
        data = self.store.get(ref.key)
        if data is None:
            return None
        snapshot = decode_snapshot(data, self.keyring)
        if (found := snapshot.header.ref) != ref:
            raise SnapshotCorruptError(
                f"{ref.key} must hold that snapshot; it holds {found.key}",
                hint="objects were moved in the store: put them back under their own keys",
            )
        return snapshot

    def stored(self, journal_id: str, shard: int) -> list[StoredSnapshot]:
        """What is stored for a shard, oldest sequence first; other files there are passed over."""
        listed = []
        for entry in self.store.list(folder(journal_id, shard)):
            ref = parse_key(entry.key)
            if ref is not None:
                listed.append(StoredSnapshot(ref, entry.size_bytes, entry.modified_ms))
        return listed

    def delete(self, ref: SnapshotRef) -> None:
        """Remove it; nothing happens if it is gone. The caller has journalled it as retired."""
        self.store.delete(ref.key)

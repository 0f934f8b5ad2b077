"""The name of a snapshot: what it is called in the store, in the journal and by people."""

from __future__ import annotations

import re
from typing import NamedTuple

_KEY = re.compile(r"([A-Za-z0-9_-]+)/(0|[1-9][0-9]*)/([0-9]{12})-([0-9a-f]{64})")


class SnapshotRef(NamedTuple):
    """One snapshot by journal, shard, journal sequence and the SHA-256 of its content.

    `hash` is the content hash of the header (`SnapshotHeader.content_hash`), 64 hex digits.
    """

    journal_id: str
    shard: int
    sequence: int
    hash: str

    @property
    def id(self) -> str:
        """What people and messages call it: `<sequence>-<first 12 digits of the hash>`."""
        return f"{self.sequence}-{self.hash[:12]}"

    @property
    def key(self) -> str:
        """Its object key; the sequence is padded to 12 digits so that keys sort by sequence."""
        assert 0 <= self.sequence < 10**12
        return f"{folder(self.journal_id, self.shard)}/{self.sequence:012d}-{self.hash}"


def parse_key(key: str) -> SnapshotRef | None:
    """The snapshot that an object key names, or None if the object is none of ours."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    journal_id, shard, sequence, digest = found.groups()
    return SnapshotRef(journal_id, int(shard), int(sequence), digest)


def folder(journal_id: str, shard: int) -> str:
    """The part of the key that the snapshots of one shard share, without a last slash."""
    return f"{journal_id}/{shard}"

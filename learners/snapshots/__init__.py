"""Snapshots: immutable, signed copies of a shard's state, in a folder or an object store."""

from learners.snapshots.archive import SnapshotArchive, StoredSnapshot
from learners.snapshots.container import (
    EncodedSnapshot,
    Snapshot,
    decode_snapshot,
    encode_snapshot,
)
from learners.snapshots.header import Section, SnapshotHeader, state_digest
from learners.snapshots.keyfile import open_keyring
from learners.snapshots.opening import open_store
from learners.snapshots.pickling import dumps, loads
from learners.snapshots.probes import FailedProbe, Probe, failed_probes
from learners.snapshots.reference import SnapshotRef, parse_key
from learners.snapshots.retention import Published, orphans, superseded
from learners.snapshots.schedule import due
from learners.snapshots.settings import S3Settings, SnapshotsSettings
from learners.snapshots.signing import Keyring, SigningKey
from learners.snapshots.store import SnapshotStore, StoredObject

__all__ = [
    "EncodedSnapshot",
    "FailedProbe",
    "Keyring",
    "Probe",
    "Published",
    "S3Settings",
    "Section",
    "SigningKey",
    "Snapshot",
    "SnapshotArchive",
    "SnapshotHeader",
    "SnapshotRef",
    "SnapshotStore",
    "SnapshotsSettings",
    "StoredObject",
    "StoredSnapshot",
    "decode_snapshot",
    "due",
    "dumps",
    "encode_snapshot",
    "failed_probes",
    "loads",
    "open_keyring",
    "open_store",
    "orphans",
    "parse_key",
    "state_digest",
    "superseded",
]

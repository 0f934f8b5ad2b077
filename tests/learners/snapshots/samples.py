"""Small snapshots for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learners.snapshots import (
    EncodedSnapshot,
    Keyring,
    Probe,
    SigningKey,
    SnapshotHeader,
    encode_snapshot,
)

KEY = SigningKey(bytes(range(32)))
OTHER_KEY = SigningKey(bytes(range(1, 33)))
KEYRING = Keyring((KEY,))


def header(**changes: Any) -> SnapshotHeader:
    fields: dict[str, Any] = {
        "service": "flights",
        "journal_id": "j-4f1c",
        "shard": 0,
        "sequence": 41,
        "positions": {"events": 1200, "labels": 900, "commands": 0},
        "clock_ms": 1_357_016_400_000,
        "digest": "ab" * 32,
        "reason": "recovery",
        "configuration": {"task": "binary", "model": ["preprocessing.StandardScaler"]},
        "versions": {"python": "3.11.7", "river": "0.26.1", "driftline": "0.1.0"},
        "metrics": {"accuracy": 0.1 + 0.2, "auc": None},
        "probes": (Probe.take("champion", {"wind": 1.5, "aa": 2}, [True, 0.75]),),
        "created_ms": 1_795_000_000_000,
    }
    return SnapshotHeader(**{**fields, **changes})


SECTIONS = {"learners.pickle": b"\x80\x05N." * 40, "pending": b'{"format":1}', "empty": b""}


def encoded(
    sections: Mapping[str, bytes] = SECTIONS, key: SigningKey = KEY, **changes: Any
) -> EncodedSnapshot:
    return encode_snapshot(header(**changes), sections, key)

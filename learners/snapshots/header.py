"""What a snapshot says about itself: where in the log it belongs, and what it is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue, NonNegativeInt

from learners.snapshots.probes import Probe
from learners.snapshots.reference import SnapshotRef

FORMAT: Final = 1
PICKLED: Final = ".pickle"

# Why it was taken, when, how fast, by whom it was signed and how well it was compressed is not
# what it *is*.
_NOT_CONTENT: Final = {"reason", "parent", "created_ms", "us_per_record", "key_id", "sections"}


class Section(BaseModel):
    """One section's name, plain size and SHA-256, and its size in the object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size_bytes: NonNegativeInt
    sha256: str
    stored_bytes: NonNegativeInt


class SnapshotHeader(BaseModel):
    """The header of one snapshot; the last four fields are filled in by `encode_snapshot`.

    Attributes
    ----------
    sequence
        The journal sequence of the last step that is in the state.
    positions
        Input → next offset, as the journal has them at `sequence`.
    clock_ms
        The shard's clock (stream time); None if nothing has moved it yet.
    digest
        The running digest at `sequence`, in hexadecimal.
    reason
        Why it was taken: "recovery", "age", "events", "sigterm", …
    version
        The number of the version that it is the snapshot of; None: taken for recovery.
    parent
        The key of the snapshot that this state was recovered from, if any.
    versions
        Of python, river, driftline.
    maturity
        The share of events whose label was there, of those that `metrics` are of; None before any.
    us_per_record
        How long one record took of late, all in all, in microseconds; None if not measured.
    created_ms
        The worker's wall clock, for people; nothing is decided by it.
    state_digest
        `state_digest` of the plainly encoded sections.
    key_id
        The key it is signed with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    service: str
    journal_id: str
    shard: NonNegativeInt
    sequence: NonNegativeInt
    positions: dict[str, int]
    clock_ms: int | None
    digest: str
    reason: str
    parent: str | None = None
    version: int | None = None
    configuration: JsonValue = None
    versions: dict[str, str] = {}
    metrics: dict[str, JsonValue] = {}
    maturity: float | None = None
    probes: tuple[Probe, ...] = ()
    us_per_record: float | None = None
    created_ms: int | None = None
    state_digest: str = ""
    sections: tuple[Section, ...] = ()
    key_id: str = ""

    def content_hash(self) -> str:
        """SHA-256 of what the snapshot is, in hexadecimal; names the object in the store.

        It covers the header but for `_NOT_CONTENT`, and the plain bytes of every section,
        pickles included. So the same state taken again has the same hash if its pickles come out
        the same; they need not (pickle's memo knows which strings were one object), and then the
        two are two sound snapshots with two keys, of which the journal names one.
        """
        # Only what was written: a field that a later driftline adds renames no older snapshot.
        content = self.model_dump(mode="json", exclude=_NOT_CONTENT, exclude_unset=True)
        content["sections"] = [[part.name, part.size_bytes, part.sha256] for part in self.sections]
        return hashlib.sha256(encode_json(content, sort_keys=True)).hexdigest()

    @property
    def ref(self) -> SnapshotRef:
        """Its name; only of a header that `encode_snapshot` or `decode_snapshot` gave."""
        return SnapshotRef(self.journal_id, self.shard, self.sequence, self.content_hash())

    def to_json(self) -> bytes:
        """The header as stored: order kept, since the order of features can change a sum."""
        return encode_json(self.model_dump(mode="json"), sort_keys=False)


def state_digest(sections: Iterable[Section]) -> str:
    """SHA-256 over names and hashes of the plainly encoded sections, in their order.

    A section whose name ends in `.pickle` holds River objects and is left out: its bytes may
    differ between equal states.
    """
    digest = hashlib.sha256()
    for section in sections:
        if not section.name.endswith(PICKLED):
            digest.update(f"{section.name} {section.sha256}\n".encode())
    return digest.hexdigest()


def encode_json(value: object, *, sort_keys: bool) -> bytes:
    """Compact ASCII JSON, the same bytes for the same value.

    Raises
    ------
    ValueError
        For a number that is not finite: JSON has none, and null would not be the same again.
    """
    text = json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")

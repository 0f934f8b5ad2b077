"""Which snapshots nobody needs any more. Pure: names in, names out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from learners.snapshots.reference import SnapshotRef

KEPT_UNNUMBERED: Final = 2


class Published(NamedTuple):
    """A snapshot that the journal has published and not retired; version None: unnumbered."""

    ref: SnapshotRef
    version: int | None = None


def superseded(
    published: Sequence[Published], keep: int = KEPT_UNNUMBERED
) -> tuple[SnapshotRef, ...]:
    """The unnumbered snapshots to retire: all but the newest `keep`, oldest first.

    Two are kept, so that recovery has a second one when the newest is damaged. A numbered one is
    a version: it is never among them and does not count as one of the kept.

    Parameters
    ----------
    published
        Those of one shard, in the order of publication.
    keep
        At least 1.
    """
    assert keep >= 1
    unnumbered = sorted(
        (entry.ref for entry in published if entry.version is None), key=lambda ref: ref.sequence
    )
    return tuple(unnumbered[:-keep])


def orphans(
    stored: Collection[SnapshotRef], published: Collection[SnapshotRef]
) -> tuple[SnapshotRef, ...]:
    """The stored snapshots that will never be published, oldest first, of one shard.

    A shard's snapshots are published in order of sequence, so one below the newest published that
    is not itself published was written by a worker that died or was fenced. At or above it, one
    may be about to be published, and is let alone.
    """
    if not published:
        return ()
    newest = max(ref.sequence for ref in published)
    known = frozenset(published)
    return tuple(sorted(ref for ref in stored if ref.sequence < newest and ref not in known))

"""Which snapshots nobody needs any more. Pure: names in, names out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from learners.snapshots.reference import SnapshotRef
from learners.snapshots.settings import KeepSettings

KEPT_UNNUMBERED: Final = 2

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


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


def unused(published: Sequence[Published], versions: Collection[int]) -> tuple[SnapshotRef, ...]:
    """The numbered snapshots to retire, oldest first: those whose version is no longer among the
    versions, and that no recovery can need any more.

    Recovery that begins before a rollback needs the snapshot of the version that it made. It begins
    at the older of the two newest unnumbered ones, at the earliest; what is newer than that stays
    for now.
    """
    if all(known.version is None or known.version in versions for known in published):
        return ()
    unnumbered = sorted(known.ref.sequence for known in published if known.version is None)
    if len(unnumbered) < KEPT_UNNUMBERED:
        return ()
    begin = unnumbered[-KEPT_UNNUMBERED]
    gone = (
        known.ref
        for known in published
        if known.version is not None
        and known.version not in versions
        and known.ref.sequence < begin
    )
    return tuple(sorted(gone, key=lambda ref: ref.sequence))


def kept_versions(cut_ms: Mapping[int, int], keep: KeepSettings) -> frozenset[int]:
    """The numbers of the versions that the rules keep, of those cut at `cut_ms` (stream time).

    The newest `last`; and, for each of the newest `hourly` hours and `daily` days in which any was
    cut, the newest of that hour or day. Hours and days without one do not count, so a stream that
    paused for a month keeps as many as one that did not.
    """
    newest_first = sorted(cut_ms, reverse=True)
    kept = set(newest_first[: keep.last])
    for most, length_ms in ((keep.hourly, HOUR_MS), (keep.daily, DAY_MS)):
        newest_of: dict[int, int] = {}
        for number in newest_first:
            newest_of.setdefault(cut_ms[number] // length_ms, number)
        kept |= set(list(newest_of.values())[:most])
    return frozenset(kept)


def surplus(
    cut_ms: Mapping[int, int], held: Collection[int], tainted: Collection[int], keep: KeepSettings
) -> list[int]:
    """The versions to let go, oldest first: those that no rule keeps and nothing holds.

    The `tainted` ones, which saw records that were skipped since, are kept by the same rules among
    themselves, so that none takes the place of one that can be rolled back to.
    """
    sound = {number: ms for number, ms in cut_ms.items() if number not in tainted}
    unsound = {number: ms for number, ms in cut_ms.items() if number in tainted}
    kept = {*held, *kept_versions(sound, keep), *kept_versions(unsound, keep)}
    return [number for number in sorted(cut_ms) if number not in kept]


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

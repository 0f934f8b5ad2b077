"""Whether the log reaches back as far as a replay needs, and will for as long as it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from consumers.transport import INPUTS, Log
from learners.errors import LearnersError
from learners.snapshots.archive import SnapshotArchive
from stream.checks.finding import Finding, span
from stream.checks.settings import Settings, retention_ms
from stream.shard import journal

_SCARCE_SHARE = 0.5
# How many offsets after a position are looked at for its record: markers lie between.
_WINDOW = 1_000


_READ = (*INPUTS, journal.TOPIC)


class _Base(NamedTuple):
    """What a replay starts from: where in the inputs, and when it was made."""

    name: str
    positions: Mapping[str, int]
    made_ms: int | None


class _Needed(NamedTuple):
    """What of a topic a replay from `base` reads: from an offset on, where it is known, and how
    old the first record of it is."""

    base: str
    topic: str
    position: int | None
    age_ms: int | None


def check_retention(
    settings: Settings, log: Log, shard: int, archive: SnapshotArchive, now_ms: int
) -> Iterator[Finding]:
    """What the newest two snapshots of a shard need of its inputs; the second for the case that
    the first is damaged."""
    begin, end = log.begin_offset(journal.TOPIC, shard), log.end_offset(journal.TOPIC, shard)
    last = journal.last(log, shard, begin, end)
    if last is None:
        return
    first = next(log.read(journal.TOPIC, shard, begin, end))
    bases = _bases(archive, last.journal, shard) or [
        _Base("replay without a snapshot", journal.Entry.decode(first).end, first.timestamp_ms)
    ]
    longest_ms, well = 0, True
    for number, base in enumerate(bases):
        for needed in _needed(log, shard, base, now_ms):
            longest_ms = max(longest_ms, needed.age_ms or 0)
            for finding in _judge(settings, log, shard, needed, newest=number == 0):
                well = False
                yield finding
    if well:
        yield Finding(
            "retention",
            "ok",
            f"shard {shard}: a replay needs what came in the last {span(longest_ms)}, and all of "
            f"it is kept ({_kept(settings)})",
        )


def _bases(archive: SnapshotArchive, name: str, shard: int) -> list[_Base]:
    """The newest two sound snapshots."""
    refs = sorted((held.ref for held in archive.stored(name, shard)), key=lambda r: -r.sequence)
    found: list[_Base] = []
    for ref in refs:
        try:
            snapshot = archive.read(ref)
        except LearnersError:
            # The check of the snapshots tells of it.
            continue
        if snapshot is not None:
            which = "second newest snapshot" if found else "newest snapshot"
            header = snapshot.header
            found.append(_Base(which, header.positions, header.created_ms))
        if len(found) == 2:
            break
    return found


def _needed(log: Log, shard: int, base: _Base, now_ms: int) -> Iterator[_Needed]:
    for topic in INPUTS:
        position = base.positions[topic]
        start = max(position, log.begin_offset(topic, shard))
        oldest = next(iter(log.read(topic, shard, start, start + _WINDOW)), None)
        age_ms = None if oldest is None else now_ms - oldest.timestamp_ms
        yield _Needed(base.name, topic, position, age_ms)
    age_ms = None if base.made_ms is None else now_ms - base.made_ms
    yield _Needed(base.name, journal.TOPIC, None, age_ms)


def _judge(
    settings: Settings, log: Log, shard: int, needed: _Needed, *, newest: bool
) -> Iterator[Finding]:
    begin = log.begin_offset(needed.topic, shard)
    kept_ms = retention_ms(settings[needed.topic]) if needed.topic in settings else None
    what = f"shard {shard}: the {needed.base} needs the {needed.topic}"
    if needed.position is not None and begin > needed.position:
        # Of the newest one the check of the snapshots tells.
        if not newest:
            yield Finding(
                "retention",
                "warning",
                f"{what} from offset {needed.position} on, and they begin at {begin}: should the "
                "newest one be damaged, the shard cannot be recovered",
                "keep the log longer than two snapshots are apart",
            )
    elif kept_ms is not None and needed.age_ms is not None and needed.age_ms > kept_ms:
        yield Finding(
            "retention",
            "problem" if newest else "warning",
            f"{what} of the last {span(needed.age_ms)}, and they are kept for {span(kept_ms)}: "
            "the broker may delete them at any moment",
            "raise retention.ms now, and stop the worker with SIGTERM, which takes a snapshot",
        )
    elif (
        kept_ms is not None
        and needed.age_ms is not None
        and needed.age_ms > _SCARCE_SHARE * kept_ms
    ):
        yield Finding(
            "retention",
            "warning",
            f"{what} of the last {span(needed.age_ms)}, more than half of the {span(kept_ms)} for "
            "which they are kept",
            "raise retention.ms, or take snapshots more often: `snapshots.recover_within`",
        )


def _kept(settings: Settings) -> str:
    kept = {topic: retention_ms(settings[topic]) for topic in _READ if topic in settings}
    if not any(kept.values()):
        return "for ever"
    return ", ".join(
        f"{topic} {'for ever' if ms is None else f'for {span(ms)}'}" for topic, ms in kept.items()
    )

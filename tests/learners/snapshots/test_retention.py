from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from learners.snapshots import Published, SnapshotRef, orphans, superseded
from learners.snapshots.retention import kept_versions, surplus, unused
from learners.snapshots.settings import KeepSettings


def ref(sequence: int, salt: int = 0) -> SnapshotRef:
    return SnapshotRef("j", 0, sequence, f"{sequence:032x}{salt:032x}")


ENTRIES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 2), st.none() | st.integers(1, 9)),
    unique_by=lambda entry: entry[:2],
).map(
    lambda entries: [
        Published(ref(sequence, salt), version)
        for sequence, salt, version in sorted(entries, key=lambda entry: entry[0])
    ]
)


def test_all_but_the_newest_two_unnumbered_are_retired_oldest_first() -> None:
    published = [Published(ref(1)), Published(ref(3), 1), Published(ref(5)), Published(ref(7))]
    published += [Published(ref(9), 2), Published(ref(11))]

    assert superseded(published) == (ref(1), ref(5))


@given(ENTRIES, st.integers(1, 4))
def test_versions_are_kept_and_the_newest_too(published: list[Published], keep: int) -> None:
    gone = superseded(published, keep)

    unnumbered = [entry.ref for entry in published if entry.version is None]
    kept = [ref for ref in unnumbered if ref not in gone]
    assert len(kept) == min(keep, len(unnumbered))
    assert set(gone) <= set(unnumbered)
    assert [old.sequence for old in gone] == sorted(old.sequence for old in gone)
    assert all(old.sequence <= new.sequence for old in gone for new in kept)


@given(ENTRIES)
def test_retiring_is_done_once(published: list[Published]) -> None:
    gone = superseded(published)
    assert superseded([entry for entry in published if entry.ref not in gone]) == ()


def test_an_orphan_lies_below_the_newest_published() -> None:
    stored = [ref(1), ref(2), ref(3), ref(3, 1), ref(4)]

    assert orphans(stored, [ref(1), ref(3)]) == (ref(2),)
    # At the newest published, one may be about to be published; without any, all may be.
    assert orphans(stored, []) == ()


@given(ENTRIES, ENTRIES)
def test_nothing_published_is_an_orphan(a: list[Published], b: list[Published]) -> None:
    stored, published = {entry.ref for entry in a}, {entry.ref for entry in b}
    found = orphans(stored, published)
    assert not set(found) & published
    assert set(found) <= stored


HOUR_MS = 3_600_000
NOON_MS = 1_700_000_000_000 // (24 * HOUR_MS) * 24 * HOUR_MS + 12 * HOUR_MS


def test_a_version_an_hour_for_three_days_by_hand() -> None:
    # given: versions 1 to 72, one at the start of each hour, the last at 11:00 of the fourth day
    cut_ms = {number: NOON_MS + number * HOUR_MS for number in range(72)}
    # when
    kept = kept_versions(cut_ms, KeepSettings(last=2, hourly=5, daily=3))
    # then: the newest two, the newest of five hours, and of three days the last of each
    assert kept == {71, 70, 69, 68, 67, 59, 35}


def test_hours_without_a_version_do_not_count() -> None:
    cut_ms = {1: NOON_MS, 2: NOON_MS + 1, 3: NOON_MS + 500 * HOUR_MS}

    assert kept_versions(cut_ms, KeepSettings(last=1, hourly=2, daily=0)) == {2, 3}


VERSIONS = st.dictionaries(st.integers(1, 60), st.integers(-(10**9), 10**9)).map(
    # The clock of a shard does not go back.
    lambda cut_ms: dict(zip(sorted(cut_ms), sorted(cut_ms.values()), strict=True))
)
KEEP = st.builds(
    KeepSettings, last=st.integers(1, 8), hourly=st.integers(0, 8), daily=st.integers(0, 8)
)


@given(VERSIONS, KEEP, st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_what_goes_is_what_no_rule_keeps(
    cut_ms: dict[int, int], keep: KeepSettings, held: set[int], tainted: set[int]
) -> None:
    gone = surplus(cut_ms, held, tainted, keep)

    assert gone == sorted(gone)
    for number, ms in cut_ms.items():
        alike = [other for other in cut_ms if (other in tainted) == (number in tainted)]
        reasons = [
            number in held,
            sum(other > number for other in alike) < keep.last,
            *(
                # It is the last of its hour or day, and fewer later ones have any than are kept.
                all(other <= number or cut_ms[other] // unit != mine for other in alike)
                and len({cut_ms[other] // unit for other in alike if cut_ms[other] // unit > mine})
                < most
                for most, unit in ((keep.hourly, HOUR_MS), (keep.daily, 24 * HOUR_MS))
                for mine in [ms // unit]
            ),
        ]
        assert (number in gone) != any(reasons)


@given(VERSIONS, KEEP)
def test_pruning_is_done_once(cut_ms: dict[int, int], keep: KeepSettings) -> None:
    gone = surplus(cut_ms, (), (), keep)
    left = {number: ms for number, ms in cut_ms.items() if number not in gone}
    assert surplus(left, (), (), keep) == []


def test_a_pruned_versions_snapshot_goes_when_no_recovery_can_need_it() -> None:
    published = [Published(ref(1), 1), Published(ref(2)), Published(ref(3), 2), Published(ref(4))]

    assert unused(published, {1, 2}) == ()
    # Recovery begins at entry 2 at the earliest, and may pass the rollback that made version 2.
    assert unused(published, ()) == (ref(1),)
    assert unused([*published, Published(ref(5))], ()) == (ref(1), ref(3))
    assert unused(published[:3], ()) == ()

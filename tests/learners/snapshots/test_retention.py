from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from learners.snapshots import Published, SnapshotRef, orphans, superseded


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

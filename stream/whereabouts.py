"""Which shard a worker has in hand, and how far that is, for whatever is logged meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Whereabouts(NamedTuple):
    """A shard, its last committed journal entry, and the next offset of each of its inputs; what is
    not known yet is None."""

    shard: int
    entry: int | None = None
    positions: Mapping[str, int] | None = None


_HERE: ContextVar[Whereabouts | None] = ContextVar("whereabouts", default=None)


@contextmanager
def at(
    shard: int, entry: int | None = None, positions: Mapping[str, int] | None = None
) -> Iterator[None]:
    """What is logged within is of this shard."""
    token = _HERE.set(Whereabouts(shard, entry, positions))
    try:
        yield
    finally:
        _HERE.reset(token)


def here() -> Whereabouts | None:
    """The shard in hand on this thread; None between shards."""
    return _HERE.get()

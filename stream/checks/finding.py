"""What a check found, and how it is said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

State = Literal["ok", "warning", "problem"]

_SHOWN: Final = 10


class Finding(NamedTuple):
    """What one check found; `hint` says what to do, where anything is to be done."""

    check: str
    state: State
    detail: str
    hint: str | None = None


def listed(names: Iterable[object]) -> str:
    """Names in one line; of many the first, and how many more there are."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def span(ms: float) -> str:
    """A length of time as one reads it: `40 s`, `3.5 min`, `2 h`, `12 days`."""
    for size_ms, unit in ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min")):
        if abs(ms) >= 2 * size_ms:
            return f"{ms / size_ms:.3g} {unit}"
    return f"{ms / 1_000:.3g} s"

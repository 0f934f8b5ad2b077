"""How far something is that takes long, as a line in the log now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

EVERY_S = 5.0


class Progress:
    """Told of every entry; says so every `EVERY_S` seconds, and nothing about what is quick.

    Parameters
    ----------
    shard
        Whose entries they are.
    doing
        What is being done, such as `recovering`.
    clock
        Monotonic seconds.
    """

    def __init__(self, shard: int, doing: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._shard = shard
        self._doing = doing
        self._clock = clock
        self._next_s: float | None = None

    def __call__(self, entry: int, last: int) -> None:
        """Entry `entry` of those up to `last` is done."""
        now_s = self._clock()
        if self._next_s is None:
            self._next_s = now_s + EVERY_S
        if entry >= last:
            self._next_s = None
        elif now_s >= self._next_s:
            self._next_s = now_s + EVERY_S
            told = {"event": "progress", "shard": self._shard, "doing": self._doing}
            log.info(
                "shard %d is %s: entry %s of %s",
                self._shard,
                self._doing,
                f"{entry:,}",
                f"{last:,}",
                extra={"happening": told | {"entry": entry, "last": last}},
            )

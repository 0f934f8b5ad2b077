"""A watchdog: ends the process when a call into the client does not return.

Some of the client's calls have no time-out, and a request may be dropped without an exception. What
we wait for ourselves has a deadline; this is for what hangs inside the client all the same. A
worker that starts anew is at work again within seconds; one that hangs holds its shards for ever.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

EXIT_HUNG = 75
"""The process's exit code: a temporary failure (EX_TEMPFAIL); start it again."""


def end_process(message: str) -> None:
    """Says why, and ends the process at once: what hangs would hang an orderly end too."""
    log.critical("%s", message)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(EXIT_HUNG)


class Watchdog:
    """Watches one thread's calls; `on_hung` is called from the watchdog's own thread."""

    def __init__(self, limit_s: float, on_hung: Callable[[str], None] = end_process) -> None:
        self._limit_s = limit_s
        self._tick_s = min(1.0, limit_s / 4)
        self._on_hung = on_hung
        self._call: tuple[str, float] | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="driftline-watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def watching(self, call: str, more_s: float = 0.0) -> Iterator[None]:
        """Gives the block the limit, and `more_s` that it may wait on purpose."""
        self._call = (call, self._limit_s + more_s)
        try:
            yield
        finally:
            self._call = None

    def close(self) -> None:
        """Watches no more."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        # Its own ticks are counted, not the clock: a process that was stopped has hung in nothing.
        watched: object = None
        ticks = 0
        while not self._closed.wait(self._tick_s):
            call = self._call
            ticks = ticks + 1 if call is not None and call is watched else 0
            watched = call
            if call is not None and ticks * self._tick_s > call[1]:
                self._on_hung(
                    f"the Kafka client's {call[0]} has not returned for {call[1]:.0f} s; "
                    "the process ends, to be started again"
                )
                return

"""A worker that joins anew after its log failed it, instead of ending.

After a commit that failed, or whose outcome is not known, neither the client nor a state that is
ahead of the log can be trusted. So: close the transport, wait a little longer each time, join anew,
read back what was committed, and go on from there. Nobody else is waited for, and nothing is
guessed. It gives up after so many failures without progress, and at once when another worker has
taken over this one's identity: the two would put one another out for ever.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from consumers.errors import (
    CommitFailedError,
    CommitUnknownError,
    LogUnavailableError,
    TopicsMissingError,
    WorkerRunningError,
)
from consumers.transport import Transport
from stream.worker import Worker

log = logging.getLogger(__name__)

ATTEMPTS = 10
FIRST_WAIT_S = 0.2
MOST_WAIT_S = 30.0
# A worker that was well for so long has recovered from whatever was wrong before.
WELL_S = 60.0
_SLICE_S = 0.1

_TRANSIENT = (CommitFailedError, CommitUnknownError, LogUnavailableError, TopicsMissingError)


class Rejoining:
    """Keeps a worker at work.

    Parameters
    ----------
    worker
        The worker, over a transport that has joined.
    join
        Joins anew; the transport that failed is closed by then.
    on_rejoined
        Called when the worker goes on.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        worker: Worker,
        join: Callable[[], Transport],
        on_rejoined: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker = worker
        self._join = join
        self._on_rejoined = on_rejoined
        self._clock = clock
        self._failures = 0
        self._failed_s = clock()
        self._commits = 0

    def run(self, work: Callable[[], None]) -> None:
        """Does `work`, one of the worker's runs, until it ends by itself.

        Raises
        ------
        ConsumersError
            The log failed so often that trying again is of no use, or another worker has taken
            over this one's identity.
        """
        while True:
            try:
                work()
            except WorkerRunningError:
                raise
            except _TRANSIENT as error:
                if not self._go_on(error):
                    return
            else:
                return

    def close(self) -> None:
        """Closes the transport that the worker has last."""
        self._worker.transport.close()

    def _go_on(self, error: Exception) -> bool:
        """Joins anew after an error; False if the worker was told to stop meanwhile."""
        while True:
            self._worker.transport.close()
            wait_s = self._count(error)
            log.warning("%s; joining anew in %.1f s", error, wait_s)
            if not self._wait(wait_s):
                return False
            try:
                self._worker.rejoin(self._join())
            except WorkerRunningError:
                raise
            except _TRANSIENT as again:
                error = again
            else:
                self._on_rejoined()
                return True

    def _count(self, error: Exception) -> float:
        """How long to wait after one more failure; raises it if there were too many."""
        now_s = self._clock()
        if self._worker.commits > self._commits or now_s - self._failed_s > WELL_S:
            self._failures = 0
        self._commits = self._worker.commits
        self._failed_s = now_s
        self._failures += 1
        if self._failures > ATTEMPTS:
            raise error
        return float(min(MOST_WAIT_S, FIRST_WAIT_S * 2 ** (self._failures - 1)))

    def _wait(self, seconds: float) -> bool:
        until_s = self._clock() + seconds
        while not self._worker.is_stopping():
            left_s = until_s - self._clock()
            if left_s <= 0:
                return True
            time.sleep(min(_SLICE_S, left_s))
        return False

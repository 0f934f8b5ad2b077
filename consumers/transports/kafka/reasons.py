"""Why the client could not connect: it tries again until its time is up, and then tells only that.

What it says to its log meanwhile names the reason; it is kept for the error that follows.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from kafka import errors as kafka_errors

# A client that cannot connect gives up after eight seconds.
_RECENT_S: Final = 10.0

_REFUSALS: Final = (
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)


class TlsFailedError(kafka_errors.KafkaError):  # type: ignore[misc]
    """The handshake failed: no TLS on the other side, or a certificate that is not trusted."""


class HungUpError(kafka_errors.KafkaError):  # type: ignore[misc]
    """The broker ended the connection before anything could be asked; it says no more than that."""


class _Reasons(logging.Handler):
    """Keeps the reason that says most, and of those the last."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last: tuple[float, Exception] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Looks at what the client says."""
        for said in record.args if isinstance(record.args, tuple) else ():
            if isinstance(said, _REFUSALS):
                self._last = time.monotonic(), said
            elif isinstance(said, kafka_errors.KafkaConnectionError):
                _, is_tls, detail = str(said).partition("Handshake failed: ")
                if is_tls:
                    self._last = time.monotonic(), TlsFailedError(detail)
                elif "socket disconnected" in str(said) and self._last is None:
                    # A refusal may be overtaken by the end of its connection.
                    self._last = time.monotonic(), HungUpError()

    def forget(self) -> None:
        """A new attempt begins: what failed before is no reason for what follows."""
        self._last = None

    def recent(self) -> Exception | None:
        """The reason of a failure that has just been; None if there was none to tell."""
        if self._last is None or time.monotonic() - self._last[0] > _RECENT_S:
            return None
        return self._last[1]


REASONS: Final = _Reasons()
logging.getLogger("kafka.net.manager").addHandler(REASONS)

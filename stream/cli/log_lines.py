"""How `driftline run` logs on stderr: lines for people, or a JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

LOG_FORMATS = ("console", "json")


def happening(event: str, **fields: Any) -> dict[str, Any]:
    """What a log line in JSON says beside its message, for programs: see docs/json.md."""
    return {"happening": {"event": event, **fields}}


def log_to_stderr(log_format: str) -> None:
    """Sends the lines of this process to stderr, as `console` or as `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _ConsoleFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The Kafka client tells of every connection, thirty lines a start, among which ours are lost.
    logging.getLogger("kafka").setLevel(logging.WARNING)
    # While a broker is away it tells of every attempt to connect, twenty lines a second; a worker
    # says itself what cannot be reached.
    for name in ("kafka.net", "kafka.cluster"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _ConsoleFormatter(logging.Formatter):
    """Time, level and message on one line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime


class _JsonFormatter(_ConsoleFormatter):
    """The same as a JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        body: dict[str, Any] = {
            "time": self.formatTime(record, self.datefmt),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "happening", {}),
        }
        return json.dumps(body)

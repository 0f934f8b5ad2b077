"""What `driftline run` logs on stderr: a line for people, or an object for programs."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Final

from stream.whereabouts import here

LOG_FORMATS: Final = ("console", "json")


def log_to_stderr(log_format: str) -> None:
    """Sends all log lines of this process to stderr, in one of `LOG_FORMATS`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else ConsoleFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The Kafka client tells of every connection, thirty lines a start, among which ours are lost.
    logging.getLogger("kafka").setLevel(logging.WARNING)
    # While a broker is away it tells of every attempt to connect, twenty lines a second; a worker
    # says itself what cannot be reached.
    for name in ("kafka.net", "kafka.cluster"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def happening(event: str, **fields: Any) -> dict[str, Any]:
    """What a log line in JSON says beside its message, for programs: see docs/json.md."""
    return {"happening": {"event": event, **fields}}


class ConsoleFormatter(logging.Formatter):
    """Time, level and message on one line, and where the worker is."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line, before any traceback."""
        line = super().formatMessage(record)
        place = here()
        if place is None or hasattr(record, "happening"):
            return line
        told = [] if f"shard {place.shard}" in record.message else [f"shard {place.shard}"]
        if place.entry is not None:
            told.append(f"entry {place.entry}")
        told += [f"{name} {offset}" for name, offset in (place.positions or {}).items()]
        return f"{line} [{', '.join(told)}]" if told else line


class JsonFormatter(ConsoleFormatter):
    """The same as a JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        place = here()
        known = {} if place is None else place._asdict()
        body: dict[str, Any] = {
            "time": self.formatTime(record, self.datefmt),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in known.items() if value is not None},
            **getattr(record, "happening", {}),
        }
        if record.exc_info:
            body["traceback"] = self.formatException(record.exc_info)
        return json.dumps(body)

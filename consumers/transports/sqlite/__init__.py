"""The log in one SQLite file: one machine, no broker, one worker, any readers and writers."""

from consumers.transports.sqlite.log import SqliteLog
from consumers.transports.sqlite.transport import SqliteTransport

__all__ = ["SqliteLog", "SqliteTransport"]

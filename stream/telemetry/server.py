"""The HTTP side of telemetry: /metrics, /healthz and /readyz, from a thread beside the worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from stream.errors import ConfigurationError
from stream.telemetry.settings import MetricsSettings
from stream.telemetry.telemetry import SILENT_S, Telemetry

log = logging.getLogger("driftline")


@contextmanager
def serve(settings: MetricsSettings, telemetry: Telemetry) -> Iterator[str | None]:
    """Serves a worker's telemetry meanwhile; gives the address, None where no port is set.

    Raises
    ------
    ConfigurationError
        Nobody can listen there: the port is taken, or the host is none of this machine.
    """
    if settings.port is None:
        yield None
        return
    registry = CollectorRegistry()
    registry.register(telemetry)
    ProcessCollector(registry=registry)

    class Handler(_Handler):
        """The handler of this server."""

        source, metrics = telemetry, registry

    try:
        server = ThreadingHTTPServer((settings.host, settings.port), Handler)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"metrics cannot be served on {settings.host}:{settings.port}: {error}",
            "set another `metrics.port` or `metrics.host`, or `port: null` for none",
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="driftline-metrics", daemon=True)
    thread.start()
    address = f"http://{settings.host}:{server.server_address[1]}"
    log.info("metrics on %s/metrics", address)
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers GET; whatever else is refused by the base class."""

    source: Telemetry
    metrics: CollectorRegistry
    timeout = 10.0

    def do_GET(self) -> None:
        """One answer."""
        match self.path.partition("?")[0]:
            case "/metrics":
                encode, kind = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, kind, encode(self.metrics))
            case "/healthz":
                silent_s = round(self.source.silent_s(), 3)
                self._say(healthy=silent_s < SILENT_S, silent_s=silent_s)
            case "/readyz":
                self._say(ready=self.source.is_ready, shards=self.source.shards)
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def _say(self, **body: object) -> None:
        """JSON whose first field says whether all is well."""
        good = next(iter(body.values()))
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", orjson.dumps(body))

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: there is one every few seconds."""

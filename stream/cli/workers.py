"""`driftline run --workers`: several workers on this machine, and their lines on one stderr."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Sequence

from stream.cli.logs import happening
from stream.cli.output import REPLACED, STOPPED
from stream.configuration import PREFIX, Configuration
from stream.errors import ConfigurationError
from stream.opening import open_service_log, open_snapshots
from stream.supervisor import Command, News, Supervisor, fate

log = logging.getLogger("driftline")

_MOST_PORT = 65_535


def run_workers(
    configuration: Configuration,
    workers: int,
    arguments: Sequence[str],
    until_idle: bool,
    log_format: str,
) -> None:
    """Runs `driftline run` with these arguments so many times, until SIGTERM or Ctrl-C.

    Worker n has the slot `kafka.slot` + n and serves its metrics on `metrics.port` + n.
    """
    if not configuration.log.startswith("kafka:"):
        raise ConfigurationError(
            f"--workers needs a log on Kafka; one on {configuration.log} has one worker",
            "set `log: kafka://HOST:PORT`, or leave --workers out",
        )
    if workers > configuration.log_partitions:
        log.warning(
            "%d workers are too many: a partition has one, and `log_partitions` is %d; so many run",
            workers,
            configuration.log_partitions,
        )
        workers = configuration.log_partitions
    commands = _commands(configuration, workers, arguments)
    # What would fail in every worker fails here, once; and what they share is made once.
    with open_service_log(configuration, create=True), open_snapshots(configuration):
        pass
    supervisor = Supervisor(
        commands,
        final=(STOPPED, REPLACED),
        until_done=until_idle,
        news=_Json() if log_format == "json" else _Console(),
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: supervisor.stop())
    supervisor.run()


def _commands(
    configuration: Configuration, workers: int, arguments: Sequence[str]
) -> list[Command]:
    # Started as this process was, but for its arguments: the same interpreter, options and script.
    before = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    slot, port = configuration.kafka.slot, configuration.metrics.port
    if port and port + workers - 1 > _MOST_PORT:
        raise ConfigurationError(
            f"{workers} workers need as many ports from `metrics.port` on, and that is {port}",
            f"set a `metrics.port` of {_MOST_PORT - workers + 1} or less",
        )
    commands = []
    for number in range(workers):
        environment = {f"{PREFIX}KAFKA__SLOT": str(slot + number)}
        if port:
            environment[f"{PREFIX}METRICS__PORT"] = str(port + number)
        words = (sys.executable, *before, "run", *arguments)
        commands.append(Command(slot + number, words, environment))
    return commands


class _Console(News):
    """Each line of a worker begins with its slot; one call writes it, so none is torn."""

    def said(self, name: int, line: str) -> None:
        sys.stderr.write(f"worker {name} | {line}\n")
        sys.stderr.flush()

    def started(self, name: int, pid: int) -> None:
        log.info(
            "worker %d is process %d",
            name,
            pid,
            extra=happening("worker_started", worker=name, process=pid),
        )

    def ended(self, name: int, code: int, wait_s: float | None) -> None:
        what = "" if wait_s is None else f"; it is started again in {wait_s:.1f} s"
        log.log(
            logging.WARNING if code else logging.INFO,
            "worker %d %s%s",
            name,
            fate(code),
            what,
            extra=happening("worker_ended", worker=name, exit_code=code, wait_s=wait_s),
        )


class _Json(_Console):
    """The objects of a worker get its slot; what is no object becomes one."""

    def said(self, name: int, line: str) -> None:
        try:
            body = json.loads(line)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            log.error("%s", line, extra=happening("worker_said", worker=name))
            return
        sys.stderr.write(json.dumps({"worker": name, **body}) + "\n")
        sys.stderr.flush()

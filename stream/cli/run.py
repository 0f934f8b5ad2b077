"""`driftline run`: the service."""

from __future__ import annotations

import logging
import signal
from contextlib import closing
from typing import Annotated

import typer

from stream.cli import options
from stream.cli.logs import LOG_FORMATS, happening, log_to_stderr
from stream.cli.workers import run_workers
from stream.configuration import find_file, load_file
from stream.errors import ConfigurationError, HaltedError, ShardPausedError
from stream.opening import join, log_opener, open_snapshots, open_worker_transport
from stream.rejoining import Rejoining
from stream.shard.restore import Restored
from stream.telemetry.server import serve
from stream.telemetry.telemetry import Telemetry
from stream.worker import Worker

log = logging.getLogger("driftline")


def run_command(
    config: options.ConfigArgument = None,
    use_journal_config: Annotated[
        bool,
        typer.Option(
            "--use-journal-config",
            help="Go on under the configuration that the journal has in force, not the file's.",
        ),
    ] = False,
    until_idle: Annotated[
        bool,
        typer.Option("--until-idle", help="Stop once every input is at its end; for scripts."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            help="Run so many workers on this machine, each a process that is started again when "
            "it dies; on Kafka.",
        ),
    ] = None,
    log_format: Annotated[
        str, typer.Option("--log-format", metavar="console|json", help="How to log on stderr.")
    ] = "console",
) -> None:
    """Run the service: predict, learn, watch, and snapshot, until SIGTERM or Ctrl-C.

    Example: driftline run flights.yaml
    """
    if log_format not in LOG_FORMATS:
        raise ConfigurationError(
            f"--log-format must be one of {', '.join(LOG_FORMATS)}, not {log_format!r}",
            "leave it out for `console`",
        )
    configuration = load_file(config)
    log_to_stderr(log_format)
    if workers is not None:
        given = [str(find_file(config)), f"--log-format={log_format}"]
        given += ["--use-journal-config"] * use_journal_config + ["--until-idle"] * until_idle
        run_workers(configuration, workers, given, until_idle, log_format)
        return
    telemetry = Telemetry(configuration.name)
    # The log first: one of another service is refused before a key is made for this one.
    with (
        open_worker_transport(configuration) as transport,
        open_snapshots(configuration) as snapshots,
        serve(configuration.metrics, telemetry),
    ):
        worker = Worker(
            configuration,
            transport,
            snapshots,
            open_log=log_opener(configuration),
            use_journal_configuration=use_journal_config,
            on_restored=_say_restored,
            telemetry=telemetry,
        )
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: worker.stop())
        run = worker.run_until_idle_and_leave if until_idle else worker.run
        if log_opener(configuration) is None:
            run()
        else:
            rejoining = Rejoining(worker, lambda: join(configuration), telemetry.rejoined)
            with closing(rejoining):
                rejoining.run(run)
        for shard, runner in worker.runners.items():
            if until_idle and runner.paused is not None:
                raise ShardPausedError(
                    f"shard {shard} is paused: {runner.paused}",
                    "put the snapshot back and run again, or roll back to another version",
                )
            if until_idle and runner.halted is not None:
                raise HaltedError(
                    f"shard {shard} has halted: {runner.halted}",
                    "driftline dead-letters list shows them; mend the cause, then driftline resume",
                )
            parts = runner.shard.parts
            so_far = {
                "events": parts.events,
                "labels": parts.counters.joined,
                "alerts": sum(parts.counters.alerts.values()),
                "dead_letters": sum(parts.counters.dead_letters.values()),
            }
            log.info(
                "shard %d stopped at journal entry %d, digest %s: "
                "%d events, %d labels, %d alerts, %d dead letters so far",
                shard,
                runner.sequence,
                parts.digest.hex()[:16],
                *so_far.values(),
                extra=happening(
                    "stopped",
                    shard=shard,
                    entry=runner.sequence,
                    digest=parts.digest.hex(),
                    **so_far,
                ),
            )


def _say_restored(shard: int, restored: Restored) -> None:
    if restored.founding is not None:
        log.info("shard %d starts a new journal", shard, extra=happening("founded", shard=shard))
        return
    origin = (
        "entry 0" if restored.snapshot is None else f"the snapshot at entry {restored.snapshot}"
    )
    log.info(
        "shard %d recovered from %s: %d entries, %d records replayed in %.1f s, digest equal (%s)",
        shard,
        origin,
        restored.entries,
        restored.records,
        restored.seconds,
        restored.shard.parts.digest.hex()[:16],
        extra=happening(
            "recovered",
            shard=shard,
            snapshot=restored.snapshot,
            entry=restored.sequence,
            entries=restored.entries,
            records=restored.records,
            seconds=round(restored.seconds, 3),
            digest=restored.shard.parts.digest.hex(),
        ),
    )

"""The demo: a year of flights through the service, killed in mid-year, in under three minutes.

    python -m examples.flights.demo

Everything is done by the commands that anybody would use, each a process of its own: `driftline
ingest` puts the year on the log, and beside it `driftline run` predicts, learns and watches. This
script only starts, reads, kills and counts; what it says of the recovery is the service's report.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.text import Text

from examples.flights import events, picture, summary
from examples.flights.follower import Follower
from examples.flights.place import ROOT, Place, UnfitError, shown
from examples.flights.processes import DRIFTLINE, Child, ChildFailedError
from examples.flights.results import Crash, by_day, by_week, figures, scored
from examples.flights.source import read_year
from examples.flights.storms import NEW_YORK
from examples.flights.ticker import Ticker

LABELS = ("--label", events.LABEL, "--label-time", events.LABEL_TIME)
MILLISECOND = timedelta(milliseconds=1)
NEW_YEAR = date(2013, 1, 1)
LOOK_S = 0.1
STALLED_S = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the show; 0 if all of it was as it should be, 1 if not, 2 if asked for what cannot be,
    130 when interrupted."""
    asked = _asked(arguments)
    console = Console(highlight=False, soft_wrap=True)
    # A demo that is told to stop takes its processes with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        place = Place(asked.folder, asked.kafka)
        return Show(console, place, asked.until, asked.kill, beforehand=asked.beforehand).run()
    except UnfitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ChildFailedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is left running", file=sys.stderr)
        return 128 + signal.SIGINT


class Show:
    """One run of the demo.

    Parameters
    ----------
    console
        Where to print.
    place
        Where the files are; the folder is emptied first.
    until
        The first day that is left out.
    kill
        The service is killed when this day has begun.
    beforehand
        The whole file is on the log before the service starts.
    """

    def __init__(
        self, console: Console, place: Place, until: date, kill: date, *, beforehand: bool = False
    ) -> None:
        self.console = console
        self.place = place
        self.until = until
        self.kill = kill
        self.beforehand = beforehand
        self.crash: Crash | None = None
        self.started_s = time.monotonic()

    def run(self) -> int:
        """Runs it from the file to the picture; gives the exit code."""
        if not NEW_YEAR < self.kill < self.until:
            raise UnfitError(f"--kill must lie between {NEW_YEAR} and --until, {self.until}")
        self.place.clear()
        self._say(f"Everything is kept in {shown(self.place.folder)}, which is emptied first.")
        rows = self._prepare()
        flights = scored(rows, {})
        days = by_day(flights)
        self._say(
            "Now the year goes by. Each bar is a day: the share of flights late or cancelled."
        )
        self._say("Below the days: alerts, with the name of what was happening, where it has one.")
        self._say("")
        started_s = time.monotonic()
        follower = Follower(self.place.log())
        try:
            with Ticker(self.console, days) as ticker:
                stopped = self._stream(follower, ticker, rows)
                ticker.tick(self.until, follower.marks, self.crash)
            streamed_s = time.monotonic() - started_s
            return self._end(follower, rows, stopped, streamed_s)
        finally:
            follower.close()

    def _prepare(self) -> pa.Table:
        """The year as a file, and the configuration beside it; gives what the show needs of it."""
        year = read_year()
        before = year.flights.local_ms < (self.until - date(1970, 1, 1)) // MILLISECOND
        year = replace(year, flights=year.flights.take(np.flatnonzero(before)))
        count = events.write(self.place.rows, year)
        self.place.configure()
        self._say(f"{count:,} flights are in {shown(self.place.rows)}, labels and all.")
        return pq.read_table(
            self.place.rows, columns=[events.ID, events.TIME, events.LABEL, "late_2h"]
        )

    def _stream(self, follower: Follower, ticker: Ticker, rows: pa.Table) -> dict[str, Any]:
        """The year on the log and through the service; gives what the service said at its end."""
        expected = rows.num_rows + _labels(rows)
        with self._ingest() as ingest:
            for _ in _looks(ingest, follower.ingested_if_there):
                if follower.is_there() and (not self.beforehand or ingest.is_done()):
                    break
            with self._serve() as service:
                self._follow(follower, ticker, ingest, service, expected)
                self._crash(follower, service)
            with self._serve() as service:
                self._recover(service, ticker)
                self._follow(follower, ticker, ingest, service, expected)
                service.stop()
                stopped = service.event("stopped")
        follower.read()
        if stopped is None:
            raise service.failure("did not say where it stopped")
        return stopped

    def _follow(
        self, follower: Follower, ticker: Ticker, ingest: Child, service: Child, expected: int
    ) -> None:
        """Shows what comes, up to the crash or, after it, to the end of the log."""
        for _ in _looks(service, lambda: len(follower.scores)):
            service.must_run()
            # In this order: when the file was on the log, and all of the log was used, then
            # everything is there to be read.
            ingested = ingest.is_done()
            used = follower.is_all_used()
            if follower.read():
                assert follower.latest is not None, "predictions have times"
                today = follower.latest.astimezone(NEW_YORK).date()
                # On Kafka the marks of transactions count too.
                share = 1.0 if ingested else min(1.0, follower.ingested() / expected)
                status = f"    {share:.0%} on the log, {len(follower.scores):,} flights predicted"
                ticker.tick(today, follower.marks, self.crash, status)
                if self.crash is None and today >= self.kill:
                    return
            if ingested and used:
                return

    def _crash(self, follower: Follower, service: Child) -> None:
        service.kill()
        follower.read()
        if follower.latest is None:
            raise service.failure("had not predicted anything before it was killed")
        at = follower.latest.astimezone(NEW_YORK)
        self.crash = Crash(at, "")
        self._say(
            f"{at:%b} {at.day}: kill -9 {service.pid}. The service is gone;"
            f" {len(follower.scores):,} predictions are on the log.",
            style="bold cyan",
        )

    def _recover(self, service: Child, ticker: Ticker) -> None:
        """Waits for the service's own report of its recovery, and shows it."""
        started_s = time.monotonic()
        said = None
        for _ in _looks(service):
            service.must_run()
            said = service.event("recovered")
            if said is not None:
                break
            waited_s = time.monotonic() - started_s
            ticker.say(
                f"    starting, and replaying what came after its snapshot: {waited_s:.0f} s"
            )
        assert said is not None, "the looks end with it, or in an error"
        assert self.crash is not None, "recovery follows a crash"
        outcome = f"recovered in {said['seconds']:.1f} s, digest equal"
        origin = "from the first event on" if said["snapshot"] is None else "after its snapshot"
        self.crash = Crash(self.crash.time, outcome)
        self._say(
            f"{outcome.capitalize()}: {said['digest'][:16]}, as the journal has it.\n"
            f"Replayed {origin}: {said['records']:,} events and labels;"
            f" at work in {time.monotonic() - started_s:.1f} s.",
            style="bold cyan",
        )

    def _end(
        self, follower: Follower, rows: pa.Table, stopped: dict[str, Any], streamed_s: float
    ) -> int:
        """Prints what came of it; gives the exit code."""
        flights = scored(rows, follower.scores)
        numbers = figures(flights)
        days, weeks = by_day(flights), by_week(flights)
        picture.draw(self.place.picture, days, weeks, numbers, follower.marks, self.crash)
        self._say("")
        self._print(summary.figure_lines(numbers))
        self._say("")
        self._print(summary.alert_lines(follower.marks))
        self._say("")
        wrong = self._count(follower, rows, stopped)
        self._say(f"The digest of all that was decided: {stopped['digest'][:16]}.")
        self._say(f"The picture of the year: {shown(self.place.picture)}")
        seconds = time.monotonic() - self.started_s
        self._say(
            f"{seconds:.0f} s in all, {streamed_s:.0f} s of them streaming;"
            f" {_cpu_s():.0f} s of processor time."
        )
        for line in wrong:
            print(f"error: {line}", file=sys.stderr)
        if wrong:
            return 1
        self._say("")
        self._print(summary.own_data_lines())
        return 0

    def _count(self, follower: Follower, rows: pa.Table, stopped: dict[str, Any]) -> list[str]:
        """Says whether each event has its one prediction; gives what is wrong."""
        ids = set(rows[events.ID].to_pylist())
        missing, unknown = ids - follower.scores.keys(), follower.scores.keys() - ids
        self._say(
            f"{len(ids):,} events, {stopped['labels']:,} labels, {len(follower.scores):,}"
            f" predictions: {len(missing)} missing, {len(follower.twice)} twice."
        )
        counts = {
            "events without a prediction": len(missing),
            "events with two predictions": len(follower.twice),
            "predictions of no event": len(unknown),
            "records that the service could not use": stopped["dead_letters"],
            "labels that it did not join": _labels(rows) - stopped["labels"],
        }
        return [f"{what}: {count:,}" for what, count in counts.items() if count]

    def _ingest(self) -> Child:
        return self._start("ingest", self.place.configuration, "--input", self.place.rows, *LABELS)

    def _serve(self) -> Child:
        return self._start("run", self.place.configuration, "--log-format", "json")

    def _start(self, *words: str | Path) -> Child:
        told = [shown(word) if isinstance(word, Path) else word for word in words]
        line = " ".join((f"$ {shown(DRIFTLINE)}", *told))
        lines = wrap(line, 76, subsequent_indent="    ", break_on_hyphens=False)
        self._say(" \\\n".join(lines), style="dim")
        return Child(*words)

    def _say(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style))

    def _print(self, lines: Sequence[Text]) -> None:
        for line in lines:
            self.console.print(line)


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "var" / "demo", help="where to keep everything"
    )
    parser.add_argument(
        "--until", type=date.fromisoformat, default=date(2014, 1, 1), help="leave out from this day"
    )
    parser.add_argument(
        "--kill", type=date.fromisoformat, default=date(2013, 7, 4), help="kill -9 on this day"
    )
    parser.add_argument(
        "--kafka",
        metavar="HOST:PORT",
        help="on this Kafka, in topics of its own, and not on SQLite",
    )
    parser.add_argument(
        "--beforehand", action="store_true", help="put the whole file on the log before the start"
    )
    return parser.parse_args(arguments)


def _looks(child: Child, progress: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Yields again and again.

    Raises ChildFailedError when the child has ended badly or nothing moved for two minutes.
    """
    reached, since_s = progress(), time.monotonic()
    while True:
        yield
        child.is_done()
        if progress() != reached:
            reached, since_s = progress(), time.monotonic()
        if time.monotonic() - since_s > STALLED_S:
            raise child.failure(f"has done nothing for {STALLED_S:.0f} s")
        time.sleep(LOOK_S)


def _labels(rows: pa.Table) -> int:
    return int(rows.num_rows - rows[events.LABEL].null_count)


def _cpu_s() -> float:
    """Processor time of this process and of the commands that it ran."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    sys.exit(main())

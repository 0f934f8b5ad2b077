"""The second act: three days of flipped labels go into the model, and one command takes them out.

    python -m examples.flights.poisoning

A feed turns round for three days in March: what was late is said to be punctual. The service
learns it, and says that something is wrong. `driftline rollback --skip labels:…` brings back the
model that never saw those labels; from then on it predicts, to the bit, what a run predicts that
never got them. The picture has three lines on the true labels: clean, poisoned, rolled back.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from textwrap import wrap

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from consumers.transports import open_log
from examples.flights import events
from examples.flights.demo import LABELS
from examples.flights.place import ROOT, Place, UnfitError, shown
from examples.flights.poisoning_picture import draw
from examples.flights.processes import DRIFTLINE, Child, ChildFailedError, output_of
from examples.flights.results import Scored, auc, by_day, scored
from examples.flights.source import read_year
from examples.flights.storms import NEW_YORK
from examples.flights.zones import DAY_MS

FIRST, LAST = date(2013, 3, 1), date(2013, 4, 2)
FLIPPED = date(2013, 3, 20)
DAYS = 3
NOTICED = datetime(2013, 3, 23, 6, tzinfo=NEW_YORK)
AFTERMATH_DAYS = 3
LINES = ("clean", "poisoned", "rolled back")

Scores = dict[str, float | None]


@dataclass(frozen=True)
class Files:
    """What the act reads and leaves, all in one folder."""

    folder: Path

    def rows(self, name: str) -> Path:
        """The flights with their labels as `name` has them: `true`, `flipped`, `without`."""
        return self.folder / f"{name}.parquet"

    def predictions(self, name: str) -> Path:
        """What a back-test of those rows predicts."""
        return self.folder / f"{name}.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays the act; 0 if all of it was as it should be, 1 if not, 2 if it cannot be played."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "rollback-demo")
    try:
        return Act(
            Console(highlight=False, soft_wrap=True), parser.parse_args(arguments).folder
        ).play()
    except UnfitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ChildFailedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is left running", file=sys.stderr)
        return 130


class Act:
    """One performance, in a folder that is emptied first."""

    def __init__(self, console: Console, folder: Path) -> None:
        self.console = console
        self.files = Files(folder)

    def play(self) -> int:
        """Plays it from the file to the picture; gives the exit code."""
        started_s = time.monotonic()
        Place(self.files.folder).clear()
        rows, first, last = self._prepare()
        config = Place(self.files.folder).configure()
        self._say(
            f"{rows.num_rows:,} flights, from {FIRST:%B} {FIRST.day} to {LAST:%B} {LAST.day}. From "
            f"{FLIPPED:%B} {FLIPPED.day} on a feed turns round: for {DAYS} days what was late is "
            "said to be punctual."
        )
        with self._backtests(config) as scores:
            served, applied = self._serve(config, first, last)
        return self._end(rows, {**scores, "rolled back": served}, applied, started_s)

    def _prepare(self) -> tuple[pa.Table, int, int]:
        """Writes the three files; gives the true rows, and the first and the last flipped label's
        offset."""
        year = events.table(read_year())
        local = pc.local_timestamp(year[events.TIME].cast(pa.timestamp("ms", NEW_YORK.key)))
        day = local.cast(pa.date32())
        rows = year.filter(pc.and_(pc.greater_equal(day, FIRST), pc.less_equal(day, LAST)))
        arrived = rows[events.LABEL_TIME]
        begin = datetime(FLIPPED.year, FLIPPED.month, FLIPPED.day, tzinfo=NEW_YORK)
        bounds = [pa.scalar(at, arrived.type) for at in (begin, begin + timedelta(days=DAYS))]
        hit = pc.fill_null(
            pc.and_(pc.greater_equal(arrived, bounds[0]), pc.less(arrived, bounds[1])), False
        )
        late = rows[events.LABEL]
        nothing = pa.scalar(None, pa.bool_())
        variants = {
            "true": late,
            "flipped": pc.if_else(hit, pc.invert(late), late),
            "without": pc.if_else(hit, nothing, late),
        }
        for name, labels in variants.items():
            place = rows.schema.get_field_index(events.LABEL)
            pq.write_table(rows.set_column(place, events.LABEL, labels), self.files.rows(name))
        # On the labels topic they lie in the order in which they became known.
        known = np.sort(arrived.drop_null().cast(pa.int64()).to_numpy())
        first, end = (
            int(np.searchsorted(known, bound.cast(pa.int64()).as_py())) for bound in bounds
        )
        return rows, first, end - 1

    @contextmanager
    def _backtests(self, config: Path) -> Iterator[dict[str, Scores]]:
        """Runs beside the service what it is compared with; at the end the scores are there."""
        found: dict[str, Scores] = {}
        with ExitStack() as stack:
            children = {
                name: stack.enter_context(
                    Child(
                        "backtest",
                        config,
                        "--input",
                        self.files.rows(name),
                        *LABELS,
                        "--predictions",
                        self.files.predictions(name),
                    )
                )
                for name in ("true", "flipped", "without")
            }
            yield found
            for child in children.values():
                child.finish()
        for name, line in (("true", "clean"), ("flipped", "poisoned"), ("without", "without")):
            with self.files.predictions(name).open("rb") as file:
                found[line] = dict(map(_score, file))

    def _serve(self, config: Path, first: int, last: int) -> tuple[Scores, int]:
        """The service on the flipped labels, and what is done when somebody notices; gives its
        scores, and how many events had been predicted by then."""
        rows = ("--input", self.files.rows("flipped"), *LABELS)
        self._run("ingest", config, *rows, "--until", NOTICED.isoformat())
        self._run("run", config, "--until-idle")
        since = f"{FLIPPED}T00:00:00-04:00"
        alerts = orjson.loads(
            self._run("alerts", "list", "-c", config, "--since", since, "--json")
        )["alerts"]
        for alert in alerts:
            at = datetime.fromisoformat(alert["time"]).astimezone(NEW_YORK)
            self._say(
                f"    {at:%b %d %H:%M}  {alert['severity']:8}  {alert['detector']}", style="red"
            )
        log = open_log(f"sqlite:{self.files.folder / 'flights.db'}", "flights")
        applied = log.end_offset("predictions", 0)
        self._say(
            f"{NOTICED:%B} {NOTICED.day}, {NOTICED:%H:%M}: somebody looks. The labels {first:,} to "
            f"{last:,} are wrong."
        )
        self._run(
            "rollback",
            "--skip",
            f"labels:0:{first}-{last}",
            "-c",
            config,
            "--yes",
            "--reason",
            "the feed had turned round",
        )
        self._run("run", config, "--until-idle")
        self._run("ingest", config, *rows)
        self._run("run", config, "--until-idle")
        served = dict(_score(record.value or b"") for record in log.read("predictions", 0, 0))
        assert len(served) == log.end_offset("predictions", 0), "each flight is predicted once"
        log.close()
        return served, applied

    def _end(
        self, rows: pa.Table, scores: Mapping[str, Scores], applied: int, started_s: float
    ) -> int:
        """Draws and tells what came of it; gives the exit code."""
        lines = {name: scored(rows, scores[name]) for name in LINES}
        picture = self.files.folder / "rollback.png"
        draw(picture, {name: by_day(line) for name, line in lines.items()}, FLIPPED, DAYS, NOTICED)
        after = {name: _auc_after(line) for name, line in lines.items()}
        self._say("")
        self._say(f"AUC on the true labels of the {AFTERMATH_DAYS} days from then on:")
        for name, value in after.items():
            self._say(
                f"    {name:12} {value:.3f}", style="bold green" if name != "poisoned" else "red"
            )
        ids = rows[events.ID].to_pylist()
        later = ids[applied:]
        other = sum(scores["rolled back"][one] != scores["without"][one] for one in later)
        self._say(
            f"{len(later):,} predictions after the rollback; {other} differ from those of a run "
            "that never got the wrong labels."
        )
        self._say(f"The picture: {shown(picture)}; {time.monotonic() - started_s:.0f} s in all.")
        wrong = {
            "flights without a prediction": len(ids) - len(scores["rolled back"]),
            "predictions that differ": other,
        }
        for what, count in wrong.items():
            if count:
                print(f"error: {what}: {count:,}", file=sys.stderr)
        return 1 if any(wrong.values()) else 0

    def _run(self, *words: str | Path) -> str:
        """Runs a command and shows it; gives what it printed."""
        told = [shown(word) if isinstance(word, Path) else word for word in words]
        line = " ".join((f"$ {shown(DRIFTLINE)}", *[f'"{w}"' if " " in w else w for w in told]))
        self._say(
            " \\\n".join(wrap(line, 76, subsequent_indent="    ", break_on_hyphens=False)),
            style="dim",
        )
        return output_of(*words)

    def _say(self, text: str, style: str = "") -> None:
        self.console.print(text, style=style, markup=False)


def _score(line: bytes) -> tuple[str, float | None]:
    body = orjson.loads(line)
    odds = body["probabilities"]
    return body["id"], None if odds is None else odds["true"]


def _auc_after(line: Scored) -> float:
    """Over the days after the rollback."""
    first = NOTICED.date().toordinal() - date(1970, 1, 1).toordinal()
    day = line.local_ms // DAY_MS
    chosen = line.take((day >= first) & (day < first + AFTERMATH_DAYS) & (line.late >= 0))
    found = auc(chosen.score, chosen.late)
    assert found is not None, "on those days some flights were late"
    return found


if __name__ == "__main__":
    sys.exit(main())

"""`driftline dead-letters`: records that could not be used, and their way back."""

from __future__ import annotations

import re
from collections import Counter, deque
from typing import Annotated, Any

import typer

from consumers.times import format_time
from consumers.transport import Log
from stream.cli import options, output
from stream.cli.commanding import DryRunOption, YesOption, confirm
from stream.configuration import load_file
from stream.dead_letter_topic import (
    Letter,
    Place,
    RedrivePlan,
    Selection,
    plan_redrive,
    read_letters,
    redrive,
)
from stream.errors import DeadLetterError
from stream.opening import open_service_log

dead_letters_app = typer.Typer(no_args_is_help=True, help="Records that could not be used.")

_OFFSETS = re.compile(r"(?:(\d+):)?(\d+)(?:-(\d+))?")

ReasonsOption = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="REASON", help="Of this reason; may be repeated."),
]


@dead_letters_app.command("list")
def list_command(
    config: options.ConfigOption = None,
    reason: ReasonsOption = None,
    last: Annotated[
        int, typer.Option("--last", metavar="N", min=1, help="The newest N of them.")
    ] = 1_000,
    as_json: options.JsonOption = False,
) -> None:
    """List dead letters, newest last.

    Example: driftline dead-letters list -c flights.yaml --reason bad_time
    """
    counts: Counter[str] = Counter()
    newest: deque[Letter] = deque(maxlen=last)
    with open_service_log(load_file(config), create=False) as log:
        for letter in read_letters(log, Selection(reasons=reason or ())):
            counts[letter.place.reason] += 1
            newest.append(letter)
    if as_json:
        body = {"reasons": dict(counts), "dead_letters": [_body(letter) for letter in newest]}
        output.print_json(body)
        return
    if not newest:
        output.stdout.print("no such dead letters")
        return
    columns = ["offset", "written", "reason", "of", "bytes", "detail"]
    output.print_table("", columns, [_row(letter) for letter in newest])
    told = ", ".join(f"{output.number(count)} {name}" for name, count in counts.items())
    shown = f"; the newest {output.number(last)} are shown" if counts.total() > last else ""
    output.stdout.print(f"{told}{shown}", highlight=False, markup=False, soft_wrap=True)


@dead_letters_app.command("redrive")
def redrive_command(
    config: options.ConfigOption = None,
    reason: ReasonsOption = None,
    offsets: Annotated[
        str | None,
        typer.Option("--offsets", metavar="[P:]A-B", help="Those from A to B, of partition P."),
    ] = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Put the records of dead letters on the log again, as they were, to be tried anew.

    Each letter is redriven once. Cut ones cannot be, nor can commands.

    Example: driftline dead-letters redrive -c flights.yaml --reason bad_label --dry-run
    """
    if reason is None and offsets is None:
        raise DeadLetterError(
            "which dead letters to redrive must be said",
            "give --reason or --offsets; driftline dead-letters list shows them",
        )
    with open_service_log(load_file(config), create=False) as log:
        plan = plan_redrive(log, _selection(log, reason or [], offsets))
        if not as_json:
            _print_plan(plan)
        if dry_run:
            done = [(place, None) for place in plan.places]
            _print_done(done, plan, as_json=as_json, dry_run=True)
            return
        if not confirm("Redrive them?", yes=yes):
            raise typer.Exit(output.WRONG_INPUT)
        with output.progress("redrive", len(plan.places)) as bar:
            written = redrive(log, plan, lambda count: bar.update(bar.task_ids[0], completed=count))
        _print_done(written, plan, as_json=as_json)


def _selection(log: Log, reasons: list[str], offsets: str | None) -> Selection:
    if offsets is None:
        return Selection(reasons)
    found = _OFFSETS.fullmatch(offsets)
    if found is None:
        raise DeadLetterError(
            f"--offsets is written A-B or P:A-B, not {offsets!r}",
            "P is the partition, A and B the first and last offset, both included",
        )
    partition, first, last = found.groups()
    count = log.partitions()
    if partition is None and count > 1:
        raise DeadLetterError(
            f"--offsets must name the partition, of which there are {count}",
            f"write 0:{offsets} for partition 0",
        )
    if int(partition or 0) >= count:
        raise DeadLetterError(
            f"there is no partition {partition}", f"partitions are 0 to {count - 1}"
        )
    return Selection(reasons, int(partition or 0), int(first), int(last or first))


def _print_plan(plan: RedrivePlan) -> None:
    counts = Counter((place.topic, place.reason) for place in plan.places)
    lines = [
        f"{output.number(count)} {reason} go to {topic} again"
        for (topic, reason), count in counts.items()
    ]
    lines += [f"not redriven: {place.name} {why}" for place, why in plan.refused]
    for line in lines:
        output.stderr.print(line, highlight=False, markup=False, soft_wrap=True)


def _print_done(
    done: list[tuple[Place, int]] | list[tuple[Place, None]],
    plan: RedrivePlan,
    *,
    as_json: bool,
    dry_run: bool = False,
) -> None:
    if as_json:
        output.print_json(
            {
                "redriven": [{**_where(place), "new_offset": new} for place, new in done],
                "refused": [{**_where(place), "why": why} for place, why in plan.refused],
            }
        )
    elif not dry_run:
        output.stdout.print(f"{output.number(len(done))} redriven", highlight=False)


def _where(place: Place) -> dict[str, Any]:
    return {
        "partition": place.partition,
        "offset": place.offset,
        "reason": place.reason,
        "source": {
            "topic": place.topic,
            "partition": place.source_partition,
            "offset": place.source_offset,
        },
    }


def _body(letter: Letter) -> dict[str, Any]:
    return {
        **_where(letter.place),
        "detail": letter.detail,
        "written": format_time(letter.written_ms),
        "size_bytes": letter.size_bytes,
        "truncated": letter.is_truncated,
        "key": _text(letter.key),
        "value": _text(letter.value),
    }


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")


def _row(letter: Letter) -> list[str]:
    place = letter.place
    return [
        place.name,
        format_time(letter.written_ms),
        place.reason,
        f"{place.topic}:{place.source_partition}:{place.source_offset}",
        output.number(letter.size_bytes),
        " ".join(letter.detail.split()),
    ]

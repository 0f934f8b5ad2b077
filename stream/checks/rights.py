"""Whether the user of this configuration may do what the service needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from consumers.inspection import WORKER, Inspection, Right
from stream.checks.finding import Finding


def check_rights(cluster: Inspection) -> Iterator[Finding]:
    """A finding for each operation on resources of one kind that is missing."""
    missing: dict[tuple[str, str, str], list[Right]] = {}
    for right in cluster.missing_rights():
        missing.setdefault((right.needed_by, right.operation, right.kind), []).append(right)
    for (needed_by, operation, kind), rights in missing.items():
        names = ", ".join(right.name for right in rights)
        yield Finding(
            "rights",
            "problem" if needed_by == WORKER else "warning",
            f"this user lacks {operation} on {kind} {names}, which {needed_by} needs",
            _hint(operation, kind, rights),
        )
    if not missing:
        yield Finding("rights", "ok", "this user may do all that the service needs")


def _hint(operation: str, kind: str, rights: Iterable[Right]) -> str:
    option = {"topic": "--topic", "group": "--group", "transactional id": "--transactional-id"}
    names = [right.name for right in rights]
    prefix = names[0].endswith("*")
    resources = " ".join(f"{option[kind]} {name.removesuffix('*')}" for name in names)
    pattern = " --resource-pattern-type prefixed" if prefix else ""
    granted = "".join(part.capitalize() for part in operation.split("_"))
    return (
        "kafka-acls.sh --bootstrap-server HOST:PORT --add --allow-principal User:NAME "
        f"--operation {granted} {resources}{pattern}"
    )

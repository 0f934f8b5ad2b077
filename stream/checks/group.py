"""Who works for the service, and whether anybody is in its group who does not belong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from consumers.inspection import GroupFacts, Inspection, MemberFacts
from consumers.transport import INPUTS
from stream.checks.finding import Finding, listed

_OURS_ALONE = "let only driftline's workers join the group; give other readers one of their own"


def check_group(cluster: Inspection, shards: int) -> Iterator[Finding]:
    """The members of the group, and which shard each of them holds."""
    yield from judge_group(cluster.group(), cluster.names, shards)


def judge_group(group: GroupFacts, names: Mapping[str, str], shards: int) -> Iterator[Finding]:
    """The same of what the coordinator has said."""
    if not group.members:
        yield Finding("group", "ok", "no worker is running")
        return
    inputs = {names[role] for role in INPUTS}
    strange = [finding for one in group.members for finding in _strange(one, group, inputs)]
    yield from strange
    if group.state != "Stable":
        yield Finding(
            "group",
            "warning",
            f"the group {group.name} is giving out its shards anew ({group.state}), to "
            f"{len(group.members)} members",
            "ask again in some seconds; if it stays so, look at the workers' logs",
        )
        return
    if not strange and group.protocol != "range":
        yield Finding(
            "group",
            "problem",
            f"the group {group.name} gives out partitions by {group.protocol}, not by range: "
            "it splits shards",
            _OURS_ALONE,
        )
    yield from _shards(group, inputs, shards)


def _strange(member: MemberFacts, group: GroupFacts, inputs: set[str]) -> Iterator[Finding]:
    who = f"{member.instance or member.client} on {member.host}"
    if member.subscribed and member.subscribed != inputs:
        yield Finding(
            "group",
            "problem",
            f"{who} is in the group {group.name} and reads {listed(sorted(member.subscribed))}, "
            "not the service's inputs: shards are split, and its workers stop",
            _OURS_ALONE,
        )
    if member.instance is None:
        yield Finding(
            "group",
            "problem",
            f"{who} is in the group {group.name} without a static name (group.instance.id), which "
            "every worker has: shards move whenever it comes or goes",
            _OURS_ALONE,
        )
    elif not member.instance.startswith(f"{group.name}-"):
        yield Finding(
            "group",
            "problem",
            f"{who} is in the group {group.name} under a name that no worker of it has",
            _OURS_ALONE,
        )


def _shards(group: GroupFacts, inputs: set[str], shards: int) -> Iterator[Finding]:
    whole: set[int] = set()
    for member in group.members:
        who = f"{member.instance or member.client} on {member.host}"
        held = {topic: member.holds.get(topic, frozenset()) for topic in inputs}
        parts = set().union(*held.values())
        own = {shard for shard in parts if all(shard in of for of in held.values())}
        whole |= own
        if own:
            yield Finding("group", "ok", f"{who} has shards {listed(sorted(own))}")
        elif not parts and member.subscribed == inputs:
            yield Finding(
                "group", "ok", f"{who} has no shard: there are more workers than partitions"
            )
        if parts - own:
            yield Finding(
                "group",
                "problem",
                f"{who} has shards {listed(sorted(parts - own))} without all of their inputs",
                _OURS_ALONE,
            )
    nobody = sorted(set(range(shards)) - whole)
    if nobody:
        yield Finding(
            "group",
            "problem",
            f"no member has all inputs of shards {listed(nobody)}: nobody works on them",
            "look at the workers' logs; restart them if they hang",
        )

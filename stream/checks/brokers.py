"""Whether the brokers are there, new enough, and keep enough copies of the topics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from consumers.inspection import BrokerFacts, Inspection, PartitionFacts, TopicFacts
from consumers.transport import TOPICS
from stream.checks.finding import Finding, listed

_LEADERLESS: Final = "no broker leads"
_INSYNC: Final = "min.insync.replicas"


def check_brokers(cluster: Inspection) -> Iterator[Finding]:
    """The brokers by themselves."""
    yield from judge_brokers(cluster.brokers())


def judge_brokers(brokers: Iterable[BrokerFacts]) -> Iterator[Finding]:
    """One that is away is a warning: what it means for the topics is found with them."""
    here = []
    for broker in brokers:
        where = f"broker {broker.number} at {broker.address}"
        if broker.away:
            yield Finding("brokers", "warning", f"{where} is away", "start it, or look at its log")
        elif broker.lacks:
            yield Finding(
                "brokers",
                "problem",
                f"{where} is Kafka {broker.version}, without {listed(broker.lacks)}",
                "upgrade the brokers: Kafka 2.5 is the least, 3.0 tells of hanging transactions",
            )
        else:
            here.append(broker)
    if here:
        versions = listed(sorted({broker.version for broker in here}))
        yield Finding("brokers", "ok", f"{len(here)} can be reached: Kafka {versions}")


def check_topics(cluster: Inspection) -> Iterator[Finding]:
    """Whether all topics are there, and enough copies of each partition.

    Says nothing where none is there yet, nor of partition counts: the log itself refuses those;
    nor of what is hidden from this user: the check of its rights tells of it.
    """
    topics = cluster.topics()
    if not topics:
        return
    missing = [cluster.names[role] for role in TOPICS if role not in topics]
    if missing:
        yield Finding(
            "topics",
            "problem",
            f"there is no {listed(missing)}, though the others are there",
            "if a topic was lost, begin anew from the snapshots: driftline topics create --from; "
            "else driftline topics create",
        )
    elif not any(topic.hidden for topic in topics.values()):
        yield Finding("topics", "ok", f"all {len(topics)} are there")
    seen = {role: topic for role, topic in topics.items() if not topic.hidden}
    if seen:
        yield from _copies(cluster, seen)


def is_unreadable(finding: Finding) -> bool:
    """Whether a finding of `check_topics` means that whoever reads the log now waits in vain."""
    return finding.check == "replicas" and finding.detail.startswith(_LEADERLESS)


def _copies(cluster: Inspection, topics: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    settings = cluster.settings()
    ours = sorted(topics.values(), key=lambda topic: topic.name)
    found = [*ours, *[topic for topic in cluster.internal_topics() if not topic.hidden]]
    well = True
    for told in (_without_leader(found), _scarce(topics, settings), _behind(found), _single(found)):
        for finding in told:
            well = False
            yield finding
    weak = [
        topics[role].name
        for role, said in settings.items()
        if role in topics and _replicas(topics[role]) > 1 and said[_INSYNC] == "1"
    ]
    if weak:
        well = False
        yield Finding(
            "replicas",
            "warning",
            f"one copy is enough to acknowledge a record of {listed(weak)}: if that broker dies "
            "before the others have it, it is lost",
            f"set {_INSYNC}=2, with 3 replicas",
        )
    if well:
        copies = min(_replicas(topic) for topic in found)
        yield Finding("replicas", "ok", f"{copies} copies or more of each partition, all in sync")


def _without_leader(topics: Iterable[TopicFacts]) -> Iterator[Finding]:
    dead = _partitions(topics, lambda p: not p.led)
    if dead:
        yield Finding(
            "replicas",
            "problem",
            f"{_LEADERLESS} {listed(dead)}: nothing is read or written there",
            "start the brokers that have them; what the log holds is checked when they are back",
        )


def _scarce(
    topics: Mapping[str, TopicFacts], settings: Mapping[str, Mapping[str, str]]
) -> Iterator[Finding]:
    """Partitions that refuse writes: fewer copies are up to date than acknowledgements need."""
    never, now = [], []
    for role, said in settings.items():
        if role not in topics:
            continue
        topic, least = topics[role], int(said[_INSYNC])
        if least > _replicas(topic):
            never.append(f"{topic.name} ({_replicas(topic)} of {least})")
        else:
            now += [
                f"{topic.name}-{p.partition}"
                for p in topic.partitions
                if p.led and p.in_sync < least
            ]
    if never:
        yield Finding(
            "replicas",
            "problem",
            f"{_INSYNC} is more than the replicas of {listed(never)}: every write is refused",
            f"lower {_INSYNC}, or give the topics more replicas",
        )
    if now:
        yield Finding(
            "replicas",
            "problem",
            f"fewer copies than {_INSYNC} are in sync of {listed(now)}: writes are refused",
            "start the brokers that are away",
        )


def _behind(topics: Iterable[TopicFacts]) -> Iterator[Finding]:
    behind = _partitions(topics, lambda p: p.led and p.in_sync < p.replicas)
    if behind:
        yield Finding(
            "replicas",
            "problem",
            f"not all copies are in sync of {listed(behind)}",
            "start the brokers that are away; where none is, look at their disks and networks",
        )


def _single(topics: Iterable[TopicFacts]) -> Iterator[Finding]:
    single = [topic.name for topic in topics if _replicas(topic) == 1]
    if single:
        yield Finding(
            "replicas",
            "warning",
            f"there is one copy of {listed(single)}: a lost disk is a lost log, and the service "
            "stands while its broker is away",
            "on more than one broker give them 3 replicas (kafka-reassign-partitions.sh), with "
            f"{_INSYNC}=2",
        )


def _partitions(
    topics: Iterable[TopicFacts], chosen: Callable[[PartitionFacts], bool]
) -> list[str]:
    return [
        f"{topic.name}-{partition.partition}"
        for topic in topics
        for partition in topic.partitions
        if chosen(partition)
    ]


def _replicas(topic: TopicFacts) -> int:
    return min((partition.replicas for partition in topic.partitions), default=0)

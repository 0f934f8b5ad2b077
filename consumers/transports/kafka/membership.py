"""A member's standing in its group: in it, on the way, stuck, or replaced by another."""

from __future__ import annotations

import time
from typing import Any

from kafka import errors as kafka_errors
from kafka.structs import MemberState

from consumers.errors import FencedError, LogUnavailableError
from consumers.transports.kafka.client import (
    FENCED_HINT,
    Cluster,
    admin,
    close_quietly,
    translated,
)

# Joining takes a second; a group that is not stable for longer than this is stuck …
JOIN_S = 10.0
# … unless the broker holds one and the same request to join, since another member is still busy.
_HELD_S = 2.0
# A newcomer fences this one's producer a second before it is in the group itself.
_NEWCOMER_S = 3.0


class Membership:
    """The identity to commit with, taken right after each poll.

    Never that of a member which the group has put out: (-1, ''), the identity it would then have,
    is one that the broker accepts from anybody.
    """

    def __init__(self, at: Cluster, consumer: Any, group: str, instance: str) -> None:
        self.identity: Any = None
        self._at = at
        self._consumer = consumer
        self._group = group
        self._instance = instance
        self._stable_s = time.monotonic()
        self._joining: Any = None
        self._joining_s = 0.0

    def look(self) -> None:
        """Takes the identity of this moment.

        Raises `FencedError` if another has taken this one's place, and `LogUnavailableError` if
        the group has not come to rest for so long that the client must be stuck.
        """
        found = self._consumer.group_metadata()
        coordinator = self._consumer._coordinator
        now_s = time.monotonic()
        if found.state == MemberState.STABLE and is_member(found):
            # The client stops its heartbeats when it hears of the other, and says nothing.
            if not coordinator._heartbeat_enabled and self.is_replaced():
                raise FencedError(
                    f"another worker has taken over {self._instance}, this one's identity",
                    FENCED_HINT,
                )
            self.identity = found
            self._stable_s = now_s
            return
        task = coordinator._join_task
        if task is not self._joining:
            self._joining, self._joining_s = task, now_s
        held = task is not None and not task.is_done and now_s - self._joining_s > _HELD_S
        if now_s - self._stable_s > JOIN_S and not held:
            raise LogUnavailableError(
                f"the group {self._group} was not stable for {JOIN_S:.0f} s",
                "look at the broker's log; the worker joins anew by itself",
            )

    def is_replaced(self, wait_s: float = 0.0) -> bool:
        """Whether the group has another member under this one's name; waits for one to come."""
        mine = None if self.identity is None else self.identity.member_id
        deadline_s = time.monotonic() + wait_s
        with translated(self._at):
            client = admin(self._at)
            try:
                while True:
                    members = client.describe_groups([self._group])[self._group]["members"]
                    others = [
                        member["member_id"]
                        for member in members
                        if member["group_instance_id"] == self._instance
                    ]
                    if any(other != mine for other in others):
                        return True
                    if time.monotonic() >= deadline_s:
                        return False
                    time.sleep(0.1)
            finally:
                close_quietly(client)

    def is_replaced_soon(self) -> bool:
        """The same after this one's producer was fenced; False where nobody can tell."""
        try:
            return self.is_replaced(_NEWCOMER_S)
        except (LogUnavailableError, kafka_errors.KafkaError):
            return False


def is_member(identity: Any) -> bool:
    """Whether an identity is that of a member: the broker takes a generation of -1 from anybody."""
    return bool(identity.member_id) and identity.generation_id >= 0

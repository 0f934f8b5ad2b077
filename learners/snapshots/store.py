"""The store: objects written once under a key, in a folder or in the cloud.

A store knows nothing of what the bytes mean. `opening.open_store` picks one by URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from learners.errors import StoreError


class StoredObject(NamedTuple):
    """One object as listed; `modified_ms` is the store's own clock."""

    key: str
    size_bytes: int
    modified_ms: int


class SnapshotStore(Protocol):
    """Immutable objects by key.

    Keys are path segments of [A-Za-z0-9._-] joined by slashes; a prefix is whole segments. Every
    method may raise StoreError, whose message tells the store, the key and the cause, and never a
    secret. Safe to use from several threads and processes.
    """

    @property
    def name(self) -> str:
        """The URL, for messages."""

    def put(self, key: str, data: bytes, *, same: Callable[[bytes], bool] | None = None) -> bool:
        """Whether the object was created; False if it was there with the same content.

        On return it is whole and durable; a reader never sees a part of it. An object that is
        there is never replaced.

        Parameters
        ----------
        same
            Whether other bytes that stand under the key are the same content; without it only
            equal bytes are.

        Raises
        ------
        StoreError
            Also if the key is taken by other content.
        """

    def get(self, key: str) -> bytes | None:
        """The object's bytes, or None if there is none."""

    def head(self, key: str) -> int | None:
        """The object's size in bytes, or None if there is none."""

    def list(self, prefix: str = "") -> list[StoredObject]:
        """All objects under the prefix, sorted by key; nothing half-written is among them."""

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens if there is none."""


def check_key(key: str) -> None:
    """Assert that a key is one that every store takes and no folder is left by."""
    assert all(re.fullmatch(r"[A-Za-z0-9_\-][A-Za-z0-9._\-]*", part) for part in key.split("/")), (
        key
    )


def check_same(
    store: SnapshotStore,
    key: str,
    data: bytes,
    found: bytes,
    same: Callable[[bytes], bool] | None,
) -> None:
    """Raise StoreError unless what was found under the key is the content to be put."""
    if found == data or (same is not None and same(found)):
        return
    raise StoreError(
        f"an object is written once; {key} in {store.name} is there with other content",
        hint="move that object away: it is damaged, or written by something else",
    )

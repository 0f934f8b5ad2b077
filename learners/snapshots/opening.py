"""From a URL to its store: a folder, S3, Google Cloud, Azure, or memory."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from learners.errors import StoreError
from learners.snapshots.local import LocalStore
from learners.snapshots.remote import open_remote
from learners.snapshots.settings import SnapshotsSettings
from learners.snapshots.store import SnapshotStore


def open_store(settings: SnapshotsSettings) -> SnapshotStore:
    """The store at `settings.url`: file:PATH, s3://, gs://, az:// (each /PREFIX), or memory:.

    Nothing is created or reached yet; each memory: is a new, empty one.

    Raises
    ------
    StoreError
        For a URL that names no store, or settings that cannot work.
    """
    folder = local_folder(settings.url)
    if folder is not None:
        return LocalStore(folder)
    return open_remote(settings)


def local_folder(url: str) -> Path | None:
    """The folder of a `file:` URL, None for another scheme; a relative one counts from here.

    Raises
    ------
    StoreError
        For `file:` without a path, or with a host.
    """
    if not url.startswith("file:"):
        return None
    parts = urlsplit(url)
    path = url.removeprefix("file:")
    if parts.netloc or not path or not path.strip("/"):
        raise StoreError(
            f"a local snapshot store is file:PATH; got {url}",
            hint="such as file:var/snapshots or file:/var/lib/driftline/snapshots",
        )
    return Path(path.removeprefix("//"))

"""Snapshots in S3, GCS, Azure or memory, through obstore.

`put` asks the server to create only (`If-None-Match: *` on S3). A server that ignores that would
replace an object by one with the same key, which is the hash of the content: no harm.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from learners.errors import StoreError
from learners.snapshots.settings import SnapshotsSettings, is_endpoint
from learners.snapshots.store import StoredObject, check_key, check_same

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

_RETRIES: Final = 3


def open_remote(settings: SnapshotsSettings) -> RemoteStore:
    """The store at an s3://, gs://, az:// or memory: URL; nothing is reached yet.

    Raises
    ------
    StoreError
        For a URL that names no store, or settings that cannot work.
    """
    url = settings.url
    if url in {"memory:", "memory://"}:
        return RemoteStore(MemoryStore(), "memory:")
    parts = urlsplit(url)
    if parts.username is not None or parts.query or parts.fragment:
        raise StoreError(
            f"credentials and options do not belong into the snapshots' URL ({parts.scheme}://…)",
            hint="put them into the environment, such as AWS_ACCESS_KEY_ID",
        )
    if parts.scheme not in {"s3", "gs", "az"} or not parts.netloc:
        raise StoreError(
            f"snapshots are kept at file:PATH, s3://BUCKET, gs://, az:// or memory:; got {url}",
            hint="such as file:var/snapshots",
        )
    timeout = settings.timeout
    client: ClientConfig = {
        "timeout": timeout,
        "connect_timeout": min(timeout, timedelta(seconds=5)),
    }
    retry: RetryConfig = {
        "max_retries": _RETRIES,
        "retry_timeout": timeout,
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=2),
            "base": 2,
        },
    }
    bucket, prefix = parts.netloc, parts.path.strip("/") or None
    try:
        if parts.scheme == "s3":
            objects: ObjectStore = _open_s3(settings, bucket, prefix, client, retry)
        elif parts.scheme == "gs":
            objects = GCSStore(bucket, prefix=prefix, client_options=client, retry_config=retry)
        else:
            objects = AzureStore(bucket, prefix=prefix, client_options=client, retry_config=retry)
    except (BaseError, ValueError) as error:
        raise StoreError(
            f"cannot open {url}: {_first_line(error)}",
            hint="set what the provider wants in the environment, such as "
            "AZURE_STORAGE_ACCOUNT_NAME or GOOGLE_APPLICATION_CREDENTIALS",
        ) from None
    return RemoteStore(objects, url)


class RemoteStore:
    """A `SnapshotStore` over obstore; requests have a timeout and at most 3 retries."""

    def __init__(self, objects: ObjectStore, name: str) -> None:
        self._objects = objects
        self.name = name

    def __repr__(self) -> str:
        return f"RemoteStore({self.name!r})"

    def put(self, key: str, data: bytes, *, same: Callable[[bytes], bool] | None = None) -> bool:
        """Create the object; see `SnapshotStore.put`."""
        check_key(key)
        while True:
            with self._told("write", key):
                try:
                    # In one request: only that can be conditional. S3 takes up to 5 GB so.
                    obstore.put(self._objects, key, data, mode="create", use_multipart=False)
                    return True
                except AlreadyExistsError:
                    pass
                except FileNotFoundError as error:
                    # Nothing is looked for in a put but the bucket.
                    raise self._error("write", key, error) from None
            # Perhaps our own: the first attempt's answer was lost and it was tried again.
            found = self.get(key)
            if found is not None:  # else deleted in between
                check_same(self, key, data, found, same)
                return False

    def get(self, key: str) -> bytes | None:
        """The object's bytes, or None."""
        check_key(key)
        with self._told("read", key):
            try:
                return bytes(obstore.get(self._objects, key).bytes())
            except FileNotFoundError as error:
                self._check_absent("read", key, error)
                return None

    def head(self, key: str) -> int | None:
        """The object's size in bytes, or None."""
        check_key(key)
        with self._told("read", key):
            try:
                return obstore.head(self._objects, key)["size"]
            except FileNotFoundError as error:
                self._check_absent("read", key, error)
                return None

    def list(self, prefix: str = "") -> list[StoredObject]:
        """All objects under the prefix, sorted by key."""
        if prefix:
            check_key(prefix)
        with self._told("list", prefix):
            return sorted(
                StoredObject(
                    meta["path"], meta["size"], int(meta["last_modified"].timestamp() * 1000)
                )
                for page in obstore.list(self._objects, prefix or None)
                for meta in page
            )

    def delete(self, key: str) -> None:
        """Remove the object."""
        check_key(key)
        with self._told("delete", key):
            try:
                obstore.delete(self._objects, key)
            except FileNotFoundError as error:
                self._check_absent("delete", key, error)

    def _check_absent(self, verb: str, key: str, error: Exception) -> None:
        # "Not found" can also be the bucket, or with some servers the account.
        code = _code(error)
        if code not in {"", "NoSuchKey", "BlobNotFound"}:
            raise self._error(verb, key, error) from None

    @contextmanager
    def _told(self, verb: str, key: str) -> Iterator[None]:
        try:
            yield
        except BaseError as error:
            # `from None`: obstore's text dumps the whole request.
            raise self._error(verb, key, error) from None

    def _error(self, verb: str, key: str, error: Exception) -> StoreError:
        cause, hint = _diagnose(error)
        return StoreError(f"cannot {verb} {key or 'snapshots'} in {self.name}: {cause}", hint=hint)


def _open_s3(
    settings: SnapshotsSettings,
    bucket: str,
    prefix: str | None,
    client: ClientConfig,
    retry: RetryConfig,
) -> S3Store:
    given = settings.s3
    config: S3Config = {}
    endpoint = given.endpoint or _from_environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    if endpoint is not None:
        _check_endpoint(endpoint)
        config["endpoint"] = endpoint
    if given.region is not None:
        config["region"] = given.region
    if given.access_key_id is not None and given.secret_access_key is not None:
        config["access_key_id"] = given.access_key_id.get_secret_value()
        config["secret_access_key"] = given.secret_access_key.get_secret_value()
    # obstore forgets this variable once it is given options for the client.
    if given.allow_http or _from_environment("AWS_ALLOW_HTTP") in {"true", "1"}:
        client["allow_http"] = True
    return S3Store(bucket, prefix=prefix, config=config, client_options=client, retry_config=retry)


def _from_environment(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _check_endpoint(endpoint: str) -> None:
    # obstore aborts a thread on what is no URL.
    if not is_endpoint(endpoint):
        raise StoreError(
            f"the S3 endpoint must look like https://HOST; got {endpoint}",
            hint="correct AWS_ENDPOINT_URL, or snapshots.s3.endpoint",
        )


_CREDENTIALS: Final = (
    "check the credentials: for S3 snapshots.s3, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
_REFUSED: Final = frozenset(
    {
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "XAdminUserNotFound",
        "ExpiredToken",
        "InvalidToken",
        "AuthenticationFailed",
    }
)


def _diagnose(error: Exception) -> tuple[str, str | None]:
    """The cause in a few words and the way on."""
    text = str(error)
    code = _code(error)
    if code in {"NoSuchBucket", "ContainerNotFound"}:
        return "there is no such bucket", "create the bucket, or correct snapshots.url"
    if code in _REFUSED:
        return f"the credentials are refused ({code})", _CREDENTIALS
    if code in {"AccessDenied", "AuthorizationFailure"} or "403 Forbidden" in text:
        if "169.254.169.254" in text:
            return "there are no credentials", _CREDENTIALS
        return (
            f"permission is denied ({code or '403'})",
            "let the account list, read, write and delete under that prefix",
        )
    if "401 Unauthorized" in text:
        return "the credentials are refused (401)", _CREDENTIALS
    if "169.254.169.254" in text or "metadata.google" in text:
        return "there are no credentials", _CREDENTIALS
    if "BadScheme" in text:
        return (
            "the endpoint is plain http, which is not allowed",
            "use https, or set snapshots.s3.allow_http for a server on this machine",
        )
    if "error sending request" in text or "Connect" in text or "timed out" in text.lower():
        return (
            "the store cannot be reached",
            "check the endpoint and the network; the request was repeated 3 times",
        )
    return _first_line(error), None


def _code(error: Exception) -> str:
    """The code in the server's answer, or nothing."""
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found.group(1) if found else ""


def _first_line(error: Exception) -> str:
    # The rest may hold the request; an address may carry a token in its query.
    line = str(error).split("\n", 1)[0].split("<?xml", 1)[0]
    return re.sub(r"\?\S*", "", line).strip(" :")[:300]

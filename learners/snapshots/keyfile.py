"""Where the keys come from: the environment, a file, or made here on first use.

A key made here lies beside the folder of a local store (`var/snapshots` → `var/snapshots.key`),
never inside it: a copy of the store is no copy of the key.
"""

from __future__ import annotations

from pathlib import Path

from learners.errors import KeyMissingError
from learners.snapshots.durable import create_file, sweep
from learners.snapshots.local import LocalStore
from learners.snapshots.opening import local_folder
from learners.snapshots.settings import SnapshotsSettings
from learners.snapshots.signing import Keyring, SigningKey, parse_keys


def open_keyring(settings: SnapshotsSettings, *, create: bool = True) -> Keyring:
    """The keys of these settings: `key`, else `key_file`, else the file beside a local store.

    Parameters
    ----------
    create
        Whether to make the file beside an empty local store on first use. Two processes that do
        so at once get the same key.

    Raises
    ------
    KeyMissingError
        If there is no key; also if a local store has snapshots and its key file is gone, since a
        new key could verify none of them.
    """
    if settings.key is not None:
        return parse_keys(settings.key.get_secret_value(), "snapshots.key")
    if settings.key_file is not None:
        return _read(settings.key_file)
    if settings.url.startswith("memory:"):
        return Keyring((SigningKey.generate(),))
    folder = local_folder(settings.url)
    if folder is None:
        raise KeyMissingError(
            f"snapshots at {settings.url} need a key that every worker has; there is none",
            hint="make one with `openssl rand -hex 32` and give it as "
            "DRIFTLINE_SNAPSHOTS__KEY or in the file DRIFTLINE_SNAPSHOTS__KEY_FILE",
        )
    path = key_path(folder)
    # The folder first: between the two another process may have made the key and used it.
    empty = not LocalStore(folder).list()
    if not path.exists():
        if not empty:
            raise KeyMissingError(
                f"the key of the snapshots in {folder} must be in {path}; that file is gone",
                hint="put it back from a backup; if it is lost, move the folder away: the "
                "snapshots cannot be trusted again, and a state that was never rolled back is "
                "rebuilt from the log",
            )
        if not create:
            raise KeyMissingError(
                f"there is no snapshot key in {path} yet", hint="it is made by the first run"
            )
        _make(path)
    return _read(path)


def key_path(folder: Path) -> Path:
    """The key file that belongs to a local store's folder."""
    return folder.absolute().with_name(folder.absolute().name + ".key")


def _make(path: Path) -> None:
    key = SigningKey.generate()
    text = f"# signs the snapshots beside this file; keep a copy elsewhere\n{key.secret.hex()}\n"
    try:
        create_file(path, text.encode("ascii"))
        sweep(path.parent)
    except OSError as error:
        raise _cannot("make", path, error) from error


def _read(path: Path) -> Keyring:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise KeyMissingError(
            f"the snapshot key file must be text; {path} is not",
            hint="make one with: openssl rand -hex 32",
        ) from error
    except OSError as error:
        raise _cannot("read", path, error) from error
    return parse_keys(text, str(path))


def _cannot(verb: str, path: Path, error: OSError) -> KeyMissingError:
    return KeyMissingError(
        f"cannot {verb} the snapshot key file {path}: {error.strerror or error}",
        hint="let the user that driftline runs as read it, or correct snapshots.key_file",
    )

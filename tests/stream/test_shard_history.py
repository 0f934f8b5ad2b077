"""The index of a journal: it saves reading, is never believed where it is wrong, and can go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from stream.history import History, read_history
from stream.shard_history import WORTH_WRITING, read_shard
from tests.stream.service import Service


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "indexes"


def served(steps: int) -> Service:
    """A service of two shards with two versions and an alias, whose journals have many entries."""
    service = Service(shards=2)
    service.run()
    grow(service, steps)
    service.cut()
    service.cut()
    service.alias(1)
    service.run()
    return service


def grow(service: Service, steps: int) -> None:
    """So many more entries, on both shards."""
    for number in range(steps):
        for shard in range(2):
            service.event(f"e{shard}{number}", number, shard=shard)
        service.run()


def entries_read(service: Service, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many journal records are read for the history of shard 0."""
    read, found = service.log.read, []

    def counting(topic: str, *place: Any) -> Any:
        for record in read(topic, *place):
            found.append(record)
            yield record

    with monkeypatch.context() as patch:
        patch.setattr(service.log, "read", counting)
        read_shard(service.log, 0, folder)
    return len(found)


def same(one: History, other: History) -> bool:
    return (one.versions, one.commands, one.configurations, one.standing) == (
        other.versions,
        other.commands,
        other.configurations,
        other.standing,
    )


def test_what_was_read_before_is_not_read_again(folder, monkeypatch):
    service = served(WORTH_WRITING)
    first = read_history(service.log, folder)
    assert len(list(folder.iterdir())) == 2
    grow(service, 3)
    service.cut()
    service.run()
    # The first record tells which journal it is, another that the index is of it.
    assert entries_read(service, folder, monkeypatch) <= 2 + 3 + 3
    plain, indexed = read_history(service.log), read_history(service.log, folder)
    assert same(plain, indexed)
    assert not same(first, indexed)
    assert indexed.aliases() == {"champion": 1}
    assert [v.number for v in indexed.versions.values() if indexed.is_complete(v)] == [1, 2, 3]


def test_a_short_journal_needs_none(folder):
    service = served(3)
    read_history(service.log, folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body | {"last": [*body["last"][:2], "00" * 32]},
        lambda body: body | {"last": [10**9, *body["last"][1:]]},
        lambda body: body | {"format": 2},
        lambda body: {"format": 1},
        lambda body: [],
    ],
    ids=["of another journal", "beyond the end", "of another format", "cut", "no index"],
)
def test_one_that_is_not_of_this_journal_is_made_anew(folder, damage):
    service = served(WORTH_WRITING)
    plain = read_history(service.log, folder)
    for path in folder.iterdir():
        body = damage(orjson.loads(path.read_bytes()))
        if isinstance(body, dict):
            body |= {"cuts": [], "outcomes": {}} if "cuts" in body else {}
        path.write_bytes(orjson.dumps(body))

    assert same(read_history(service.log, folder), plain)
    # Made anew, it is right again.
    assert same(read_history(service.log, folder), plain)
    assert all(orjson.loads(path.read_bytes())["cuts"] for path in folder.iterdir())


def test_one_that_is_no_json_is_made_anew_and_said_so(folder, caplog):
    service = served(WORTH_WRITING)
    plain = read_history(service.log, folder)
    for path in folder.iterdir():
        path.write_bytes(b"{")
    assert same(read_history(service.log, folder), plain)
    assert "cannot be used, and is made anew" in caplog.text


def test_where_it_cannot_be_written_the_history_is_read_all_the_same(folder, caplog):
    service = served(WORTH_WRITING)
    folder.write_text("a file is in the way")
    assert same(read_history(service.log, folder), read_history(service.log))
    assert "cannot be written" in caplog.text

"""What the tests of the commands share: calling one, and a service's configuration and file."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.cli.app import run
from tests.stream.builders import LOGISTIC, write_csv
from tests.stream.cli.calls import ROWS, Driftline, Said


@pytest.fixture
def driftline(monkeypatch, capfdbinary, tmp_path) -> Driftline:
    """Runs a command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*argv: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["driftline", *map(str, argv)])
        code = run()
        out, err = capfdbinary.readouterr()
        return Said(code, out.decode(), err.decode())

    return call


@pytest.fixture
def file(tmp_path) -> Path:
    return write_csv(tmp_path / "rows.csv", ROWS)


@pytest.fixture
def config(tmp_path) -> Callable[..., Path]:
    """Writes the configuration of a service on SQLite, with some fields replaced."""

    def write(**fields: Any) -> Path:
        content: dict[str, Any] = {
            "name": "shop",
            "log": "sqlite:var/shop.db",
            "events": {"id": "id", "time": "time", "label": "y"},
            "task": "binary",
            "model": LOGISTIC,
            "snapshots": {"url": "file:var/snapshots"},
            **fields,
        }
        path: Path = tmp_path / "driftline.yaml"
        path.write_text(json.dumps(content))
        return path

    return write

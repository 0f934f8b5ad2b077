"""One newcomer for all tests of this folder: each runs the README from top to bottom once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs.markdown import commands
from tests.docs.newcomer import Newcomer
from tests.house.files import ROOT


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A newcomer who has run every command of the README, `make` excepted."""
    newcomer = Newcomer(tmp_path_factory.mktemp("checkout"))
    try:
        for command in commands(ROOT / "README.md"):
            if not command.startswith("make "):
                newcomer.run(command)
        yield newcomer
    finally:
        newcomer.close()

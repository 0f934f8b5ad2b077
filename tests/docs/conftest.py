"""One newcomer for all tests of this folder: who runs them from top to bottom once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs.markdown import RUN, commands
from tests.docs.newcomer import Newcomer


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A newcomer who has run every command of the documents in their order, `make` excepted."""
    newcomer = Newcomer(tmp_path_factory.mktemp("checkout"))
    try:
        for path in RUN:
            for command in commands(path):
                if not command.startswith("make "):
                    newcomer.run(command)
        yield newcomer
    finally:
        newcomer.close()

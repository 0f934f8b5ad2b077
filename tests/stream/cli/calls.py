"""What a call of the command line leaves behind, and the rows that the tests give it."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.stream.builders import T0_MS

ROWS = [
    {"id": f"e{number}", "time": T0_MS + number * 1000, "x": number * 0.5, "y": number % 2 == 0}
    for number in range(50)
]


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def refusal(self) -> tuple[str, str]:
        """The error and the hint, of which there is one line each and nothing more."""
        assert self.code == 2, self
        assert self.out == ""
        error, hint = self.err.splitlines()
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
        return error.removeprefix("error: "), hint.removeprefix("hint: ")


Driftline = Callable[..., Said]

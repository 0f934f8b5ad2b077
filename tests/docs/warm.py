"""An interpreter with driftline imported, which runs commands in forked children.

A cold start takes over a second of a processor, and the documents hold some twenty commands. Each
line on stdin is a JSON list: stdout's file, stderr's file, then the words of the command. The
answers are the child's process id and, when it has ended, its exit code, a line each.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import river.drift
import river.linear_model  # noqa: F401

from stream.cli.app import run


def main() -> None:
    """Serves until stdin ends."""
    for line in sys.stdin:
        out, err, *words = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(out, err, words)
        _say(child)
        _, status = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(status))


def _become(out: str, err: str, words: list[str]) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    sys.argv = words
    code = 1
    try:
        code = run()
        sys.stdout.flush()
    finally:
        os._exit(code)


def _say(answer: Any) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

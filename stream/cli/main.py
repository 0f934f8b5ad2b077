"""The entry point of `driftline`: fixes the hash seed, then hands over to the commands.

Some River models iterate over sets of strings, so their results depend on Python's hash seed. It is
fixed by re-executing before anything heavy is imported, or a recovered state could differ from the
one before the crash.
"""

from __future__ import annotations

import os
import sys

HASH_SEED = "0"


def main() -> None:
    """Runs the command line under the fixed hash seed."""
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        # sys.orig_argv keeps the interpreter's own options, such as -W error.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    from stream.cli.app import run
    from stream.garbage import collect_rarely

    collect_rarely()
    sys.exit(run())


if __name__ == "__main__":
    main()

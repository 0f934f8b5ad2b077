"""A module holds one idea, says which, and is finished."""

import ast
import re
import sys

from tests.house.files import CODE, PACKAGES, ROOT, dotted, modules

MOST_LINES = 400
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")


def test_no_module_is_longer_than_one_idea_needs() -> None:
    long = {
        str(path): lines
        for path in modules(*PACKAGES)
        if (lines := len((ROOT / path).read_text().splitlines())) > MOST_LINES
    }

    assert not long, f"look for the second idea past {MOST_LINES} lines: {long}"


def test_every_public_module_says_what_it_gives() -> None:
    silent = [
        str(path)
        for path in modules(*PACKAGES)
        if not path.name.startswith("_") or path.name == "__init__.py"
        if not ast.get_docstring(ast.parse((ROOT / path).read_text()))
    ]

    assert not silent, f"without a docstring: {silent}"


def test_nothing_unfinished_lands() -> None:
    unfinished = [
        f"{path}:{number}"
        for path in modules(*CODE)
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]

    assert not unfinished, f"finish it or leave it out: {unfinished}"


def test_no_module_takes_the_name_of_a_standard_one() -> None:
    # A script run from inside such a folder would import it instead of the standard one.
    shadows = [
        str(path)
        for path in modules(*PACKAGES)
        if dotted(path).rsplit(".", 1)[-1] in sys.stdlib_module_names and path.stem != "__main__"
    ]

    assert not shadows, f"named after a standard module: {shadows}"


def test_every_folder_of_a_package_is_a_package() -> None:
    # setuptools leaves out a folder without __init__.py, and only a user would notice.
    folders = {path.parent for path in modules(*PACKAGES)}
    bare = sorted(str(folder) for folder in folders if not (ROOT / folder / "__init__.py").exists())

    assert not bare, f"without __init__.py: {bare}"

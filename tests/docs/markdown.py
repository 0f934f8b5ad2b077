"""What a test needs of a Markdown file: its code blocks, tables, links and prose."""

from __future__ import annotations

import re
from pathlib import Path

from tests.house.files import ROOT

DOCUMENTS = (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md")))

RUN = (ROOT / "README.md", ROOT / "docs" / "commands.md", ROOT / "docs" / "messages.md")
"""The documents whose shell commands are run, in the order in which a reader comes to them."""

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_CODE = re.compile(r"`([^`\n]+)`")


def blocks(path: Path, language: str) -> list[str]:
    """The contents of the fenced blocks of a language, in order."""
    return [text for name, text in _BLOCK.findall(path.read_text()) if name == language]


def commands(path: Path) -> list[str]:
    """The shell commands of a document, one a line, without their comments."""
    lines = [line for text in blocks(path, "sh") for line in text.splitlines()]
    return [line.partition("  #")[0].strip() for line in lines if line.strip()]


def outside_blocks(path: Path) -> str:
    """The document without its fenced blocks."""
    return _BLOCK.sub("", path.read_text())


def prose(path: Path) -> str:
    """The document without any code and link targets: what a person reads as words."""
    return re.sub(r"\]\([^)]*\)", "]", _CODE.sub("", outside_blocks(path)))


def code_spans(text: str) -> list[str]:
    """What stands between single backticks."""
    return _CODE.findall(text)


def tables(text: str) -> list[list[list[str]]]:
    """The tables: rows of cells, the header among them and the line under it not."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not inside:
            found.append([])
            inside = True
        if not set(line) <= set("|-: "):
            found[-1].append([cell.strip("| ") for cell in cells])
    return found


def section(path: Path, heading: str) -> str:
    """The text below a heading, up to the next of its level."""
    level = heading.split(" ", maxsplit=1)[0]
    text = path.read_text()
    assert f"\n{heading}\n" in text, f"{path.name} has no section {heading!r}"
    rest = text.split(f"\n{heading}\n", maxsplit=1)[1]
    return re.split(rf"^{level} ", rest, maxsplit=1, flags=re.M)[0]

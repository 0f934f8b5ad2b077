"""Whatever file or name a document mentions exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.markdown import DOCUMENTS, code_spans, outside_blocks
from tests.house.files import CODE, ROOT, modules

ARCHITECTURE = ROOT / "ARCHITECTURE.md"
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    links = [link for link in _LINK.findall(path.read_text()) if "://" not in link]

    for link in links:
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_file_that_the_architecture_names_is_there() -> None:
    named = [span for span in code_spans(outside_blocks(ARCHITECTURE)) if is_path(span)]

    assert len(named) > 40
    assert [span for span in named if not there(span)] == []


def test_every_name_that_the_architecture_uses_is_in_the_code() -> None:
    spans = [span for span in code_spans(outside_blocks(ARCHITECTURE)) if not is_path(span)]
    words = {word for span in spans for word in re.findall(r"[A-Za-z_]{3,}", span)}

    assert len(words) > 60
    assert sorted(word for word in words if word not in vocabulary()) == []


def is_path(span: str) -> bool:
    return ("/" in span or span.endswith(".py")) and " " not in span and "://" not in span


def there(span: str) -> bool:
    if "/" in span:
        return (ROOT / span).exists()
    return any(path.name == span for path in modules(*CODE))


@cache
def vocabulary() -> frozenset[str]:
    """Every word of the code and of the files that make it run."""
    files = [*modules(*CODE), *map(Path, ("Makefile", "pyproject.toml"))]
    own = Path(__file__).resolve().parent
    return frozenset(
        word
        for file in files
        if own not in (ROOT / file).parents
        for word in re.findall(r"[A-Za-z_]{3,}", (ROOT / file).read_text())
    )

"""Each dependency is declared, says its role, and is pinned by a lock that works anywhere."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.house.files import CODE, PACKAGES, ROOT, modules

PYPROJECT = (ROOT / "pyproject.toml").read_text()
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT: dict[str, Any] = tomllib.loads(PYPROJECT)["project"]
RUNTIME: list[str] = PROJECT["dependencies"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
# What nobody needs who does not ask for it.
UNLOCKED = {"bench-quix"}
EVERY = [*RUNTIME, *(line for lines in EXTRAS.values() for line in lines)]
LOCKED = [
    *RUNTIME,
    *(line for extra, lines in EXTRAS.items() if extra not in UNLOCKED for line in lines),
]

HASHES = r"(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+"
PIN = re.compile(rf"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+) \\{HASHES}$", re.M)
PINS = {canonicalize_name(pin["name"]): Version(pin["version"]) for pin in PIN.finditer(LOCK)}

# Part of another distribution's documented interface though packaged apart.
COMES_WITH = {"pydantic-core": "pydantic"}


@pytest.mark.parametrize("requirement", EVERY)
def test_a_dependency_says_its_role_on_its_own_line(requirement: str) -> None:
    role = re.search(rf'^    "{re.escape(requirement)}", *# (.+)$', PYPROJECT, re.M)

    assert role and len(role[1].split()) >= 2, "what is it for?"


@pytest.mark.parametrize("requirement", LOCKED)
def test_the_lock_pins_a_version_that_pyproject_allows(requirement: str) -> None:
    wanted = Requirement(requirement)

    assert PINS[canonicalize_name(wanted.name)] in wanted.specifier, "run make lock"


def test_the_lock_holds_nothing_but_pins_with_hashes() -> None:
    rest = [
        line
        for line in PIN.sub("", LOCK).splitlines()
        if line and not line.lstrip().startswith("#")
    ]

    assert PINS
    assert rest == []


def test_the_lock_names_no_index_and_no_place() -> None:
    # A user elsewhere has another index and other folders: an address would break the installation.
    assert not re.search(r"://|--index|--find-links|--trusted|(?<!\w)/\w", LOCK)


def test_the_lock_pins_what_builds_the_project_too() -> None:
    # The project itself is installed without build isolation, so its builder comes from the lock.
    assert {"pip", "setuptools", "wheel"} <= PINS.keys()


def test_the_packages_import_only_what_they_declare() -> None:
    declared = _names([*RUNTIME, *EXTRAS["parquet"], *EXTRAS["bench-quix"]])

    assert _undeclared(modules(*PACKAGES), declared) == {}


def test_the_rest_of_the_code_imports_only_what_an_extra_declares() -> None:
    assert _undeclared(modules(*CODE), _names(EVERY) | {"packaging"}) == {}


def _names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def _undeclared(paths: list[Path], declared: set[str]) -> dict[str, set[str]]:
    """File → top-level modules it imports from distributions that are not declared."""
    distributions = packages_distributions()
    own = {*CODE, *(path.stem for path in modules("examples"))}  # an example imports its neighbours
    found: dict[str, set[str]] = {}
    for path in paths:
        for name in _imports(path) - own - sys.stdlib_module_names:
            # One that is not installed is taken by its own name.
            givers = {canonicalize_name(dist) for dist in distributions.get(name, [name])}
            if not {COMES_WITH.get(giver, giver) for giver in givers} & declared:
                found.setdefault(str(path), set()).add(name)
    return found


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names

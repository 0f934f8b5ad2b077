"""The files that the rules of the house are about."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("consumers", "detectors", "learners", "stream")
CODE = (*PACKAGES, "tests", "examples", "tools")


def modules(*folders: str) -> list[Path]:
    """Every Python file below the folders, relative to the root."""
    return sorted(
        path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")
    )


def dotted(path: Path) -> str:
    """The name a module is imported by: `stream/cli/__init__.py` is `stream.cli`."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

"""How messages name River objects and other people's exceptions."""

from __future__ import annotations


def describe(model: object) -> str:
    """How messages call a River object: `tree.HoeffdingTreeClassifier`."""
    cls = type(model)
    parts = cls.__module__.split(".")
    if parts[0] == "river" and len(parts) > 1:
        return f"{parts[1]}.{cls.__name__}"
    return cls.__name__


def one_line(error: BaseException, most: int = 300) -> str:
    """An exception's type and text without line breaks, at most `most` characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:most]

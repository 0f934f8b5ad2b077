"""Streams bundled with River, as the service would hand them to a learner."""

from __future__ import annotations

import functools
from typing import Any

from river import datasets

Stream = list[tuple[dict[str, Any], Any]]


@functools.cache
def binary() -> Stream:
    """Phishing: nine numbers, a bool."""
    return [(x, bool(y)) for x, y in datasets.Phishing()]


@functools.cache
def multiclass() -> Stream:
    """Image segments: 18 numbers, seven names."""
    return list(datasets.ImageSegments().take(1000))


@functools.cache
def regression() -> Stream:
    """Trump's approval: six numbers, a share."""
    return list(datasets.TrumpApproval().take(800))


@functools.cache
def mixed() -> Stream:
    """Phishing with a text feature, and one number missing now and then."""
    stream = []
    for i, (x, y) in enumerate(binary()):
        x = {**x, "shop": ("corner", "market", "mall")[i % 3]}
        if i % 7 == 0:
            del x["https"]
        stream.append((x, y))
    return stream

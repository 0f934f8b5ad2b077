"""Which partition a key belongs to: as Java's default partitioner says, so that any producer's
events and labels meet.
"""

from __future__ import annotations

from kafka.partitioner.default import murmur2


def partition_for(key: bytes, partitions: int) -> int:
    """The partition (from 0) of a key: murmur2 of its bytes, made positive, modulo the count."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)

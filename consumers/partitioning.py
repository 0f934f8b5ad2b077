"""Which partition a key belongs to: the same as Kafka's own clients say, so that any producer of
events and our labels agree.

murmur2 with Kafka's seed, as in `org.apache.kafka.common.utils.Utils.murmur2`.
"""

from __future__ import annotations

from typing import Final

_MASK: Final = 0xFFFFFFFF
_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_R: Final = 24


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key among `partitions`, 0 <= p < partitions."""
    if partitions == 1:
        return 0
    # Java's hash is signed; its client clears the sign bit.
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit hash of `data`, unsigned."""
    size = len(data)
    h = _SEED ^ size
    whole = size - size % 4
    for start in range(0, whole, 4):
        k = int.from_bytes(data[start : start + 4], "little") * _M & _MASK
        k = (k ^ k >> _R) * _M & _MASK
        h = h * _M & _MASK ^ k
    if whole < size:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15

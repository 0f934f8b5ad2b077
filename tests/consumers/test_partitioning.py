"""Keys belong to the partitions that Kafka's own clients would choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as client_murmur2

from consumers.partitioning import murmur2, partition_for

# From org.apache.kafka.common.utils.UtilsTest.testMurmur2 in Apache Kafka, signed as Java has them.
GOLDEN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "expected"), GOLDEN.items())
def test_murmur2_equals_that_of_kafka(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % 2**32


def test_the_sign_is_cleared_before_the_remainder_is_taken() -> None:
    assert partition_for(b"21", 7) == (-973932308 & 0x7FFFFFFF) % 7 == 1173551340 % 7


@given(st.binary(max_size=40), st.integers(1, 50))
def test_any_key_goes_where_the_python_client_sends_it(key: bytes, partitions: int) -> None:
    assert partition_for(key, partitions) == (client_murmur2(key) & 0x7FFFFFFF) % partitions

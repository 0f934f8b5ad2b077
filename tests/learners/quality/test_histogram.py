from collections import defaultdict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from learners.quality.histogram import (
    PROBABILITY_BINS,
    by_bin,
    lower_edge,
    pack,
    probability_bin,
    score_bin,
    unpack,
)

probabilities = st.one_of(
    st.floats(0, 1),
    st.floats(0, 1e-9),
    st.floats(0.98, 1),
    st.integers(0, 1024).map(lambda n: n / 1024),
)
scores = st.one_of(
    probabilities, st.floats(allow_nan=False, allow_infinity=False), st.floats(-9, 9)
)
histograms = st.dictionaries(st.integers(-30_000, 20_000), st.integers(0, 10**9))


@given(probabilities)
@example(0.0)
@example(1.0)
@example(1 / 64)
@example(63 / 64)
@example(2.0**-40)
@example(1 - 2.0**-40)
def test_a_probability_lies_between_the_edges_of_its_bin(probability: float) -> None:
    bin_ = probability_bin(probability)

    assert lower_edge(bin_) <= probability
    assert probability == 1.0 or probability < lower_edge(bin_ + 1)


@given(scores, scores)
@example(1.0, 1.0000000000000002)
@example(-1e300, -1e200)
@example(-0.0, 5e-324)
def test_a_threshold_at_a_bins_edge_picks_that_bin_and_all_above(one: float, other: float) -> None:
    bin_, other_bin = score_bin(one), score_bin(other)

    if one <= other:
        assert bin_ <= other_bin
    if abs(one) < 2.0**64 and abs(other) < 2.0**64:  # the outermost bins hold all beyond
        assert (other >= lower_edge(bin_)) == (other_bin >= bin_)


def test_every_bin_of_a_probability_starts_where_it_says() -> None:
    bins = range(probability_bin(0.0), probability_bin(1.0) + 1)

    assert len(bins) == PROBABILITY_BINS
    assert [probability_bin(lower_edge(bin_)) for bin_ in bins] == list(bins)


@pytest.mark.parametrize("probability", [-1e-17, 1 + 1e-15])
def test_a_probability_just_outside_goes_to_the_end(probability: float) -> None:
    assert probability_bin(probability) == probability_bin(round(probability))


@given(histograms)
def test_a_packed_histogram_holds_all_counts_but_zeros(counts: dict[int, int]) -> None:
    unpacked = unpack(pack(counts))

    assert unpacked == {key: count for key, count in counts.items() if count}
    assert unpacked[123_456] == 0


@given(histograms)
def test_the_order_of_counting_does_not_show_in_the_packed_text(counts: dict[int, int]) -> None:
    assert pack(counts) == pack(dict(reversed(counts.items())))


def test_bins_come_in_order_with_both_classes() -> None:
    counts = defaultdict(int, {2 * 7 + 1: 3, 2 * -5: 1, 2 * 7: 4, 2 * 9: 0})

    assert by_bin(counts) == [(-5, 1, 0), (7, 4, 3)]

import pyarrow as pa
import pytest

from examples.flights import events
from examples.flights.source import Year, read_year


@pytest.fixture(scope="session")
def year() -> Year:
    """The whole of 2013: three seconds, once for each worker that runs these tests."""
    return read_year()


@pytest.fixture(scope="session")
def rows(year: Year) -> pa.Table:
    return events.table(year)

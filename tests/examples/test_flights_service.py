"""The example's configuration in the service itself, over the weeks that end with Nemo."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream.backtest import backtest
from stream.configuration import load_file
from stream.file_stream import LabelSource

pytestmark = pytest.mark.xdist_group("flights")

CONFIGURATION = Path(__file__).parents[2] / "examples" / "flights" / "flights.yaml"


@pytest.fixture
def weeks(tmp_path: Path, rows: pa.Table) -> Path:
    """January 20 to February 10, whose last three days were the blizzard's."""
    times = rows["scheduled_at"].cast(pa.int64()).to_numpy()
    first, last = (
        int(np.searchsorted(times, np.datetime64(day, "ms").astype(np.int64)))
        for day in ("2013-01-20", "2013-02-11")
    )
    path = tmp_path / "weeks.parquet"
    pq.write_table(rows.slice(first, last - first), path)
    return path


def test_flights_are_learnt_from_and_the_blizzard_is_noticed(weeks: Path):
    found = backtest(load_file(CONFIGURATION), weeks, LabelSource("late", "arrived_at")).report()

    assert found["events"] == found["predictions"] == pq.read_metadata(weeks).num_rows
    assert found["dead_letters"] == 0
    # half of the blizzard's flights were cancelled: they never get a label
    assert found["labels"] < found["events"] - 900
    assert found["metrics"]["roc_auc"] > 0.68
    assert found["metrics"]["roc_auc"] > found["baselines"]["recent_rate"]["roc_auc"] + 0.05
    alerts = {(alert["detector"], alert["time"][:10]) for alert in found["alerts"]}
    assert ("standstill", "2013-02-08") in alerts
    assert len(alerts) < 4

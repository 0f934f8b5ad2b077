import gzip
import importlib
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.csv_rows import parse_cell
from consumers.errors import FileError
from consumers.files import read_rows


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    def write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def refusal(path: Path, required: tuple[str, ...] = ()) -> FileError:
    with pytest.raises(FileError) as caught:
        list(read_rows(path, required))
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-12", -12),
        ("1.0", 1.0),
        ("0.5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e-05", 1e-05),
        (".5E2", 50.0),
        ("0.1", 0.1),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("", None),
        ("NA", None),
        ("NaN", None),
        ("nan", None),
        ("007", "007"),
        ("-01", "-01"),
        ("+49", "+49"),
        ("1_000", "1_000"),
        ("1,5", "1,5"),
        ("0x1F", "0x1F"),
        (" 1", " 1"),
        ("٣", "٣"),
        ("null", "null"),
        ("na", "na"),
        ("-", "-"),
        (".", "."),
        ("e5", "e5"),
        ("123456789012345678", 123456789012345678),
        ("9223372036854775807", 9223372036854775807),
        ("9223372036854775808", "9223372036854775808"),
        ("9" * 5000, "9" * 5000),
        ("2013-01-01T05:00:00Z", "2013-01-01T05:00:00Z"),
    ],
)
def test_a_cell_is_what_it_is_written_as(text, value):
    parsed = parse_cell(text)
    assert (type(parsed), parsed) == (type(value), value)


@given(st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_from_its_text(number):
    parsed = parse_cell(repr(number))
    assert (type(parsed), parsed) == (type(number), number)


def test_csv_rows_are_dicts_by_the_header(write):
    path = write("a.csv", '\ufeffid, x ,"late"\r\na,1,true\r\n\r\n"b,\nc", 2.5,\r\n')
    assert list(read_rows(path, ["late", "x"])) == [
        {"id": "a", "x": 1, "late": True},
        {"id": "b,\nc", "x": 2.5, "late": None},
    ]


def test_gz_and_tabs_are_read_as_they_are(write):
    path = write("a.TSV.gz", gzip.compress(b"x\ty\n1\ta,b\n", mtime=0))
    assert list(read_rows(path)) == [{"x": 1, "y": "a,b"}]
    path = write("a.jsonl.gz", gzip.compress(b'{"x":1}\n', mtime=0))
    assert list(read_rows(path)) == [{"x": 1}]


def test_jsonl_rows_are_the_objects_of_the_lines(write):
    path = write("a.jsonl", b'\xef\xbb\xbf{"x":1,"y":null}\r\n\n{"z":"a"}')
    assert list(read_rows(path, ["y"])) == [{"x": 1, "y": None}, {"z": "a"}]


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("a.csv", "", "must begin with a header line", None),
        ("a.csv", "\n\n", "must begin with a header line", None),
        ("a.csv", "x,y\n", "must hold rows", "right file"),
        ("a.csv", "1,2.5\n3,4\n", "must name the columns, not hold the numbers 1, 2.5", "header"),
        ("a.csv", "x;y\n1;2\n", "separated by commas, not as in 'x;y'", "commas"),
        ("a.csv", ",x\n0,1\n", "column 1 has none", "index=False"),
        ("a.csv", "x,y,x\n1,2,3\n", "named once, not twice: 'x'", None),
        ("a.csv", "x,y\n1,2\n3\n", "line 3: a row must have 2 cells", None),
        ("a.csv", "x,y\n1,2,3\n", "line 2: a row must have 2 cells", None),
        ("a.csv", 'x,y\n"a\nb",1\n3\n', "line 4: a row must have 2 cells", None),
        ("a.csv", "x,y\n1,-Inf\n", "line 2: 'y' must not be infinite, not -Inf", "empty"),
        ("a.csv", "x,y\n1,1e999\n", "line 2: 'y' must be a number that a double can", "empty"),
        ("a.csv", 'x,y\n1,"2\n', "must be CSV", None),
        ("a.csv", b"x,y\n1,caf\xe9\n", r"line 2: text must be UTF-8, not b'\xe9'", "iconv"),
        ("a.csv.gz", b"x,y\n1,2\n", "must be readable", None),
        (
            "a.csv.gz",
            gzip.compress(b"x,y\n" + b"1,2\n" * 9999, mtime=0)[:-20],
            "must be readable",
            None,
        ),
        ("a.jsonl", "", "must hold rows", "right file"),
        ("a.jsonl", "\n", "must hold rows", "right file"),
        ("a.jsonl", '{"x":1}\n{"x":NaN}\n', "line 2: the record must be JSON", None),
        ("a.jsonl", "[1]\n", "line 1: the record must be a JSON object", None),
        ("a.jsonl", '{"x":1,"x":2}\n', 'a key must come once, not twice: "x"', None),
        ("a.jsonl", '{"x":[1]}\n', 'line 1: "x" must be a boolean', "flatten"),
        ("a.parquet", b"PAR1", "must be a readable Parquet file", None),
        ("a.parquet.gz", b"", "must not be in a .gz", "gunzip"),
        ("a.xlsx", b"", "must end in one of .csv", "rename"),
        ("a", b"", "must end in one of .csv", "rename"),
        (".gz", b"", "must end in one of .csv", "rename"),
    ],
)
def test_every_kind_of_bad_file_is_refused_with_what_and_where(write, name, content, message, hint):
    error = refusal(write(name, content))
    assert message in str(error)
    assert "\n" not in str(error)
    assert (error.hint is None) == (hint is None)
    assert hint is None or hint in str(error.hint)


def test_a_missing_file_and_a_folder_are_refused_before_the_first_row(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name in ("none.csv", "none.csv.gz", "none.jsonl", "none.parquet", "folder.csv"):
        with pytest.raises(FileError, match=r"there must be a file|must be a file, not a folder"):
            read_rows(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "carrier,delay\nAA,1\n"), ("a.jsonl", '{"carrier":"AA","delay":1}\n')],
)
def test_a_missing_column_is_refused_before_the_first_row_with_the_nearest(write, name, content):
    with pytest.raises(FileError) as caught:
        read_rows(write(name, content), ["carrier", "dealy"])
    assert "there must be a column 'dealy', not only carrier, delay" in str(caught.value)
    assert caught.value.hint == "did you mean 'delay'?"
    with pytest.raises(FileError) as caught:
        read_rows(write(name, content), ["zzz"])
    assert caught.value.hint is None


def test_a_file_that_is_not_read_to_its_end_is_closed(write):
    # an open file would raise ResourceWarning, which is an error in the tests
    rows = read_rows(write("a.csv", "x\n" + "1\n" * 100_000))
    assert next(rows) == {"x": 1}
    del rows


def test_rows_are_read_as_they_are_asked_for(write):
    # given a file whose last row is broken: what is before it comes out first
    rows = read_rows(write("a.csv", "x,y\n" + "1,2\n" * 1000 + "3\n"))
    for _ in range(1000):
        assert next(rows) == {"x": 1, "y": 2}
    with pytest.raises(FileError, match="line 1002"):
        next(rows)


def test_parquet_rows_have_the_types_of_json(tmp_path):
    pa = importlib.import_module("pyarrow")
    pq = importlib.import_module("pyarrow.parquet")
    moment = datetime(2013, 1, 1, 5, 0, 0, 123_456, tzinfo=UTC)
    table = pa.table(
        {
            "id": ["a", None],
            "i": pa.array([1, None], pa.int32()),
            "f": pa.array([1.5, float("nan")], pa.float32()),
            "b": [True, None],
            "d": pa.array([Decimal("0.10"), None], pa.decimal128(5, 2)),
            "c": pa.array(["AA", None]).dictionary_encode(),
            "zoned": pa.array([moment, None], pa.timestamp("ns", "America/New_York")),
            "naive": pa.array([moment.replace(tzinfo=None), None], pa.timestamp("us")),
            "day": pa.array([date(2013, 1, 1), None], pa.date32()),
            "none": pa.nulls(2),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    first, second = read_rows(path, ["zoned"])
    assert first == {
        "id": "a",
        "i": 1,
        "f": 1.5,
        "b": True,
        "d": 0.1,
        "c": "AA",
        "zoned": "2013-01-01T05:00:00.123Z",
        "naive": "2013-01-01T05:00:00.123Z",
        "day": "2013-01-01T00:00:00.000Z",
        "none": None,
    }
    assert second == dict.fromkeys(first)
    assert "did you mean 'zoned'?" in str(refusal(path, ("zonde",)).hint)


def test_parquet_leaves_out_what_is_not_required_where_only_that_is_asked_for(tmp_path):
    pa = importlib.import_module("pyarrow")
    pq = importlib.import_module("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["a"], "x": [1.5], "a.b": [2], "late": [True]}), path)
    assert list(read_rows(path, ["late", "a.b"], only_required=True)) == [{"a.b": 2, "late": True}]
    assert list(read_rows(path, ["late"])) == [{"id": "a", "x": 1.5, "a.b": 2, "late": True}]
    with pytest.raises(FileError, match="there must be a column 'lat'"):
        read_rows(path, ["lat"], only_required=True)


def test_parquet_columns_that_are_no_single_value_infinity_and_no_rows_are_refused(tmp_path):
    pa = importlib.import_module("pyarrow")
    pq = importlib.import_module("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    for column, message in [
        (pa.array([[1]]), "'x' must be a column of booleans"),
        (pa.array([b"x"]), "'x' must be a column of booleans"),
        (pa.array([float("inf")]), "'x' must not be infinite"),
        (pa.array([1.0, float("-inf"), None]), "'x' must not be infinite"),
        (pa.array([], pa.int64()), "must hold rows"),
    ]:
        pq.write_table(pa.table({"x": column}), path)
        assert message in str(refusal(path))


def test_without_pyarrow_parquet_says_what_to_install(tmp_path, monkeypatch):
    # None in sys.modules is how Python is told that a module cannot be imported
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    error = refusal(tmp_path / "a.parquet")
    assert "driftline[parquet]" in str(error.hint)

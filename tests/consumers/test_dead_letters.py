from hashlib import sha256

from consumers.dead_letters import dead_letter
from consumers.record import NewRecord, Record


def record(value: bytes | None) -> Record:
    return Record("labels", 2, 41, 77, b"key\xff", value, (("driftline-time", b"5"),))


def test_a_dead_letter_is_the_record_to_the_byte_with_its_reason_and_source():
    assert dead_letter(record(b"\xff{"), "not_json", "kein JSON: ü", 100) == NewRecord(
        b"\xff{",
        b"key\xff",
        (
            ("format", b"1"),
            ("reason", b"not_json"),
            ("detail", "kein JSON: ü".encode()),
            ("topic", b"labels"),
            ("partition", b"2"),
            ("offset", b"41"),
        ),
    )


def test_a_null_record_and_an_empty_one_stay_what_they_are():
    assert dead_letter(record(None), "empty", "null", 100).value is None
    assert dead_letter(record(b""), "empty", "0 bytes", 100).value == b""


def test_a_value_above_the_bound_is_cut_and_says_its_size_and_hash():
    letter = dead_letter(record(b"x" * 101), "too_large", "101 bytes", 100)
    assert letter.value == b"x" * 100
    assert dict(letter.headers)["size_bytes"] == b"101"
    assert dict(letter.headers)["sha256"] == sha256(b"x" * 101).hexdigest().encode()
    whole = dead_letter(record(b"x" * 100), "not_json", "x", 100)
    assert (whole.value, len(whole.headers)) == (b"x" * 100, 6)


def test_a_long_detail_is_cut():
    letter = dead_letter(record(b"x"), "not_json", "é" * 5000, 100)
    assert dict(letter.headers)["detail"].decode() == "é" * 500

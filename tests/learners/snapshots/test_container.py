from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.errors import (
    KeyMissingError,
    SignatureError,
    SnapshotCorruptError,
    SnapshotError,
    SnapshotFormatError,
)
from learners.snapshots import Keyring, SigningKey, decode_snapshot, encode_snapshot, loads
from learners.snapshots.header import SnapshotHeader
from tests.learners.snapshots.samples import (
    KEY,
    KEYRING,
    OTHER_KEY,
    SECTIONS,
    encoded,
    header,
)

DATA = encoded().data


def test_a_snapshot_comes_back_as_it_was_put_together() -> None:
    snapshot = decode_snapshot(encoded().data, KEYRING)

    assert snapshot.sections == SECTIONS
    assert list(snapshot.sections) == list(SECTIONS)
    filled = {"sections", "state_digest", "key_id"}
    assert snapshot.header.model_dump(exclude=filled) == header().model_dump(exclude=filled)
    assert snapshot.header.key_id == KEY.id
    assert [part.name for part in snapshot.header.sections] == list(SECTIONS)


@given(
    sections=st.dictionaries(st.from_regex(r"[a-z0-9_.\-]+", fullmatch=True), st.binary()),
    features=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    ),
)
def test_any_sections_and_any_probe_come_back(
    sections: dict[str, bytes], features: dict[str, bool | int | float]
) -> None:
    probe = {"learner": "champion", "features": features, "answer": list(features.values())}
    written = encoded(sections, probes=(probe,))

    snapshot = decode_snapshot(written.data, KEYRING)

    assert snapshot.sections == sections
    (back,) = snapshot.header.probes
    # repr tells 1 from 1.0 and True, 0.0 from -0.0, and shows the order of the features.
    assert repr(back.features) == repr(features)
    assert repr(back.answer) == repr(list(features.values()))
    assert snapshot.header.ref == written.ref


def test_the_same_input_gives_the_same_bytes() -> None:
    assert encoded().data == encoded().data


def test_every_truncation_is_found() -> None:
    for length in range(len(DATA)):
        with pytest.raises((SnapshotCorruptError, SnapshotFormatError)) as caught:
            decode_snapshot(DATA[:length], KEYRING)
        assert caught.value.hint
        assert length == 0 or isinstance(caught.value, SnapshotCorruptError)


def test_every_flipped_byte_is_found() -> None:
    for position in range(len(DATA)):
        flipped = bytearray(DATA)
        flipped[position] ^= 0xFF
        with pytest.raises((SnapshotCorruptError, SignatureError)) as caught:
            decode_snapshot(bytes(flipped), KEYRING)
        assert caught.value.hint


def signed_again(old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    changed = DATA[:-32].replace(old, new)
    assert changed != DATA[:-32]
    return changed + KEY.sign(changed)


def test_a_section_without_its_hash_is_found_though_the_signature_holds() -> None:
    sha256 = encoded().header.sections[1].sha256
    with pytest.raises(SnapshotCorruptError, match="section pending must have the hash"):
        decode_snapshot(signed_again(sha256.encode(), b"0" * 64), KEYRING)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"sequence":', b'"Sequence":', "does not fit format 1"),
        (encoded().header.state_digest.encode(), b"0" * 64, "contradicts itself"),
    ],
)
def test_a_header_that_makes_no_sense_is_found_though_the_signature_holds(
    old: bytes, new: bytes, message: str
) -> None:
    with pytest.raises(SnapshotCorruptError, match=message):
        decode_snapshot(signed_again(old, new), KEYRING)


@settings(max_examples=300)
@given(st.data())
def test_no_damage_passes(data: st.DataObject) -> None:
    damaged = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        end = data.draw(st.integers(start, min(len(damaged), start + 40)))
        damaged[start:end] = data.draw(st.binary(max_size=40))
    if damaged == DATA:
        return
    with pytest.raises(SnapshotError) as caught:
        decode_snapshot(bytes(damaged), KEYRING)
    assert "\n" not in caught.value.message


@given(st.binary(max_size=200).filter(lambda data: not data.startswith(DATA[:1])))
def test_a_foreign_file_is_told_so(data: bytes) -> None:
    with pytest.raises(SnapshotFormatError, match="not a driftline snapshot"):
        decode_snapshot(data, KEYRING)


def test_bytes_appended_are_found() -> None:
    with pytest.raises(SnapshotCorruptError, match=f"must have {len(DATA)} bytes"):
        decode_snapshot(DATA + b"\0", KEYRING)


def test_a_newer_format_is_named_whoever_signed_it() -> None:
    newer = bytearray(DATA)
    struct.pack_into(">H", newer, 8, 2)
    struct.pack_into(">I", newer, 30, zlib.crc32(newer[:30]))

    with pytest.raises(SnapshotFormatError, match="this one has format 2") as caught:
        decode_snapshot(bytes(newer), Keyring((OTHER_KEY,)))
    assert caught.value.hint


def test_a_key_not_at_hand_is_named() -> None:
    with pytest.raises(KeyMissingError, match=f"signed with key {KEY.id}; at hand") as caught:
        decode_snapshot(DATA, Keyring((OTHER_KEY,)))
    assert caught.value.hint


def test_after_a_rotation_old_and_new_snapshots_verify() -> None:
    new = SigningKey.generate()
    rotated = Keyring((new, KEY))

    assert decode_snapshot(DATA, rotated).header.key_id == KEY.id
    assert decode_snapshot(encoded(key=rotated.signing).data, rotated).header.key_id == new.id


def test_a_forger_without_the_key_never_gets_his_pickle_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(canary),)

    evil = {"learners.pickle": pickle.dumps(Malicious())}
    forged = bytearray(encoded(evil, key=OTHER_KEY).data)
    # Claims to be signed with our key.
    forged[10:18] = bytes.fromhex(KEY.id)
    struct.pack_into(">I", forged, 30, zlib.crc32(forged[:30]))

    with pytest.raises(SignatureError):
        loads(decode_snapshot(bytes(forged), KEYRING).sections["learners.pickle"])
    assert not canary.exists()

    # The canary sings where the signature holds: the test above could have failed.
    loads(decode_snapshot(encoded(evil).data, KEYRING).sections["learners.pickle"])
    assert canary.exists()


def test_the_hash_is_of_the_content() -> None:
    ref = encoded().ref

    for same in (
        {"reason": "sigterm"},
        {"parent": "j/0/000000000001-" + "0" * 64},
        {"created_ms": 1},
        {"key": OTHER_KEY},
    ):
        assert encoded(**same).ref == ref, same
    for different in (
        {"digest": "cd" * 32},
        {"positions": {"events": 1201, "labels": 900, "commands": 0}},
        {"clock_ms": None},
        {"configuration": None},
        {"sections": {**SECTIONS, "pending": b"{}"}},
        {"sections": {**SECTIONS, "learners.pickle": b"N."}},
    ):
        assert encoded(**different).ref.hash != ref.hash, different


def test_the_state_digest_leaves_pickles_out() -> None:
    digest = encoded().header.state_digest

    assert encoded({**SECTIONS, "learners.pickle": b"N."}).header.state_digest == digest
    assert encoded({**SECTIONS, "pending": b"{}"}).header.state_digest != digest


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encoded(metrics={"log_loss": float("nan")})


def test_ten_megabytes_are_verified_well_within_a_second() -> None:
    data = encode_snapshot(header(), {"learners.pickle": os.urandom(10_000_000)}, KEY).data

    start = time.process_time()
    decode_snapshot(data, KEYRING)

    # 40 ms here; the bound is for a machine that is busy with something else.
    assert time.process_time() - start < 1


def test_a_field_that_a_later_driftline_adds_renames_no_older_snapshot() -> None:
    # given a header as a driftline wrote it that did not know of versions yet
    written = json.loads(decode_snapshot(DATA, KEYRING).header.to_json())
    del written["version"]

    # when this driftline reads it
    older = SnapshotHeader.model_validate(written)

    # then its name is over what was written: not reason, parent, time, key, and stored sizes
    outside = {"reason", "parent", "created_ms", "us_per_record", "key_id", "sections"}
    content = {name: value for name, value in written.items() if name not in outside}
    content["sections"] = [[s["name"], s["size_bytes"], s["sha256"]] for s in written["sections"]]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert older.version is None
    assert older.content_hash() == hashlib.sha256(text.encode()).hexdigest()

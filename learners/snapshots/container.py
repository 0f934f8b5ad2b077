"""The bytes of a snapshot: header and sections under one signature.

    offset  bytes
    0       8     magic
    8       2     format
    10      8     key id
    18      8     length of the whole object
    26      4     length of the header
    30      4     CRC-32 of the 30 bytes before
    34      …     header, JSON
    …       …     sections, each one zstd frame, in the header's order
    -32     32    HMAC-SHA256 of everything before

Numbers are big-endian. Every later format keeps the first 34 bytes, so that an old reader can say
that it is old; the CRC tells such an object from a damaged one before any key is looked for.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import zstandard
from pydantic import ValidationError

from learners.errors import SignatureError, SnapshotCorruptError, SnapshotFormatError
from learners.snapshots.header import FORMAT, Section, SnapshotHeader, state_digest
from learners.snapshots.reference import SnapshotRef
from learners.snapshots.signing import SIGNATURE_BYTES, Keyring, SigningKey

_MAGIC: Final = b"\x89DRIFT\r\n"
_PREFIX: Final = struct.Struct(">8sH8sQI")
_CRC: Final = struct.Struct(">I")
_BODY: Final = _PREFIX.size + _CRC.size
# A forest's pickle of 11.5 MB is mostly floats: level 1 takes 32 ms for 9.55 MB, level 3 takes
# 102 ms for 9.52, level 10 takes 817 ms for 9.24.
_ZSTD_LEVEL: Final = 1

_DAMAGED: Final = "recovery goes on with the snapshot before it; restore this one from a backup"


class EncodedSnapshot(NamedTuple):
    """A snapshot ready to be put: its complete header, its name and its bytes."""

    header: SnapshotHeader
    ref: SnapshotRef
    data: bytes


class Snapshot(NamedTuple):
    """A verified snapshot: its header, and its sections as they were handed in."""

    header: SnapshotHeader
    sections: dict[str, bytes]


def encode_snapshot(
    header: SnapshotHeader, sections: Mapping[str, bytes], key: SigningKey
) -> EncodedSnapshot:
    """The snapshot's bytes and its name. Deterministic; may run in a thread of its own.

    Compressing, hashing and signing release the interpreter's lock.

    Parameters
    ----------
    header
        Without state_digest, sections and key_id: they are filled in here.
    sections
        By name ([a-z0-9_.-]); a name that ends in `.pickle` marks River objects. Order is kept.

    Raises
    ------
    ValueError
        If something in the header is not JSON, such as a number that is not finite.
    """
    assert header.format == FORMAT
    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
    frames = []
    described = []
    for name, plain in sections.items():
        assert re.fullmatch(r"[a-z0-9_.\-]+", name), name
        frame = compressor.compress(plain)
        frames.append(frame)
        described.append(
            Section(
                name=name,
                size_bytes=len(plain),
                sha256=hashlib.sha256(plain).hexdigest(),
                stored_bytes=len(frame),
            )
        )
    complete = header.model_copy(
        update={
            "sections": tuple(described),
            "state_digest": state_digest(described),
            "key_id": key.id,
        }
    )
    head = complete.to_json()
    complete = SnapshotHeader.model_validate_json(head)  # as whoever reads it will have it
    length = _BODY + len(head) + sum(map(len, frames)) + SIGNATURE_BYTES
    prefix = _PREFIX.pack(_MAGIC, FORMAT, bytes.fromhex(key.id), length, len(head))
    signed = b"".join((prefix, _CRC.pack(zlib.crc32(prefix)), head, *frames))
    return EncodedSnapshot(complete, complete.ref, signed + key.sign(signed))


def decode_snapshot(data: bytes | memoryview, keyring: Keyring) -> Snapshot:
    """The snapshot in the bytes, after length, signature and hashes held, in this order.

    Nothing is unpickled, here or before; nothing of the content is parsed before the signature
    held.

    Raises
    ------
    SnapshotFormatError
        Something else than a snapshot, or one of a newer format.
    SnapshotCorruptError
        Cut short, or damaged.
    KeyMissingError
        Signed with a key that is not in the keyring.
    SignatureError
        Changed since it was signed.
    """
    view = memoryview(data)
    key_id, header_bytes = _check_prefix(view)
    signed, signature = view[:-SIGNATURE_BYTES], view[-SIGNATURE_BYTES:]
    if not keyring.get(key_id).verifies(signed, signature):
        raise SignatureError(
            f"the snapshot's signature must hold under key {key_id}, and does not: its bytes were "
            "damaged or changed",
            hint=_DAMAGED,
        )
    header = _parse_header(signed[_BODY : _BODY + header_bytes])
    sections = _unpack(header, signed[_BODY + header_bytes :])
    if header.state_digest != state_digest(header.sections) or header.key_id != key_id:
        raise SnapshotCorruptError("the snapshot's header contradicts itself", hint=_DAMAGED)
    return Snapshot(header, sections)


def _check_prefix(view: memoryview) -> tuple[str, int]:
    start = bytes(view[:_BODY])
    if len(start) < _BODY:
        if not start or not _MAGIC.startswith(start[: len(_MAGIC)]):
            raise _foreign(len(start))
        raise _cut_short(len(start))
    magic, version, key_id, length, header_bytes = _PREFIX.unpack_from(start)
    (crc,) = _CRC.unpack_from(start, _PREFIX.size)
    # With our magic in its place: damage to the magic itself is told from a foreign file.
    intact = zlib.crc32(_MAGIC + start[len(_MAGIC) : _PREFIX.size]) == crc
    if magic != _MAGIC and not intact:
        raise _foreign(len(view))
    if magic != _MAGIC or not intact:
        raise SnapshotCorruptError("the snapshot's first 34 bytes are damaged", hint=_DAMAGED)
    if version != FORMAT:
        raise SnapshotFormatError(
            f"this driftline reads snapshots of format {FORMAT}; this one has format {version}",
            hint="use the driftline that wrote it, or a later one",
        )
    if len(view) < length:
        raise _cut_short(len(view), length)
    if len(view) > length or length < _BODY + header_bytes + SIGNATURE_BYTES:
        raise SnapshotCorruptError(
            f"the snapshot must have {length} bytes; it has {len(view)}", hint=_DAMAGED
        )
    return key_id.hex(), header_bytes


def _parse_header(text: memoryview) -> SnapshotHeader:
    try:
        return SnapshotHeader.model_validate_json(bytes(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise SnapshotCorruptError(
            f"the snapshot's header does not fit format {FORMAT}: {field}: {first['msg']}",
            hint="it was signed as it is: report this with the version that wrote it",
        ) from error


def _unpack(header: SnapshotHeader, frames: memoryview) -> dict[str, bytes]:
    decompressor = zstandard.ZstdDecompressor()
    sections = {}
    for section in header.sections:
        frame, frames = frames[: section.stored_bytes], frames[section.stored_bytes :]
        try:
            plain = decompressor.decompress(frame)
        except zstandard.ZstdError as error:
            raise _bad_section(section.name) from error
        if len(plain) != section.size_bytes or hashlib.sha256(plain).hexdigest() != section.sha256:
            raise _bad_section(section.name)
        sections[section.name] = plain
    if frames:
        raise SnapshotCorruptError(
            f"the snapshot must end with its last section; {len(frames)} bytes follow",
            hint=_DAMAGED,
        )
    return sections


def _bad_section(name: str) -> SnapshotCorruptError:
    return SnapshotCorruptError(
        f"the snapshot's section {name} must have the hash in its header, and has not",
        hint=_DAMAGED,
    )


def _cut_short(found: int, length: int | None = None) -> SnapshotCorruptError:
    wanted = "at least 66" if length is None else str(length)
    return SnapshotCorruptError(
        f"the snapshot must have {wanted} bytes; it is cut short at {found}", hint=_DAMAGED
    )


def _foreign(found: int) -> SnapshotFormatError:
    what = "an empty file" if found == 0 else f"{found} bytes of something else"
    return SnapshotFormatError(
        f"not a driftline snapshot: {what}",
        hint="keep nothing but snapshots under the snapshots' URL",
    )

"""Keys, and the HMAC-SHA256 that makes a snapshot ours.

A snapshot holds pickles, and to unpickle is to run code: whoever can write to the store could run
theirs. So nothing is unpickled before an HMAC under one of our keys holds. Keys never enter the
store, a message or a repr; what names a key is an id derived from it one way.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from learners.errors import KeyMissingError

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
SIGNATURE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One secret of 32 random bytes, and the id that names it without telling it."""

    secret: bytes = field(repr=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        assert len(self.secret) == KEY_BYTES
        # Derived, so that an id can never stand for two keys and needs no book-keeping.
        digest = hmac.digest(self.secret, b"driftline snapshot key id", "sha256")
        object.__setattr__(self, "id", digest[:KEY_ID_BYTES].hex())

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the operating system's randomness."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def sign(self, data: bytes | memoryview) -> bytes:
        """The 32 bytes of HMAC-SHA256 over the data."""
        return hmac.digest(self.secret, data, "sha256")

    def verifies(self, data: bytes | memoryview, signature: bytes | memoryview) -> bool:
        """Whether the signature is this key's over the data; takes the same time either way."""
        return hmac.compare_digest(self.sign(data), signature)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys at hand: the first signs, all of them verify. Never empty."""

    keys: tuple[SigningKey, ...]

    def __post_init__(self) -> None:
        assert self.keys

    @property
    def signing(self) -> SigningKey:
        """The key that new snapshots are signed with."""
        return self.keys[0]

    def get(self, key_id: str) -> SigningKey:
        """The key with that id.

        Raises
        ------
        KeyMissingError
            If it is not among them; names the id wanted and the ids at hand.
        """
        for key in self.keys:
            if key.id == key_id:
                return key
        at_hand = ", ".join(key.id for key in self.keys)
        raise KeyMissingError(
            f"the snapshot is signed with key {key_id}; at hand: {at_hand}",
            hint="add that key below the others in the key file; if it is lost, the snapshot "
            "cannot be trusted again",
        )


def parse_keys(text: str, origin: str) -> Keyring:
    """The keys in the text of a key file or an environment variable, in their order.

    A key is 64 hexadecimal digits; keys are separated by white space or commas, and a `#` starts
    a comment to the end of its line. The first one signs.

    Parameters
    ----------
    text
        The keys; it is secret and in no message.
    origin
        What to call the text in a message.

    Raises
    ------
    KeyMissingError
        If there is no key in it, or something that is none.
    """
    plain = re.sub(r"#.*", "", text)
    words = [word for word in re.split(r"[\s,]+", plain) if word]
    for number, word in enumerate(words, start=1):
        if re.fullmatch(r"[0-9a-fA-F]{64}", word) is None:
            raise KeyMissingError(
                f"a snapshot key must be 64 hexadecimal digits; key {number} in {origin} is not",
                hint="make one with: openssl rand -hex 32",
            )
    if not words:
        raise KeyMissingError(
            f"there is no snapshot key in {origin}", hint="make one with: openssl rand -hex 32"
        )
    return Keyring(tuple(SigningKey(bytes.fromhex(word)) for word in dict.fromkeys(words)))

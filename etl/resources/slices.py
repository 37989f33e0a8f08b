"""The records of an answer as bytes, and signatures by which equal ones are known again unread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from etl.resources.resource import Resource

# of a million listings of 100,000 records, one record is mistaken for another with a chance of 1 %
SIGNATURE_BYTES: Final = 8

Signing = Callable[[msgspec.Raw], bytes]


class Slice(NamedTuple):
    """A record of an answer, unread."""

    identity: str
    record: msgspec.Raw


@dataclass(slots=True)
class ListingMemory:
    """The signatures of all records of the listing whose digest is `digest`, None if there is none.

    `key` is no other's: a signature must not tell by trial which secret a record holds.
    """

    key: bytes
    digest: str | None = None
    signatures: bytes = b""

    def of(self, digest: str | None) -> AbstractSet[bytes]:
        """Return the signatures of the records of a listing, none if it is not the remembered one."""
        if digest is None or digest != self.digest:
            return frozenset()
        starts = range(0, len(self.signatures), SIGNATURE_BYTES)
        return frozenset(self.signatures[at : at + SIGNATURE_BYTES] for at in starts)

    def learn(self, digest: str, signatures: bytes) -> None:
        """Remember this listing, instead of the one before; not if its records were not signed."""
        if signatures:
            self.digest, self.signatures = digest, signatures

    def signing(self) -> Signing:
        """Return a function that signs a record."""
        keyed = blake2b(key=self.key, digest_size=SIGNATURE_BYTES)

        def sign(record: msgspec.Raw) -> bytes:
            signature = keyed.copy()
            signature.update(record)
            return signature.digest()

        return sign


def key_of(secret: bytes, seed: bytes) -> bytes:
    """Return a key for signatures, made of a secret and of what says how records are understood."""
    return blake2b(seed, key=blake2b(secret).digest(), digest_size=32).digest()


def slices_of(resource: Resource[Any], body: bytes) -> list[Slice] | None:
    """Return the records of an answer, unread; None if they cannot be told apart without reading
    them.
    """
    if resource.list_key is None:
        return None
    try:
        records = _raw_decoder(resource.list_key).decode(body).data.records
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    names = resource.open(body).identities
    # two decoders of one answer: if they disagree, it is odd, and is read as a whole
    if None in names or len(names) != len(records or ()):
        return None
    return [Slice(*pair) for pair in zip(names, records or (), strict=True)]  # type: ignore[arg-type]


def answer_of(resource: Resource[Any], slices: Iterable[Slice]) -> bytes:
    """Return an answer that lists these records alone."""
    assert resource.list_key is not None
    records = b",".join([bytes(s.record) for s in slices])
    return b'{"data":{"%b":[%b]}}' % (resource.list_key.encode(), records)


@cache
def _raw_decoder(list_key: str) -> msgspec.json.Decoder[Any]:
    content = msgspec.defstruct(
        "RawContent", [("records", list[msgspec.Raw] | None)], rename={"records": list_key}
    )
    return msgspec.json.Decoder(msgspec.defstruct("RawAnswer", [("data", content)]))

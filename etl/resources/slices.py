"""The records of an answer as bytes, and signatures by which equal ones are known again unread."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from etl.resources.resource import Resource

# of a million listings of 100,000 records, one record is mistaken for another with a chance of 1 %
SIGNATURE_BYTES: Final = 8


class Slice(NamedTuple):
    """A record of an answer, unread."""

    identity: str
    record: msgspec.Raw


@dataclass(slots=True)
class ListingMemory:
    """The signatures of all records of the listing whose digest is `digest`, None if there is none.

    `key` is no other's: a signature must not tell by trial which secret a record holds. None for a memory
    that stays in this process.
    """

    key: bytes | None
    digest: str | None = None
    signatures: bytes = b""

    def of(self, digest: str | None) -> AbstractSet[int]:
        """Return the signatures of the records of a listing, none if it is not the remembered one."""
        if digest is None or digest != self.digest:
            return frozenset()
        return frozenset(numbers_of(self.signatures))

    def learn(self, digest: str, signatures: bytes) -> None:
        """Remember this listing, instead of the one before; not if its records were not signed."""
        if signatures:
            self.digest, self.signatures = digest, signatures

    def sign(self, records: Iterable[msgspec.Raw]) -> bytes:
        """Return the signatures of records, one after the other."""
        if self.key is None:
            # Python's own hash is forty times as fast, and another one in each process
            return array("q", map(hash, map(bytes, records))).tobytes()
        keyed = blake2b(key=self.key, digest_size=SIGNATURE_BYTES).copy
        signed: list[bytes] = []
        for record in records:
            signature = keyed()
            signature.update(record)
            signed.append(signature.digest())
        return b"".join(signed)


def key_of(secret: bytes, seed: bytes) -> bytes:
    """Return a key for signatures, made of a secret and of what says how records are understood."""
    return blake2b(seed, key=blake2b(secret).digest(), digest_size=32).digest()


def numbers_of(signatures: bytes) -> list[int]:
    """Return signatures as numbers, which are compared faster."""
    return memoryview(signatures).cast("q").tolist()


def records_in(resource: Resource[Any], body: bytes) -> list[msgspec.Raw] | None:
    """Return the records of an answer, unread; None if they cannot be told apart without reading
    them.
    """
    if resource.list_key is None:
        return None
    try:
        records = _raw_decoder(resource.list_key).decode(body).data.records
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return records or []


def slices_of(resource: Resource[Any], records: Sequence[msgspec.Raw]) -> list[Slice] | None:
    """Return records with their identities; None if one has none that can be told without reading it."""
    names = resource.open(answer_of(resource, records)).identities
    # two decoders of one answer: if they disagree, it is odd, and is read as a whole
    if None in names or len(names) != len(records):
        return None
    return [Slice(*pair) for pair in zip(names, records, strict=True)]  # type: ignore[arg-type]


def answer_of(resource: Resource[Any], records: Iterable[msgspec.Raw]) -> bytes:
    """Return an answer that lists these records alone."""
    assert resource.list_key is not None
    return b'{"data":{"%b":[%b]}}' % (resource.list_key.encode(), b",".join(map(bytes, records)))


@cache
def _raw_decoder(list_key: str) -> msgspec.json.Decoder[Any]:
    content = msgspec.defstruct(
        "RawContent", [("records", list[msgspec.Raw] | None)], rename={"records": list_key}
    )
    return msgspec.json.Decoder(msgspec.defstruct("RawAnswer", [("data", content)]))

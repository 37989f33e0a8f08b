"""An answer as a listing: its total and who is on it. The tolerant way into JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final

import msgspec

from etl.errors import Changed
from etl.texts import tr

LIMIT_BODY = 64 * 2**20
"""Bytes of the largest answer that is read, live or from an archive."""
LIMIT_IDENTITY = 255
"""Length of the longest text that counts as an identity."""
LONGEST_NUMBER = 1_000
"""Digits of the longest whole number that is read as one: nothing here is as large, and Python
refuses some thousands."""


_COUNT: Final = re.compile(r"\d{1,10}(\.\d{1,10})?([eE][+-]?\d{1,2})?")
"""A number short enough to be a count: thousands of digits are no number that Python reads."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be understood. `reason` begins with the path in the record;
    `identity` is None if it could not be read; `payload` is redacted JSON.
    """

    reason: str
    identity: str | None
    payload: str


@dataclass(frozen=True, slots=True)
class Listing:
    """An answer's listing. `total` is as the source reported it (None: omitted or unreadable).
    `identities` in the order of the list, None for a record whose identity cannot be read. `newest` is
    the latest creation, None if a record does not say its own in whole seconds.
    """

    total: int | None
    identities: tuple[str | None, ...]
    newest: int | None = None


def numbered(counts: Counter[str], name: str) -> str:
    """Return the name of one more record that is alike in everything: the first has the bare name.
    `counts` goes on counting.
    """
    # a name that was numbered on its page is numbered anew over all pages
    plain = name.partition("/")[0]
    counts[plain] += 1
    return plain if counts[plain] == 1 else f"{plain}/{counts[plain]}"


def open_listing(body: bytes, list_key: str, identity: str, created: str = "") -> Listing:
    """Return the listing of an answer, whose records say by `created` when they were made. Raises
    `Changed` if it has no such list.
    """
    try:
        answer = _light_decoder(list_key, identity, created).decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _open_slowly(body, list_key, identity)
    records = answer.data.records
    # null is an empty list; a list that is not there is another API
    if records is msgspec.UNSET:
        raise Changed(
            tr("the answer has no {list_key}", list_key=list_key), path=f"$.data.{list_key}"
        )
    identities = tuple([record.identity for record in records or ()])
    # the fast decoder took an identity that a database would refuse or change
    if not are_identities(identities):
        return _open_slowly(body, list_key, identity)
    newest = _newest([record.created for record in records or ()])
    return Listing(reported_total(answer.data.total), identities, newest)


def is_identity(value: Any) -> bool:
    """Tell whether `value` can identify a record in both databases."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= LIMIT_IDENTITY
        and value.isprintable()
        and value == value.strip()
    )


def are_identities(names: Sequence[str]) -> bool:
    """Tell whether each of these can identify a record."""
    # all at once: a printable text without spaces has no part that is neither, and most pages are such
    joined = "".join(names)
    if joined.isprintable() and " " not in joined:
        lengths = set(map(len, names))
        return not lengths or (min(lengths) > 0 and max(lengths) <= LIMIT_IDENTITY)
    return all(map(is_identity, names))


def reported_total(value: Any) -> int | None:
    """Return a reported total, None if it is not a count: `7`, `7.0` and `"7"` are the same."""
    # `True` is an int in Python
    if isinstance(value, bool):
        return None
    is_count = isinstance(value, str) and _COUNT.fullmatch(value.strip()) is not None
    # lists of money read numbers with a point as exact ones
    if is_count or isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # what no column holds is no count: the poll is then not proven whole
    return value if isinstance(value, int) and 0 <= value < 2**31 else None


def parse_json(body: bytes, number: Callable[[str], Any] = float) -> Any:
    """Return the JSON value of `body`, read more leniently than strict JSON.

    `number` reads a number with a point or an exponent. Bytes that are no UTF-8, lone surrogates
    and NUL characters become U+FFFD. Raises `ValueError` if it is no JSON at all.
    """
    # the slow way: strict JSON refuses what a source with one bad byte sends
    text = body.decode("utf-8-sig", "replace")
    try:
        return _clean(json.loads(text, parse_float=number))
    except json.JSONDecodeError:
        raise
    # a number of thousands of digits must not cost the records beside its own
    except ValueError:
        return _clean(json.loads(text, parse_float=number, parse_int=_whole_number))


def parse_answer(body: bytes, number: Callable[[str], Any] = float) -> Any:
    """Return the JSON value of an answer, as `parse_json` does. Raises `Changed` if it is none."""
    try:
        return parse_json(body, number)
    except ValueError as error:
        raise Changed(tr("the answer is not JSON"), path="$") from error
    except RecursionError:
        raise Changed(tr("the answer is nested too deeply"), path="$") from None


def records_of(answer: Any, list_key: str) -> tuple[Any, list[Any]]:
    """Return `data` and its list of records (null counts as empty) of a parsed answer."""
    content = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(content, dict) or list_key not in content:
        raise Changed(
            tr("the answer has no {list_key}", list_key=list_key), path=f"$.data.{list_key}"
        )
    records = content[list_key]
    # the source says so that there is none
    if records is None:
        return content, []
    if not isinstance(records, list):
        raise Changed(tr("{list_key} is not a list", list_key=list_key), path=f"$.data.{list_key}")
    return content, records


def _open_slowly(body: bytes, list_key: str, identity: str) -> Listing:
    content, records = records_of(parse_answer(body), list_key)
    identities = (record.get(identity) if isinstance(record, dict) else None for record in records)
    return Listing(
        reported_total(content.get("total")),
        tuple(name if is_identity(name) else None for name in identities),
    )


def _newest(created: list[Any]) -> int | None:
    # by type, since true is a whole number in Python
    if not created or (set(map(type, created)) == {int} and min(created) > 0):
        return max(created, default=0)
    return None


def _whole_number(digits: str) -> int | str:
    """Return a whole number, as text if it is longer than Python reads."""
    return int(digits) if len(digits) < LONGEST_NUMBER else digits


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): _clean(item) for key, item in value.items()}
    return value


def clean_text(text: str) -> str:
    """Return `text` with NUL and lone surrogates, which databases refuse, replaced by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        # halves that JSON escaped apart become one character again; a half alone is replaced
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


@cache
def _light_decoder(list_key: str, identity: str, created: str) -> msgspec.json.Decoder[Any]:
    record = msgspec.defstruct(
        "Record",
        [("identity", str), ("created", Any, None)],
        rename={"identity": identity, "created": created},
    )
    content = msgspec.defstruct(
        "Content",
        [
            ("records", list[record] | None | msgspec.UnsetType, msgspec.UNSET),  # type: ignore[valid-type]
            ("total", Any, None),
        ],
        rename={"records": list_key},
    )
    return msgspec.json.Decoder(msgspec.defstruct("Answer", [("data", content)]))

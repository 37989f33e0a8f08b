"""Cut secrets out of the source's answers, and out of every text that this program writes.

They are recognised by the name of the member that holds them (`names`), by their form (`text`), and because the
process itself knows them (`known`). `MASK` is left in their place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Any, Final

from etl.redact.known import (
    LIBPQ_SECRETS,
    MASK,
    known,
    may_hold_password,
    remember,
    remember_address,
    remember_url,
)
from etl.redact.names import is_card_number, is_secret
from etl.redact.plain import are_addresses, hold_no_sure_secret
from etl.redact.remembered import MOST, Remembered

IDENTITIES: Final = frozenset(
    {
        "instance_uuid",
        "image_uuid",
        "gpu_uuid",
        "uuid",
        "order_number",
        "out_trade_no",
        "run_order_id",
    }
)
"""Members that are compared, and so must stay as they are."""
WORDS: Final = frozenset(
    {
        "title",
        "remark",
        "image_name",
        "image_tag",
        "gpu_name",
        "status_txt",
        "bind_txt",
        "pay_channel",
        "pod_uuid",
        "pod_tag",
        "workflow_id",
        "revision_id",
        "run_status",
        "freeze_status",
        "settlement_status",
    }
)
"""Members that people write or read: only sure secrets are cut from them, by their resource and by the archive
alike, else a replay would read another text than the poll."""
_NAMING: Final = ("name", "key", "Name", "Key", "k", "field", "label", "名称", "名字")
_NAMED: Final = frozenset({"value", "val", "Value", "v", "content", "值", "内容"})
"""Members that make a pair: `{"name": "PASSWORD", "value": "…"}`."""
_LONGEST_PAIR: Final = 6
_KUBERNETES: Final = ("data", "stringData", "binaryData")
_NAME: Final = re.compile(r"[\w. -]{1,60}")
_NESTED: Final = frozenset({dict, list})
_USUAL: Final = re.compile(
    r"(([a-z]{2,8}://)?(?:[a-z0-9-]+\.)*[a-z0-9-]+(?::[0-9]{1,5})?(?:/[a-z0-9/]{0,40})?)"
    r"(?(2)(?:\?[\w=&.~-]*)?)"
)
"""Pattern of an address that cannot hide a secret, with its query."""
_ADDRESS: Final = re.compile(r"[A-Za-z][\w+.-]+:/")
"""Beginning of a URL, also as a path has it, with one slash; of a drive of Windows there is one letter."""


def redact(value: Any) -> Any:
    """Return a JSON value without its secrets.

    `MASK` stands in the place of members with a secret's name and of secrets in texts; of a URL
    scheme, host, port and path remain, of a card number the last four characters. JSON inside of
    a text is treated likewise. Identities are left as they are, and from texts of people only sure
    secrets are cut. `redact(redact(v)) == redact(v)`; `value` is not changed.
    """
    kind = type(value)
    if kind is str:
        return _strings[value]
    if kind is dict:
        return _redact_members(value)
    if kind is list:
        return _redact_items(value)
    return value


def scrub(text: str) -> str:
    """Return `text` for a log, an error or a screen: without secrets, those that the process knows as well."""
    return _cut_secrets(known.cut(text))


def scrub_foreign(text: str) -> str:
    """Return what a stranger says for a log or an error. A source that repeats a key, or a part of it, may do so
    in any words, so that odd words go too.
    """
    from etl.redact.text import cut_odd_words

    return cut_odd_words(scrub(text))


def without_known(text: str) -> str:
    """Return `text` without the secrets that the process itself knows, and otherwise as it is."""
    return known.cut(text)


def shown_reference(name: str) -> str:
    """Return the name of a variable or of a file for people, without what may be the secret itself: people
    write that in the place of its name by mistake.
    """
    if _ADDRESS.match(name):
        return MASK
    left: str = redact_words(name)
    # of a path only sure secrets are cut, since folders have odd names; a variable is usually in capitals
    if left != name or re.search(r"[/\\.]", name) or re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        return left
    return name if scrub_foreign(name) == name else MASK


def redact_words(value: Any) -> Any:
    """Return a value that a person wrote, such as a title, without sure secrets."""
    return _words[value] if type(value) is str else redact(value)


def redacts_none(texts: Collection[str]) -> bool:
    """Tell whether `redact` leaves each of these texts as it is."""
    # an empty text is no address, and holds nothing
    return are_addresses([t for t in texts if t]) or all(_strings[t] == t for t in texts)


def redacts_no_words(texts: Collection[str]) -> bool:
    """Tell whether `redact_words` leaves each of these texts as it is."""
    return hold_no_sure_secret(texts) or all(_words[t] == t for t in texts)


def mask(value: Any) -> Any:
    """Return `MASK` for the value of a secret; an empty one, true and false hold none, and stay."""
    return value if not value or value is True else MASK


def _cut_secrets(text: str) -> str:
    # its patterns take longer to compile than an unchanged poll takes to be judged, which needs none
    from etl.redact.text import cut_secrets

    return cut_secrets(text)


def _redact_text(text: str) -> str:
    usual = _USUAL.fullmatch(text)
    # `sk-…` and `cy-…` look like a host, and may be keys
    if usual is not None and "k-" not in text and "y-" not in text:
        return usual[1]
    return _redact_json(text) if text.lstrip()[:1] in _OPENING else _cut_secrets(text)


def _redact_words_of_people(text: str) -> str:
    from etl.redact.text import cut_sure_secrets

    return text if len(text) < _SHORTEST_WORDS else cut_sure_secrets(text)


_OPENING: Final = ("{", "[", '"')
_SHORTEST_WORDS: Final = 6
_strings: Final = Remembered(_redact_text)
_words: Final = Remembered(_redact_words_of_people)


Reading = Callable[[Any], Any]


class _Readings(dict[str, Reading]):
    """The function that redacts a member's value, by the member's name."""

    def __missing__(self, name: str) -> Reading:
        if len(self) >= MOST:
            self.clear()
            # these go with the readings of the names that they belong to
            _renamed.clear()
        if _strings[name] != name:
            _renamed[name] = _strings[name]
        reading = self[name] = _reading(name)
        return reading


_renamed: Final[dict[str, str]] = {}
"""Names that hold a secret themselves."""
_readings: Final = _Readings()


def _reading(name: str) -> Reading:
    if name in IDENTITIES:
        return _redact_identity
    if name in WORDS:
        return redact_words
    if is_secret(name):
        return mask
    return _redacted_number if is_card_number(name) else redact


def _redact_identity(value: Any) -> Any:
    # one of another type makes a reject, whose payload is kept: it may hold anything
    return value if type(value) is str else redact(value)


def _redacted_number(value: Any) -> Any:
    # type and not isinstance: True is an int too
    return str(value)[-4:] if type(value) in (str, int) else redact(value)


def _redact_members(members: dict[str, Any]) -> dict[str, Any]:
    left = {}
    for name, value in members.items():
        reading = _readings[name]
        if reading is not redact:
            value = reading(value)
        elif type(value) is str:  # what `redact` does, without its call: most values are texts
            value = _strings[value]
        elif type(value) in _NESTED:
            value = redact(value)
        left[name] = value
    # a larger object is a record that has a name, not a name beside its value
    if len(left) <= _LONGEST_PAIR and _names_a_secret(members):
        left.update({name: mask(members[name]) for name in _NAMED if name in members})
    if members.get("kind") == "Secret":  # of Kubernetes, whose members go by any name
        left.update({name: mask(members[name]) for name in _KUBERNETES if name in members})
    if _renamed:
        left = {_renamed.get(name, name): value for name, value in left.items()}
    return left


def _names_a_secret(members: dict[str, Any]) -> bool:
    """Tell whether a member names a secret that another member, its value, holds."""
    if _NAMED.isdisjoint(members):
        return False
    return any(_is_secret_name(members[member]) for member in _NAMING if member in members)


def _is_secret_name(value: Any) -> bool:
    return type(value) is str and _NAME.fullmatch(value) is not None and is_secret(value)


def _redact_items(items: list[Any]) -> list[Any]:
    # pairs as lists, as some answers give environment variables
    if len(items) == 2 and _is_secret_name(items[0]):
        return [items[0], mask(items[1])]
    return [redact(item) for item in items]


def _redact_json(text: str) -> str:
    """Return a text that may be JSON without its secrets; as it is if it holds none."""
    try:
        value = json.loads(text)
        left = redact(value)
    except (ValueError, RecursionError):
        return _cut_secrets(text)
    # as it was written if nothing was cut: spacing would make a new version of it
    return text if left == value else json.dumps(left, ensure_ascii=False)


__all__ = [
    "LIBPQ_SECRETS",
    "MASK",
    "mask",
    "may_hold_password",
    "redact",
    "redact_words",
    "remember",
    "remember_address",
    "remember_url",
    "scrub",
    "scrub_foreign",
    "shown_reference",
    "without_known",
]

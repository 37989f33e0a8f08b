"""Tags of instances, such as `team:vision`: in brackets in a title, or by rule, which goes first. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from unicodedata import normalize

PAYERS: Final = ("project", "owner", "cost_centre")
"""Keys that no tag can have: rules say who pays, and exports name that by these keys."""
ANY_TAG: Final = "tag:KEY"
"""The choice of a parameter of a report that stands for all tags: `tag:team` is one."""
_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]|【([^【】]*)】")
_PARTS: Final = re.compile(r"[,;、\s]+")
# no letter of a value needs escaping in JSON: SQL looks for values as plain text
_KEY: Final = r"[^\W\d_][\w.-]{0,63}"
_VALUE: Final = r"[^\s\"\\\x00-\x1f\x7f\[\]【】,;、/][^\s\"\\\x00-\x1f\x7f\[\]【】,;、]{0,255}"
_TAG: Final = re.compile(rf"({_KEY}):({_VALUE})")


def folded_key(text: str) -> str | None:
    """Return a key in its one spelling, whatever its case and width; None if it can be no key."""
    key = normalize("NFKC", text).strip().casefold()
    return key if re.fullmatch(_KEY, key) and key not in PAYERS else None


def tag_dimension(text: str) -> str | None:
    """Return a dimension of reports that is a tag, such as `tag:team`, in its one spelling; else None."""
    prefix, colon, key = normalize("NFKC", text).partition(":")
    folded = folded_key(key) if prefix == "tag" and colon else None
    return None if folded is None else f"tag:{folded}"


@lru_cache(maxsize=4096)
def tags_in_title(title: str) -> str | None:
    """Return the tags that stand in the brackets of a title, as JSON; None if there are none.

    Other words in brackets are no tags; of two with one key the first holds.
    """
    wide = normalize("NFKC", title)
    words = (
        word
        for match in _BRACKETS.finditer(wide)
        for word in _PARTS.split(match[1] or match[2] or "")
    )
    tags: dict[str, str] = {}
    for word in words:
        if (tag := _tag(word)) is not None:
            tags.setdefault(*tag)
    return as_json(tags)


def have_no_brackets(titles: Iterable[str]) -> bool:
    """Tell whether no title can have tags, in whatever width its brackets are written."""
    wide = normalize("NFKC", "\n".join(titles))
    return "[" not in wide and "【" not in wide


def tags_in_rule(text: str) -> str | None:
    """Return the tags that a rule gives, as JSON; None if a word of it is none, or a key stands twice."""
    words = [word for word in _PARTS.split(normalize("NFKC", text)) if word]
    tags = [tag for word in words if (tag := _tag(word)) is not None]
    return as_json(dict(tags)) if len(dict(tags)) == len(words) else None


def _tag(word: str) -> tuple[str, str] | None:
    match = _TAG.fullmatch(word)
    key = folded_key(match[1]) if match else None
    return (key, match[2]) if match and key is not None else None


def as_json(tags: Mapping[str, str]) -> str | None:
    """Return tags as a JSON object, in the order of their keys; None if there are none."""
    pairs = ",".join(f'"{key}":"{value}"' for key, value in sorted(tags.items()))
    return f"{{{pairs}}}" if pairs else None


def as_words(tags: str) -> str:
    """Return tags that are given as JSON in the form that a rule gives them."""
    return ", ".join(pair.replace('":"', ":") for pair in tags[2:-2].split('","'))


def with_first(first: str | None, then: str | None) -> str | None:
    """Return the tags of both, as JSON; of a key that both have, the value of `first` holds."""
    if first is None or then is None:
        return first or then
    return as_json({**_pairs(then), **_pairs(first)})


@lru_cache(maxsize=4096)
def _pairs(tags: str) -> Mapping[str, str]:
    return dict(pair.split('":"') for pair in tags[2:-2].split('","'))

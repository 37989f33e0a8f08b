"""Secrets out of what the source said, before anything else sees it."""

from __future__ import annotations

import re
from typing import Any, Final

SECRET_NAME: Final = re.compile(
    r"passw(or)?d|passphrase|^pwd$|secret|token|credential|authorization|cookie"
    r"|api_?key|access_?key|private_?key|^key$",
    re.IGNORECASE,
)
"""Names of members whose value is a secret, whatever it is: they are dropped."""

_CARD_NUMBER: Final = "card_no"
_LEFT: Final = frozenset(
    {"title", "remark", "image_name", "image_tag", "gpu_name"}  # the user's words
    | {"instance_uuid", "image_uuid", "gpu_uuid"}  # compared: a name must stay what it is
)
_URL: Final = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s\"'<>]*)")
_NAMES_KEPT: Final = 10_000


class _Secrets(dict[str, bool]):
    """Whether a member's name is a secret's, remembered."""

    def __missing__(self, name: str) -> bool:
        if len(self) >= _NAMES_KEPT:
            self.clear()
        found = self[name] = SECRET_NAME.search(name) is not None
        return found


_is_secret: Final = _Secrets()


def redact(value: Any) -> Any:
    """The same JSON value without secrets.

    Members with a secret's name are dropped, URLs lose user-info, query string and fragment, of a
    card number the last four characters remain. What the user wrote (titles, remarks) and what is
    a name (uuids) is left as it is. `redact(redact(v)) == redact(v)`.
    """
    kind = type(value)
    if kind is str:
        return redact_urls(value) if "://" in value else value
    if kind is dict:
        return {name: _member(name, v) for name, v in value.items() if not _is_secret[name]}
    if kind is list:
        return [redact(item) for item in value]
    return value


def redact_urls(text: str) -> str:
    """`text` with every URL in it cut down to scheme, host, port and path."""
    if "?" in text or "@" in text or "#" in text:
        return _URL.sub(_bare_url, text)
    return text


def _member(name: str, value: Any) -> Any:
    if type(value) is not str:
        return str(value)[-4:] if name == _CARD_NUMBER else redact(value)
    if name in _LEFT:
        return value
    if name == _CARD_NUMBER:
        return value[-4:]
    return redact_urls(value) if "://" in value else value


def _bare_url(match: re.Match[str]) -> str:
    rest = re.split(r"[?#]", match[2], maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    return match[1] + authority.rpartition("@")[2] + slash + path

"""Secrets that the process itself knows, taken out of every text that leaves it.

A pattern recognises a key by its form; a password of six letters has none. Whatever reads a secret
(a key, a database URL, the address of a webhook) remembers it here first.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK: Final = "***"
"""Text that takes the place of a secret."""
SHORTEST: Final = 4
"""Length of the shortest secret that is cut: shorter ones are no better than words, and no text would
stay legible."""
_WHOLE_WORD: Final = 8
"""Length from which on a secret is cut inside of words, too: the password `test` is no part of
`latest`."""


class _Secrets:
    """The secrets, and one pattern for all of them. Threads may remember and cut at once."""

    def __init__(self) -> None:
        self._adding = threading.Lock()
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secrets: Iterable[str]) -> None:
        with self._adding:
            forms = self._forms.union(*(_forms(secret) for secret in secrets))
            if forms != self._forms:
                self._forms = forms
                # the longest first, or a part of a password would be cut and the rest shown
                longest_first = sorted(forms, key=lambda form: (-len(form), form))
                self._pattern = re.compile("|".join(map(_as_pattern, longest_first)), re.IGNORECASE)

    def clear(self) -> None:
        with self._adding:
            self._forms, self._pattern = frozenset(), None

    def cut(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


known: Final = _Secrets()


def remember(*secrets: str) -> None:
    """Cut these from every text that is scrubbed from now on."""
    known.add(secrets)


def remember_url(url: str) -> None:
    """Cut the passwords of a database's URL, or of a DSN of libpq, from every text from now on."""
    remember(*passwords_of(url))


def remember_address(url: str) -> None:
    """Cut the address of a webhook, which is a secret as a whole, and each long part of it."""
    _, scheme, rest = url.partition("://")
    user_info, _, path = apart(rest)
    pieces = re.split(r"[/&=?#;:@]", f"{user_info}/{path}")
    remember(*(piece for piece in pieces if len(piece) >= _WHOLE_WORD))
    if rest.strip("/") or not scheme:  # "https://" alone would be cut out of every address
        remember(url)


def passwords_of(url: str) -> Iterator[str]:
    """Yield the passwords in a database's URL or a DSN. An `@`, `/` or `?` that is not escaped makes it
    ambiguous: each reading of it counts."""
    for secret in re.findall(
        r"(?i)(?:password|passwd|sslpassword)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&#]+)", url
    ):
        yield secret.strip("'")
        yield from (part for part in secret.split("@") if part != secret)
    scheme = re.match(r"[A-Za-z][\w+.-]*:/*", url)
    user_info, host, path = apart(url[scheme.end() if scheme else len(url) :])
    user, _, password = user_info.partition(":")
    if password and password not in (user, host, path):  # else no text could name those
        yield password
        yield from (part for part in re.split(r"[@/?#:]", password) if part != password)


def apart(rest: str) -> tuple[str, str, str]:
    """Split the part of a URL behind `://` into user-info, host with port, and the rest."""
    query_at = re.match(r"[\w.\-\[\]:,]*/[\w.\-/]*\?", rest)
    end = query_at.end() if query_at else len(rest)
    # the last one: a password may hold others
    user_info, at, behind = rest[:end].rpartition("@")
    if not at:
        user_info, behind = "", rest[:end]
    host, _, path = (behind + rest[end:]).partition("/")
    return user_info, host, path


def _forms(secret: str) -> set[str]:
    """Return a secret as texts spell it: plain, percent-encoded, decoded, and escaped as Python and JSON do."""
    secret = secret.strip()
    plain = {secret, unquote(secret), unquote_plus(secret)}
    spelled = {f(form) for form in plain for f in (quote, quote_plus, lambda s: quote(s, safe=""))}
    # a repr and JSON spell what is not ASCII by escapes
    escaped = {form.encode("unicode_escape").decode() for form in plain}
    quoted = {form.replace("\\", "\\\\").replace('"', '\\"') for form in plain}
    return {form for form in plain | spelled | escaped | quoted if len(form) >= SHORTEST}


def _as_pattern(form: str) -> str:
    if len(form) >= _WHOLE_WORD:
        return re.escape(form)
    # an underscore ends a word here: `db_test` holds the password `test`
    return rf"(?<![^\W_]){re.escape(form)}(?![^\W_])"

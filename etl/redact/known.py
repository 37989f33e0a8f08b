"""Secrets that the process itself knows, taken out of every text that leaves it.

A pattern recognises a key by its form; a password of six letters has none. Whatever reads a secret
(a key, a database URL, the address of a webhook) remembers it here first.
"""

from __future__ import annotations

import html
import re
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final
from urllib.parse import unquote, unquote_plus

from etl.redact.names import is_secret

MASK: Final = "***"
"""Text that takes the place of a secret."""
SHORTEST: Final = 4
"""Length of the shortest secret that is cut: shorter ones are no better than words, and no text would
stay legible."""
_WHOLE_WORD: Final = 8
"""Length from which on a secret is cut inside of words, too: the password `test` is no part of
`latest`."""
LIBPQ_SECRETS: Final = (
    *("password", "sslpassword", "oauth_client_secret"),
    *("scram_client_key", "scram_server_key"),
)
"""Parameters of libpq that are secrets."""
_NAMED: Final = rf"(?i)(?:{'|'.join(LIBPQ_SECRETS)}|passwd)\s*=\s*" r"('(?:[^'\\]|\\.)*'|[^\s&#]+)"
"""A parameter of libpq that is a secret, in a URL or in a DSN."""
_SCHEME: Final = re.compile(r"[A-Za-z][\w+.-]*:/+")
_BREAK: Final = r"(?:\r?\n[ \t]{0,80})?"
"""Where a text may have been wrapped."""
_SLASHES: Final = r"\\{1,8}"
_ESCAPED: Final[Mapping[str, tuple[str, ...]]] = {
    " ": (r"\+",),
    "\t": (rf"{_SLASHES}t",),
    "\n": (rf"{_SLASHES}n",),
    "'": ("&apos;", r"'\"'\"'"),
    **{sign: (rf"&(?:amp;)?{html.escape(sign)[1:]}",) for sign in '"&<>'},
}
"""Further spellings of a character, as patterns."""


class _Secrets:
    """The secrets, and one pattern for all of them. Threads may remember and cut at once."""

    def __init__(self) -> None:
        self._adding = threading.Lock()
        self._forms: frozenset[str] = frozenset()
        self._packed: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secrets: Iterable[str]) -> None:
        with self._adding:
            forms = self._forms.union(*(_forms(secret) for secret in secrets))
            if forms != self._forms:
                self._forms = forms
                self._packed = frozenset(chain.from_iterable(map(_packed, forms)))
                # the longest first, or a part of a password would be cut and the rest shown
                longest_first = sorted(forms, key=lambda form: (-len(form), form))
                self._pattern = re.compile("|".join(map(_as_pattern, longest_first)), re.IGNORECASE)

    def clear(self) -> None:
        with self._adding:
            self._forms = self._packed = frozenset()
            self._pattern = None

    def cut(self, text: str) -> str:
        if self._pattern is None:
            return text
        # they have one spelling, and a search for a fixed text costs next to nothing
        for form in self._packed:
            text = text.replace(form, MASK)
        return self._pattern.sub(MASK, text)


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
    # a server repeats the path alone; a short word of it, such as `send`, is no secret by itself
    remember(*(piece for piece in (*pieces, path) if len(piece) >= _WHOLE_WORD))
    # a short value of the query, such as a year, is one by its name alone
    named = re.findall(r"([\w.-]+)=([^&=#]*)", path)
    remember(user_info.partition(":")[2], *(value for name, value in named if is_secret(name)))
    if rest.strip("/") or not scheme:  # "https://" alone would be cut out of every address
        remember(url)


def passwords_of(url: str) -> Iterator[str]:
    """Yield the passwords in a database's URL or a DSN. An `@`, `/` or `?` that is not escaped makes it
    ambiguous: each reading of it counts."""
    for secret in re.findall(_NAMED, url):
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


def may_hold_password(address: str) -> bool:
    """Tell whether the address of a database, a proxy or a service may hold a password, in whatever form."""
    scheme = _SCHEME.match(address)
    if scheme is None:
        # `me:secret@proxy:3128`; and a path may hold an @, too
        is_user = re.match(r"[^/\s]*:[^\s]*@[^/\s]", address) is not None
    else:
        # a file has no user: `sqlite:////data/12:30@lab.db`
        is_file = scheme[0].lower().startswith("sqlite")
        is_user = not is_file and ":" in apart(address[scheme.end() :])[0]
    return is_user or re.search(_NAMED, address) is not None


def _forms(secret: str) -> set[str]:
    """Return a secret as it may have been written before it was read."""
    secret = secret.strip()
    plain = {secret, unquote(secret), unquote_plus(secret)}
    # as headers of HTTP are read
    plain |= {text.encode("utf-8", "surrogatepass").decode("latin-1") for text in plain}
    return {form for form in plain if len(form) >= SHORTEST}


def _packed(secret: str) -> Iterator[str]:
    """Yield the base64 of a secret for each place that it can have in what was packed, such as
    `user:password`: without the signs at its ends, which hold bits of what stands around it. A short one has none
    that could not be a part of another word.
    """
    if len(secret) < _WHOLE_WORD:
        return
    content = secret.encode("utf-8", "surrogatepass")
    for before, signs in ((0, 0), (1, 2), (2, 3)):
        whole = (before + len(content)) * 8 // 6
        form = b64encode(bytes(before) + content).decode()[signs:whole]
        yield from (form, form.replace("+", "-").replace("/", "_"))


def _as_pattern(form: str) -> str:
    # the same character in a row is one piece: patterns in a row would try each way to share it
    runs = [run[0] for run in re.finditer(r"(.)\1*", form, re.DOTALL)]
    pieces = [
        _spelled(run, is_escaped=before[-1:] == "\\")
        for before, run in zip(["", *runs], runs, strict=False)
    ]
    if len(form) >= _WHOLE_WORD:
        return _BREAK.join(pieces)
    # an underscore ends a word here: `db_test` holds the password `test`
    return rf"(?<![^\W_]){''.join(pieces)}(?![^\W_])"


def _spelled(run: str, *, is_escaped: bool) -> str:
    """Return a pattern of a character, once or more, in every spelling: plain, doubled as in SQL, and escaped as
    shells, Python, JSON, URLs and HTML do, also several times over. `is_escaped`: the pattern before takes
    backslashes already."""
    sign, count = run[0], len(run)
    if sign.isascii() and sign.isalnum():
        return _BREAK.join(run)
    number, octets = ord(sign), sign.encode("utf-8", "surrogatepass")
    escaped = (
        *_ESCAPED.get(sign, ()),
        "".join(rf"%(?:25){{0,3}}{octet:02x}" for octet in octets),
        "".join(rf"{_SLASHES}x{octet:02x}" for octet in octets),
        "".join(rf"{_SLASHES}u{unit:04x}" for unit in _utf16(sign)),
        rf"{_SLASHES}(?:x{number:02x}|U{number:08x})",
        rf"&(?:amp;)?(?:#0*{number}|#x0*{number:x});",
    )
    most = 8 * count if sign == "\\" else 2 * count
    # two patterns that may take the same backslashes would try each way to share them
    slashes = "" if is_escaped or sign == "\\" else r"\\{0,8}"
    plain = slashes + re.escape(sign)
    return rf"(?:(?:{plain}{_BREAK}){{{count},{most}}}|(?:{'|'.join(escaped)}){{{count}}})"


def _utf16(sign: str) -> Iterator[int]:
    """Yield the numbers by which JSON writes a character."""
    units = sign.encode("utf-16-be", "surrogatepass")
    return (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))

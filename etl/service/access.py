"""Who may read the daemon's page and figures: whoever has the token, if there is one."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Final

COOKIE: Final = "chenyu_page"
# a wall screen or a bookmark should not ask for the token each day
COOKIE_S: Final = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Access:
    """The token; without one, the address that the daemon listens on decides who can read."""

    token: str = field(default="", repr=False)

    def is_token(self, given: str) -> bool:
        # in constant time: a comparison that stops early tells how much was right
        return hmac.compare_digest(given.encode(), self.token.encode())

    def cookie(self) -> str:
        """Return the `Set-Cookie` of a browser that gave the token."""
        # Lax, as a link in a chat would arrive without a Strict cookie; nothing here can be changed
        return f"{COOKIE}={self._pass()}; Max-Age={COOKIE_S}; Path=/; HttpOnly; SameSite=Lax"

    def is_let_in(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a request has the token, by its headers in small letters, or needs none."""
        if not self.token or self._is_authorized(headers.get("authorization", "")):
            return True
        return hmac.compare_digest(_cookie(headers).encode(), self._pass().encode())

    def _pass(self) -> str:
        """Return the value of the cookie: made of the token, which it does not tell."""
        return hmac.new(self.token.encode(), COOKIE.encode(), sha256).hexdigest()

    def _is_authorized(self, header: str) -> bool:
        scheme, _, given = header.partition(" ")
        if scheme.lower() == "bearer":
            return self.is_token(given.strip())
        # spreadsheets can send a password, and no other header
        return scheme.lower() == "basic" and self.is_token(_password(given.strip()))


def _password(credentials: str) -> str:
    """Return the password of Basic credentials; empty if they are none."""
    try:
        return b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:  # neither Base64 nor UTF-8
        return ""


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        kept = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return kept[COOKIE].value if COOKIE in kept else ""

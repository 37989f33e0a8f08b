"""The live page over HTTP: who may read it, in which language, and whether it is new to the reader."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from etl.page.policy import csp_digest
from etl.service.builds import Built
from etl.texts import ENGLISH, LANGUAGES, localized, tr

COOKIE: Final = "chenyu_page"
# a wall screen or a bookmark should not ask for the token each day
COOKIE_S: Final = 30 * 86_400
STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:12vh auto;padding:0 1em;"
    "color-scheme:light dark}h1{font-size:1.3em}input,button{font:inherit;padding:.3em .6em}"
)
SAFE: Final = {
    # kept by the browser alone, and asked for again each time: the ETag makes that cheap
    "Cache-Control": "no-cache, private",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding, Accept-Language, Cookie",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request of a browser: `target` with its query, headers by name in small letters."""

    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: status, headers, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Site:
    """The page at `/`. `built` gives the last build in a language; without a token, the address that
    the daemon listens on decides who can read it. `hosts` are names of this machine that are no local
    ones.
    """

    built: Callable[[str], Built | None]
    token: str = field(default="", repr=False)
    hosts: frozenset[str] = frozenset()

    def answer(self, asked: PageRequest) -> Reply:
        """Answer a GET or HEAD of `/`."""
        query = parse_qs(urlsplit(asked.target).query)
        lang = _language(query, asked.headers)
        # asked first: whoever has no token learns nothing, not even whether there is a page
        if self.token:
            given = query.get("token", [""])[0]
            if given and self._is_token(given):
                return self._let_in(query)
            if not self._is_let_in(asked.headers):
                return _note(
                    401, lang, tr("A token is needed"), _FAILED if given else "", form=True
                )
        page = self.built(lang)
        if page is None:
            return _note(503, lang, tr("Not built yet"), _UNBUILT)
        return _page(page, asked.headers)

    def _is_token(self, given: str) -> bool:
        # in constant time: a comparison that stops early tells how much was right
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _pass(self) -> str:
        """Return the value of the cookie: made of the token, which it does not tell."""
        return hmac.new(self.token.encode(), COOKIE.encode(), sha256).hexdigest()

    def _is_let_in(self, headers: Mapping[str, str]) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return True
        return hmac.compare_digest(_cookie(headers).encode(), self._pass().encode())

    def _let_in(self, query: Mapping[str, list[str]]) -> Reply:
        """Send the browser to the address without the token, with a cookie instead of it."""
        rest = urlencode({"lang": query["lang"][0]}) if "lang" in query else ""
        # Lax, as a link in a chat would arrive without a Strict cookie; nothing here can be changed
        kept = f"{COOKIE}={self._pass()}; Max-Age={COOKIE_S}; Path=/; HttpOnly; SameSite=Lax"
        to = f"/?{rest}" if rest else "/"
        # out of the address bar, and so out of histories, screenshots and links that are passed on
        return Reply(303, {**SAFE, "Cache-Control": "no-store", "Location": to, "Set-Cookie": kept})


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        kept = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return kept[COOKIE].value if COOKIE in kept else ""


def _language(query: Mapping[str, list[str]], headers: Mapping[str, str]) -> str:
    asked = query.get("lang", [""])[0]
    if asked in LANGUAGES:
        return asked
    return "zh" if headers.get("accept-language", "").lower().startswith("zh") else ENGLISH


def _page(page: Built, headers: Mapping[str, str]) -> Reply:
    is_packed = "gzip" in headers.get("accept-encoding", "")
    # the packed page is another representation: one tag for both would mix them up in a cache
    etag = f'"{page.etag}{"-gz" if is_packed else ""}"'
    sent = {
        **SAFE,
        "Content-Security-Policy": f"{page.policy}; frame-ancestors 'none'",
        "ETag": etag,
    }
    known = {tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Reply(304, sent)
    sent["Content-Type"] = "text/html; charset=utf-8"
    if is_packed:
        return Reply(200, {**sent, "Content-Encoding": "gzip"}, page.packed)
    return Reply(200, sent, page.body)


_UNBUILT: Final = tr("The page is built after the first poll. This asks again every few seconds.")
_FAILED: Final = tr("That was not the token.")
_ASK: Final = tr("Enter the token of this page (CHENYU_PAGE_TOKEN). It is kept in a cookie.")


def _note(status: int, lang: str, title: str, text: str, *, form: bool = False) -> Reply:
    """Return a short page with a sentence, and a field for the token."""

    def word(text: str) -> str:
        return escape(localized(text, lang))

    parts = [f"<h1>{word(title)}</h1>"]
    parts += [f"<p>{word(text)}</p>"] if text else []
    if form:
        parts += [
            f'<form><p><label for="token">{word(_ASK)}</label></p>',
            '<p><input id="token" name="token" type="password" autocomplete="current-password" required>',
            f"<button>{word(tr('Open'))}</button></p></form>",
        ]
    again = '<meta http-equiv="refresh" content="5">' if status == 503 else ""
    html = (
        f'<!doctype html><html lang="{lang}"><meta charset="utf-8">{again}'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f"<title>{word(title)}</title><style>{STYLE}</style><main>{''.join(parts)}</main></html>\n"
    )
    policy = (
        f"default-src 'none'; style-src {csp_digest(STYLE)}; img-src data:; base-uri 'none';"
        " form-action 'self'; frame-ancestors 'none'"
    )
    headers = {
        **SAFE,
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Content-Type": "text/html; charset=utf-8",
    }
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = "5"
    return Reply(status, headers, html.encode())

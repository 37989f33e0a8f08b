"""The live page over HTTP: who may read it, in which language, and whether it is new to the reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final, Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

from etl.page.policy import csp_digest
from etl.service.access import Access
from etl.service.builds import Built
from etl.texts import ENGLISH, LANGUAGES, localized, tr

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


class Served(Protocol):
    """Something of the daemon that a browser or a program may ask for."""

    @property
    def hosts(self) -> frozenset[str]:
        """Return further names of this machine under which it may be asked."""

    def serves(self, path: str) -> bool: ...

    def answer(self, asked: PageRequest) -> Reply:
        """Answer a GET or HEAD."""


@dataclass(frozen=True, slots=True)
class Site:
    """The page at `/`. `built` gives the last build in a language; `hosts` are names of this machine
    that are no local ones.
    """

    built: Callable[[str], Built | None]
    access: Access = field(default_factory=Access)
    hosts: frozenset[str] = frozenset()

    def serves(self, path: str) -> bool:
        return path == "/"

    def answer(self, asked: PageRequest) -> Reply:
        """Answer a GET or HEAD of `/`."""
        query = parse_qs(urlsplit(asked.target).query)
        lang = _language(query, asked.headers)
        # asked first: whoever has no token learns nothing, not even whether there is a page
        given = query.get("token", [""])[0] if self.access.token else ""
        if given and self.access.is_token(given):
            return self._let_in(query)
        if not self.access.is_let_in(asked.headers):
            return _note(401, lang, tr("A token is needed"), _FAILED if given else "", form=True)
        page = self.built(lang)
        if page is None:
            return _note(503, lang, tr("Not built yet"), _UNBUILT)
        return _page(page, asked.headers)

    def _let_in(self, query: Mapping[str, list[str]]) -> Reply:
        """Send the browser to the address without the token, with a cookie instead of it."""
        rest = urlencode({"lang": query["lang"][0]}) if "lang" in query else ""
        to = f"/?{rest}" if rest else "/"
        # out of the address bar, and so out of histories, screenshots and links that are passed on
        sent = {"Cache-Control": "no-store", "Location": to, "Set-Cookie": self.access.cookie()}
        return Reply(303, {**SAFE, **sent})


def _language(query: Mapping[str, list[str]], headers: Mapping[str, str]) -> str:
    asked = query.get("lang", [""])[0]
    if asked in LANGUAGES:
        return asked
    return "zh" if headers.get("accept-language", "").lower().startswith("zh") else ENGLISH


def has_already(headers: Mapping[str, str], etag: str) -> bool:
    """Tell whether a request says that the reader has what has this tag."""
    known = {tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")}
    return etag in known or "*" in known


def _page(page: Built, headers: Mapping[str, str]) -> Reply:
    is_packed = "gzip" in headers.get("accept-encoding", "")
    # the packed page is another representation: one tag for both would mix them up in a cache
    etag = f'"{page.etag}{"-gz" if is_packed else ""}"'
    sent = {
        **SAFE,
        "Content-Security-Policy": f"{page.policy}; frame-ancestors 'none'",
        "ETag": etag,
    }
    if has_already(headers, etag):
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

"""Texts for people: English in the code, other languages in the gettext catalogs of `etl/locale`.

A text is English to whoever stores, logs or compares it, and remembers its template and values, so
that a screen says it in the reader's language. No catalog is read for English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, translation
from pathlib import Path
from typing import Any, Final

ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "zh")
VARIABLE: Final = "CHENYU_LANG"
DOMAIN: Final = "chenyu-etl"
CATALOGS: Final = Path(__file__).parent / "locale"
SYSTEM_REASONS: Final = (
    "Connection refused",
    "Device or resource busy",
    "File exists",
    "File name too long",
    "Input/output error",
    "Is a directory",
    "No such file or directory",
    "No space left on device",
    "Not a directory",
    "Permission denied",
    "Read-only file system",
    "Too many open files",
    "attempt to write a readonly database",
    "database disk image is malformed",
    "database is locked",
    "database or disk is full",
    "disk I/O error",
    "file is not a database",
    "unable to open database file",
)
"""Reasons of the operating system and of SQLite, which Python gives in English."""
HEADING: Final = "column"
"""The context of the headings of columns; that of one report goes on with ` of REPORT`."""
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
_spoken: Final[ContextVar[str]] = ContextVar("language", default=ENGLISH)


class Text(str):
    """An English text that knows its template and values."""

    __slots__ = ("context", "template", "values")

    template: str
    values: dict[str, Any]
    context: str

    def in_language(self, lang: str) -> str:
        """Return the text in a language, in English if the catalog lacks it."""
        if lang == ENGLISH or not self.template:
            return str(self)
        template = _translated(self.context, self.template, lang)
        return _filled(template, {k: _value_in(v, lang) for k, v in self.values.items()})

    def filled(self, **values: Any) -> Text:
        """Return this text with values that its template has yet to get."""
        return _text(self.context, self.template, values)


def tr(template: str, /, **values: Any) -> Text:
    """Return the text of a template such as `{path} cannot be read: {reason}`.

    The template is a key of the catalogs, so it must be a literal where this is called.
    """
    return _text("", template, values)


def term(context: str, word: str) -> Text:
    """Return a word of a closed set, such as a state or a unit, that means something in its context.

    Other languages may need two words for one of English: a `stopped` machine, and the event.
    """
    return _text(context, word, {})


def heading_text(column: str, report: str, lang: str) -> str:
    """Return the heading of a report's column in a language.

    A name such as `state` has one heading in all reports, unless the catalog has another for this one.
    """
    if lang == ENGLISH:
        return column
    own = _translated(f"{HEADING} of {report}", column, lang)
    return own if own != column else _translated(HEADING, column, lang)


def first_sentence(text: str) -> str:
    """Return the text up to the first full stop, of either language, that ends a sentence."""
    # a stop inside a number or a name ends nothing
    return re.split(r"。|\.(?: |$)", text, maxsplit=1)[0]


def joined(parts: Iterable[str], joint: str = "") -> Text:
    """Return texts as one, each translated by itself, as is the `joint` between them."""
    values = {f"part{number}": part for number, part in enumerate(parts)}
    template = "{joint}".join(f"{{{name}}}" for name in values)
    return _text("", template, {**values, "joint": joint} if values else {})


def localized(value: Any, lang: str | None = None) -> Any:
    """Return a text in a language, by default the screen's; that of an error too; whatever else
    is no `Text` stays as it is."""
    if isinstance(value, Exception):
        # an error of ours holds its message: shown in the language of the screen, logged in English
        value = next((text for text in value.args if isinstance(text, Text)), value)
    return value.in_language(lang or spoken()) if isinstance(value, Text) else value


def _text(context: str, template: str, values: dict[str, Any]) -> Text:
    text = Text(_filled(template, values))
    text.context, text.template, text.values = context, template, values
    return text


def _translated(context: str, template: str, lang: str) -> str:
    catalog = _catalog(lang)
    return catalog.pgettext(context, template) if context else catalog.gettext(template)


def _value_in(value: Any, lang: str) -> Any:
    # drivers give their reason as an error, the system as its text
    reason = str(value) if isinstance(value, Exception) else value
    return _catalog(lang).gettext(reason) if reason in SYSTEM_REASONS else localized(value, lang)


def spoken() -> str:
    """Return the language of the screen; English in every thread that did not choose one."""
    return _spoken.get()


def speak(lang: str) -> None:
    """Choose the language of the screen."""
    _spoken.set(lang)


@contextmanager
def speaking(lang: str) -> Iterator[None]:
    """Choose the language of the screen for a block."""
    token = _spoken.set(lang)
    try:
        yield
    finally:
        _spoken.reset(token)


def chosen_language(
    option: str | None, environ: Mapping[str, str], written: str | None = None
) -> str:
    """Return the language for people: that of `--lang`, its variable, the config file (`written`) or
    the locale, in this order. Whoever reads the settings complains of one that is not known."""
    # an unknown one is passed over here: help must be readable even so
    named = (option, environ.get(VARIABLE), written)
    return next((lang for lang in named if lang in LANGUAGES), locale_language(environ))


def locale_language(environ: Mapping[str, str]) -> str:
    """Return Chinese in a Chinese locale, else English."""
    name = next((value for key in _LOCALE if (value := environ.get(key))), "")
    return "zh" if name.lower().startswith("zh") else ENGLISH


def _filled(template: str, values: dict[str, Any]) -> str:
    # a template without values is prose, in which a brace is a brace
    return template.format(**values) if values else template


@cache
def _catalog(lang: str) -> GNUTranslations:
    return translation(DOMAIN, CATALOGS, [lang])

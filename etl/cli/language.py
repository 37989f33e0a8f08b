"""The language of the screen: `--lang`, which every command takes, and the words of click."""

from __future__ import annotations

import copy
import gettext
import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unicodedata import east_asian_width

import click

from etl.texts import (
    CATALOGS,
    ENGLISH,
    LANGUAGES,
    Text,
    chosen_language,
    first_sentence,
    localized,
    speak,
    speaking,
    tr,
)

OPTIONS: Final = tr("[OPTIONS]")
SUBCOMMAND: Final = tr("COMMAND [ARGS]...")
TYPES: Final[Mapping[str, Text]] = {
    "integer": tr("integer"),
    "integer range": tr("integer"),
    "float": tr("number"),
    "float range": tr("number"),
    "text": tr("text"),
    "date": tr("date"),
}
"""Names of types, which click shows as they are, without its catalog."""
_META: Final = "etl.lang"
_OPTION: Final = "--lang"
_CLICK: Final = "click"
_GETTEXT: Final = "LANGUAGE"
_CLOSING: Final = frozenset("，。、；：！？）》」』”’…")
"""Begin no line."""
_OPENING: Final = frozenset("（《「『“‘")
"""End no line."""
_NO_BREAK: Final = "\ue000"


def _note(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[_META] = value
        speak(value)


def lang_option(command: Any) -> Any:
    """Decorate a command with `--lang`, shown in its help."""
    return _made(is_hidden=False)(command)


def add_hidden_lang(command: click.Command) -> None:
    """Let a command take `--lang` too; its help need not say so."""
    if not any(param.name == "lang" for param in command.params):
        _made(is_hidden=True)(command)


def _made(*, is_hidden: bool) -> Any:
    # one for all commands: a value of it goes past them, into the context
    return click.option(
        _OPTION,
        type=click.Choice(LANGUAGES),
        callback=_note,
        expose_value=False,
        # before the other options: their mistakes are told in its language
        is_eager=True,
        hidden=is_hidden,
        help="Language of texts for people.  [env var: CHENYU_LANG; default: the locale's]",
    )


def lang_word(words: Sequence[str]) -> str | None:
    """Return the language that a command line names, before click reads it; None if it names none."""
    named = None
    for word, following in zip(words, [*words[1:], ""], strict=False):
        # what follows is no option
        if word == "--":
            break
        # no end of the search: of several the last one counts, as for click
        if word == _OPTION:
            named = following
        elif word.startswith(f"{_OPTION}="):
            named = word.removeprefix(f"{_OPTION}=")
    return named


def screen_language(
    option: str | None, environ: Mapping[str, str], written: str | None = None
) -> str:
    """Return the language of the screen. One that the streams cannot write must be asked for."""
    lang = chosen_language(option, environ, written)
    # a locale of ASCII would show Chinese as question marks: English is legible
    return lang if option or all(map(_takes_chinese, (sys.stdout, sys.stderr))) else ENGLISH


def _takes_chinese(stream: Any) -> bool:
    try:
        "中".encode(getattr(stream, "encoding", None) or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def asked_lang() -> str | None:
    """Return the language that `--lang` names; None if it was not given."""
    ctx = click.get_current_context(silent=True)
    return None if ctx is None else ctx.meta.get(_META)


def follow_settings(environ: Mapping[str, str], written: str) -> None:
    """Speak the language of the settings from here on, if neither option nor variable names one."""
    speak(screen_language(asked_lang(), environ, written))


@contextmanager
def speaking_everywhere(lang: str) -> Iterator[None]:
    """Choose the language of the screen for a block, that of click's own words too."""
    with speaking(lang):
        if lang == ENGLISH:
            yield
            return
        domain, language = gettext.textdomain(), os.environ.get(_GETTEXT)
        gettext.bindtextdomain(_CLICK, str(CATALOGS))
        gettext.textdomain(_CLICK)
        os.environ[_GETTEXT] = lang  # gettext, which click asks, knows no other way
        try:
            yield
        finally:
            gettext.textdomain(domain)
            os.environ.pop(_GETTEXT)
            if language is not None:
                os.environ[_GETTEXT] = language


class WideFormatter(click.HelpFormatter):
    """Wraps Chinese too: between any two characters, each of which takes two columns.

    click breaks lines at spaces alone, and counts characters: so a space is put behind each wide one
    before it wraps, and taken away afterwards.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.width -= 1  # half of a wide character may be what fits last

    def write_text(self, text: str) -> None:
        super().write_text(_padded(text))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        super().write_dl([(term, _padded(text)) for term, text in rows], col_max, col_spacing)

    def getvalue(self) -> str:
        return "".join(_unpadded(super().getvalue()))


class WideContext(click.Context):
    formatter_class = WideFormatter


def _padded(text: str) -> str:
    return "".join(
        # a sign that begins no line must stick to the one before: click breaks at spaces alone
        sign + (_NO_BREAK if sign in _OPENING or following in _CLOSING else " ")
        if _is_wide(sign)
        else sign
        for sign, following in zip(text, f"{text[1:]} ", strict=True)
    )


def _unpadded(text: str) -> Iterator[str]:
    before = ""
    for sign in text:
        if sign != _NO_BREAK and not (sign == " " and _is_wide(before)):
            yield sign
        before = sign


def _is_wide(sign: str) -> bool:
    return sign != "" and east_asian_width(sign) in "WF"


def in_language(command: click.Command, lang: str) -> click.Command:
    """Return a copy of a command, and of those below it, whose help is in a language."""
    # a copy: the catalogs of tests and docs read the English ones
    other = copy.copy(command)
    other.help, other.epilog = _help(command.help, lang), _help(command.epilog, lang)
    other.short_help = first_sentence(other.help or "")
    other.context_class = WideContext
    other.params = [_param(param, lang) for param in command.params]
    if command.options_metavar:
        other.options_metavar = localized(OPTIONS, lang)
    if isinstance(other, click.Group):
        other.subcommand_metavar = localized(SUBCOMMAND, lang)
    if isinstance(command, click.Group) and isinstance(other, click.Group):
        other.commands = {n: in_language(c, lang) for n, c in command.commands.items()}
    return other


def _param(param: click.Parameter, lang: str) -> click.Parameter:
    other = copy.copy(param)
    if param.type.name in TYPES:
        other.type = copy.copy(param.type)
        other.type.name = localized(TYPES[param.type.name], lang)
    # arguments have no help of their own
    if not (isinstance(param, click.Option) and isinstance(other, click.Option)):
        return other
    other.help = _help(param.help, lang)
    other.prompt = _help(param.prompt, lang)
    return other


def _help(text: str | None, lang: str) -> str | None:
    if not text:
        return text
    return str(localized(text if isinstance(text, Text) else tr(help_key(text)), lang))


def help_key(text: str) -> str:
    """Return a help text as the catalogs have it: a line for each paragraph, however it is broken."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(text))

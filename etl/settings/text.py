"""Clean the text of settings: it comes from shells, files of variables, editors and web pages."""

from __future__ import annotations

import unicodedata
from typing import Final

from etl.errors import SettingsError
from etl.texts import tr

_AROUND: Final = " \t\r\n\f\v\ufeff\u200b\u200c\u200d\u2060\u00a0\u3000"
"""White space, byte order marks and zero-width characters: nobody means them at the ends of a value."""
_QUOTES: Final = "\"'`“”„‘’«»「」"
_ODD: Final = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Unicode categories of control characters, invisible ones and bytes that are not text."""


def clean(text: str, origin: str) -> str:
    """Return `text` without accidental surroundings: white space, line ends, a byte order mark, one
    pair of quotes that a file of variables kept.

    Raises `SettingsError` for quotes at one end, control characters and invisible ones: the text is
    surely a mistake. It may be a secret, so the message names `origin` alone.
    """
    bare = text.strip(_AROUND)
    # docker --env-file keeps the quotes that a shell would take off
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1].strip(_AROUND)
    if bare and (bare[0] in _QUOTES or bare[-1] in _QUOTES):
        raise SettingsError(
            tr("{origin} begins or ends with a quote", origin=origin),
            advice=tr("leave the quotes out"),
        )
    if any(unicodedata.category(sign) in _ODD for sign in bare):
        raise SettingsError(
            tr("{origin} holds a control character or an invisible one", origin=origin),
            advice=tr("write it anew, on one line, instead of copying it"),
        )
    return bare


def clean_key(text: str, origin: str) -> str:
    """Return an API key as it goes into a header. Raises `SettingsError`, which never quotes it."""
    key = clean(text, origin)
    # a header cannot carry them
    if not key.isascii() or " " in key:
        raise SettingsError(
            tr("{origin} holds characters that no key has", origin=origin),
            advice=tr("copy the key alone, as the console of chenyu.cn shows it"),
        )
    return key

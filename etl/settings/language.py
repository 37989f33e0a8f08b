"""The language of texts for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from etl.errors import SettingsError

LANGUAGES: Final = ("zh", "en")
VARIABLE: Final = "CHENYU_LANG"
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


def asked_language(option: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the language that `--lang` or its variable names. Raises `SettingsError`."""
    chosen = option or environ.get(VARIABLE) or None
    if chosen is not None and chosen not in LANGUAGES:
        raise SettingsError(
            f"{VARIABLE} cannot be {chosen!r}", advice=f"one of {', '.join(LANGUAGES)}"
        )
    return chosen


def locale_language(environ: Mapping[str, str]) -> str:
    """Return Chinese in a Chinese locale, else English."""
    name = next((value for key in _LOCALE if (value := environ.get(key))), "")
    return "zh" if name.lower().startswith("zh") else "en"

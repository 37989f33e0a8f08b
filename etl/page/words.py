"""Texts of the page's template in one language; headings of tables come from the reports."""

from __future__ import annotations

from typing import Any

from etl.texts import tr


class Translator:
    """Texts in one language; English is the key."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def __call__(self, text: str, /, **values: Any) -> str:
        """Return a text with its values."""
        return tr(text, **values).in_language(self.lang)

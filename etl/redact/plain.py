"""Many texts judged at once: hardly a text of an answer holds a secret, and one search tells so of all."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_ADDRESSES: Final = re.compile(
    r"(?:(?:[a-z]{2,8}+://)?+(?:[a-z0-9-]++\.)*+[a-z0-9-]++(?::[0-9]{1,5}+)?+(?:/[a-z0-9/]{0,40}+)?+\n)*+"
)
"""Lines of addresses that cannot hide a secret, without a query."""
_SIGNS: Final = re.compile(r"[=:：＝@$|<(ıİ]")
"""Signs that a sure secret needs; and letters of which Python's patterns take either case for an `i`."""
_LONG_PART: Final = re.compile(r"[_-][\w-]{12}")
_KEY: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:cy|sk|pk|rk|gh[opusr]|github_pat|glpat|xox[abeprs]|hf|npm|pypi|dop_v1)[_-]"
)
_OPTIONS: Final = re.compile(r"\s(?:-|/p)")
_FORMS: Final = ("eyJ", "AKIA", "ASIA", "LTAI", "AKID", "AIza", "BEGIN")
_WORDS: Final = (
    *("bearer", "basic", "login", "token", "pass", "secret", "community", "identified"),
    "user",
)


def are_addresses(texts: Collection[str]) -> bool:
    """Tell whether each text is surely an address, a name or a number without a secret."""
    joined = "\n".join([*texts, ""])
    return (
        # a text of two lines is no address, and would pass for two
        joined.count("\n") == len(texts)
        # `sk-…` and `cy-…` look like a host, and may be keys
        and "k-" not in joined
        and "y-" not in joined
        and _ADDRESSES.fullmatch(joined) is not None
    )


def hold_no_sure_secret(texts: Collection[str]) -> bool:
    """Tell whether surely none of these texts of people holds what is surely a secret."""
    joined = "\n".join(texts)
    if _SIGNS.search(joined) or _OPTIONS.search(joined):
        return False
    folded = joined.casefold()
    if any(form in joined for form in _FORMS) or any(word in folded for word in _WORDS):
        return False
    # a long part may be a key, and a path the address of a webhook or a user's name before a password
    return _LONG_PART.search(joined) is None or ("/" not in joined and _KEY.search(joined) is None)

"""People, and which instances are theirs by the settings. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """A person, and which titles are theirs (`*lilei*`). `mentions` holds their id in a channel, by
    the channel's name; `stops`: wants a message of each run that ended."""

    name: str = ""
    titles: tuple[str, ...] = ()
    stops: bool = False
    mentions: dict[str, str] = {}


def owner_of(owners: Iterable[Owner], title: str | None) -> str | None:
    """The first owner one of whose patterns a title matches. Rules of the database come before it."""
    if title is None:
        return None
    for owner in owners:
        if any(fnmatchcase(title.lower(), pattern.lower()) for pattern in owner.titles):
            return owner.name
    return None

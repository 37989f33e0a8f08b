"""Owners of instances, and projects, as the settings name them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """A person, with patterns of the titles that are theirs (`*lilei*`).

    `mentions` maps names of channels to the person's id there; `stops`: wants a message of each run
    that ended.
    """

    name: str = ""
    titles: tuple[str, ...] = ()
    stops: bool = False
    mentions: dict[str, str] = {}


class DigestSubject(msgspec.Struct, frozen=True):
    """An owner or a project with a digest of its own. `kind` is `owner` or `project`."""

    kind: str
    name: str

    @property
    def owner(self) -> str | None:
        return self.name if self.kind == "owner" else None

    @property
    def project(self) -> str | None:
        return self.name if self.kind == "project" else None

    def pays(self, owner: str | None, project: str | None) -> bool:
        """Tell whether usage of this owner and project is the subject's."""
        return self.name == (owner if self.kind == "owner" else project)


def owner_of(owners: Iterable[Owner], title: str | None) -> str | None:
    """Return the first owner with a pattern that matches a title; rules of the database go first."""
    if title is None:
        return None
    for owner in owners:
        # without case, and alike on all systems: fnmatch itself follows that of the file system
        if any(fnmatchcase(title.lower(), pattern.lower()) for pattern in owner.titles):
            return owner.name
    return None

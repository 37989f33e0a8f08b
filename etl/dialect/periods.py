"""Tables in which a thing has one state at a time, each from one moment to another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Period:
    """A table of states: `keys` say of which thing, `begins` and `ends` when; null as the end is no end."""

    table: str
    keys: tuple[str, ...]
    begins: str
    ends: str

    @property
    def lasts(self) -> str:
        """Return a condition that leaves out states of no length, which hold at no moment."""
        return f"({self.ends} IS NULL OR {self.ends} > {self.begins})"

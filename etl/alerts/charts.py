"""Charts of digests: what is asked of whoever draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from etl.alerts.message import DigestOf, Picture
from etl.alerts.owners import Owner
from etl.dialect import Database
from etl.poll import Instant


@dataclass(frozen=True, slots=True)
class ChartOrder:
    """A digest to be drawn in a language, over the accounts that are watched.

    `owners` have patterns of titles, which count as in the digest's words.
    """

    digest: DigestOf
    language: str
    accounts: tuple[str, ...]
    owners: tuple[Owner, ...]
    now: Instant


Draw = Callable[[Database, ChartOrder], Sequence[Picture]]
"""Returns the charts of a digest; none if nothing ran, or if no library that draws is there."""

"""Examination of everything that a sync needs, with advice: key, endpoints, clock, database,
codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from etl.doctor.database import examine_archive, examine_database
from etl.doctor.finding import Finding
from etl.doctor.source import examine_account

if TYPE_CHECKING:
    from etl.app import App


def examine(app: App) -> Iterator[Finding]:
    """Yield findings as they are made. Writes nothing, to the cloud or to the database."""
    for account in app.settings.accounts:
        yield from examine_account(app, account)
    yield from examine_database(app)
    yield from examine_archive(app)
    yield from _examine_charts(app)


def _examine_charts(app: App) -> Iterator[Finding]:
    """Yield what keeps charts out of digests, if any digest is to be sent."""
    from etl.page.raster import lacks

    times = app.settings.alerts.options("digest")
    if times.daily_digest is not None or times.weekly_digest is not None:
        for words, advice in lacks(app.settings.alerts):
            yield Finding("note", words, advice)


__all__ = ["Finding", "examine"]

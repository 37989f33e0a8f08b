"""A compute card that expires soon with something left on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from etl.alerts.cause import Cause
from etl.alerts.options import RuleOptions
from etl.alerts.rules.base import AlertRule
from etl.alerts.snapshot import Moment, Snapshot
from etl.alerts.words import local_time, short_line, yuan
from etl.history.days import iso
from etl.poll import Instant
from etl.texts import tr
from etl.units import DAY_S

# a card that was missing once may be used up or taken back: no reason to hurry anybody
CARDS: Final = """
SELECT a.name AS account, c.uuid, c.title, c.leave_amount_microcny, epoch(c.expire_date) AS expires_s
FROM card c
JOIN account a ON a.account_id = c.account_id
WHERE c.ended_at IS NULL AND c.missing_since IS NULL
    AND c.leave_amount_microcny > 0 AND c.expire_date > instant(:now_s)
ORDER BY a.name, c.uuid
"""


class CardOptions(RuleOptions, frozen=True, kw_only=True):
    card_days: tuple[Annotated[int, Meta(ge=0, le=365)], ...] = (7, 1)


@dataclass(frozen=True, slots=True)
class ExpiringCard:
    account: str
    uuid: str
    title: str | None
    left_microcny: int
    expires_at: Instant


class CardExpiry(AlertRule[ExpiringCard, CardOptions]):
    name = "card_expiry"
    options = CardOptions

    def facts(self, snapshot: Snapshot, options: CardOptions) -> Sequence[ExpiringCard]:
        return [ExpiringCard(*row) for row in snapshot.ask(CARDS, now_s=snapshot.moment.now)]

    def causes(
        self, facts: Sequence[ExpiringCard], options: CardOptions, moment: Moment
    ) -> Iterator[Cause]:
        for card in facts:
            lasts_s = card.expires_at - moment.now
            days = sorted((d for d in options.card_days if 0 < lasts_s <= d * DAY_S), reverse=True)
            yield from self.steps(
                # with the date: a card that is prolonged is a new case
                (card.account, card.uuid, iso(card.expires_at)),
                [(f"{d}d", "warning") for d in days],
                tr(
                    "Compute card {title} expires at {at} with {left} left on it",
                    title=short_line(card.title) or card.uuid,
                    at=local_time(moment.zone, card.expires_at),
                    left=yuan(card.left_microcny),
                ),
                account=card.account,
            )


RULE = CardExpiry()

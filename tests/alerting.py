"""What tests of alerts share: settings in short, channels that remember, and a forgotten machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from etl import store
from etl.alerts.channels import Recipient
from etl.alerts.engine import Alerts
from etl.alerts.message import Message
from etl.alerts.snapshot import Moment, Snapshot
from etl.dialect import Database
from etl.errors import DeliveryError
from etl.history.days import Zone, from_iso
from etl.poll import Instant
from etl.settings.alerts import AlertSettings, Channel, read
from etl.simcloud import Story
from etl.texts import Text
from tests.support import ACCOUNT, apply, poll_story

ZONE = Zone("Asia/Shanghai")
MINUTE, HOUR, DAY = 60, 3_600, 86_400
MICRO = 1_000_000

TEAM: dict[str, Any] = {"kind": "webhook", "url_env": "TEAM_URL"}
SECRET_URL = "https://hooks.example/T0KEN-very-secret"


class Bilingual(Text):
    """A text that needs no catalog."""

    __slots__ = ("zh",)

    zh: str

    def in_language(self, lang: str) -> str:
        return self.zh if lang == "zh" else str(self)


def bilingual(zh: str, en: str) -> Text:
    """Return a text that stands in no catalog."""
    text = Bilingual(en)
    text.zh = zh
    return text


def settings(channels: dict[str, Any] | None = None, **written: Any) -> AlertSettings:
    """`[alerts]` as in a config file; one channel, `team`, if none is given. In Chinese."""
    table = {"channels": {"team": TEAM} if channels is None else channels, **written}
    return read(table, "here", language="zh")


def at(text: str) -> Instant:
    """An instant of Shanghai: `2026-11-24 21:30`."""
    return from_iso(f"{text.replace(' ', 'T')}:00+08:00")


@dataclass
class Post:
    """Channels that remember what they took, and break when told so. `recipients`: names of those
    of a channel, by its name."""

    took: list[tuple[str, Message]] = field(default_factory=list)
    breaks: set[str] = field(default_factory=set)
    recipients: dict[str, list[str]] = field(default_factory=dict)
    tried: list[str] = field(default_factory=list)

    def __call__(self, channel: Channel, environ: Mapping[str, str]) -> list[Recipient]:
        names = self.recipients.get(channel.name, [channel.name])
        return [Recipient(name, self._sender(name)) for name in names]

    def _sender(self, name: str) -> Callable[[Message, Instant], None]:
        def send(message: Message, now: Instant) -> None:
            self.tried.append(name)
            if name in self.breaks:
                raise DeliveryError("webhook hooks.example: no connection")
            self.took.append((name, message))

        return send

    @property
    def keys(self) -> list[str]:
        """The causes sent so far, in order."""
        return [item.key for _, message in self.took for item in message.items]

    @property
    def rules(self) -> list[str]:
        return [item.rule for _, message in self.took for item in message.items]


def alerts_of(database: Database, post: Post, given: AlertSettings | None = None) -> Alerts:
    return Alerts(database, given or settings(), [ACCOUNT], {"TEAM_URL": SECRET_URL}, post)


@contextmanager
def snapshot(
    database: Database, now: Instant, given: AlertSettings | None = None
) -> Iterator[Snapshot]:
    """What rules would look at."""
    with store.reading(database) as tx:
        owners = (given or settings()).owners
        yield Snapshot(tx.alerts.ask, Moment(now, ZONE, owners=owners, accounts=[ACCOUNT]))


NOON = at("2026-01-06 12:00")
"""Of a Tuesday."""


@pytest.fixture
def cloud(database: Database) -> Story:
    """A machine that has run for nine hours, polled."""
    return forgotten(database)


def forgotten(database: Database) -> Story:
    """A machine that has run for nine hours, polled in a database."""
    story = Story(NOON - 9 * HOUR)
    story.rents(title="训练 李雷", gpus=2, uuid="a")
    apply(database, poll_story(story))
    story.passes(hours=9)
    apply(database, poll_story(story))
    return story


def polls(database: Database, cloud: Story, **time: int) -> int:
    now = cloud.passes(**time)
    apply(database, poll_story(cloud))
    return now + 2


def put(database: Database, table: Any, *found: dict[str, Any]) -> None:
    with database.writing() as conn:
        conn.execute(insert(table), [{"account_id": 1, **row} for row in found])


@contextmanager
def counted_writes(database: Database) -> Iterator[list[Connection]]:
    """How many write transactions are begun in the block."""
    begun: list[Connection] = []
    writing = database.writing

    @contextmanager
    def counting() -> Iterator[Connection]:
        with writing() as conn:
            begun.append(conn)
            yield conn

    database.writing = counting  # type: ignore[method-assign]
    yield begun
    database.writing = writing  # type: ignore[method-assign]

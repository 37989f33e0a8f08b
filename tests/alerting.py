"""What tests of alerts share: settings in short, and channels that remember."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from etl.alert_settings import AlertSettings, Channel, read
from etl.alerts import Alerts
from etl.alerts.message import Message
from etl.days import from_iso
from etl.dialect import Database
from etl.errors import DeliveryError
from etl.poll import Instant
from tests.support import ACCOUNT

TEAM: dict[str, Any] = {"kind": "webhook", "url_env": "TEAM_URL"}
SECRET_URL = "https://hooks.example/T0KEN-very-secret"


def settings(channels: dict[str, Any] | None = None, **said: Any) -> AlertSettings:
    """`[alerts]` as in a config file; one channel, `team`, where none is given."""
    return read({"channels": {"team": TEAM} if channels is None else channels, **said}, "here")


def at(text: str) -> Instant:
    """An instant of Shanghai: `2026-11-24 21:30`."""
    return from_iso(f"{text.replace(' ', 'T')}:00+08:00")


@dataclass
class Post:
    """A channel that remembers what it took, and breaks where told so."""

    took: list[tuple[str, Message]] = field(default_factory=list)
    breaks: set[str] = field(default_factory=set)

    def __call__(
        self, channel: Channel, message: Message, environ: Mapping[str, str], now: Instant
    ) -> None:
        if channel.name in self.breaks:
            raise DeliveryError("webhook hooks.example: no connection")
        self.took.append((channel.name, message))

    @property
    def keys(self) -> list[str]:
        """The causes said so far, in order."""
        return [item.key for _, message in self.took for item in message.items]

    @property
    def rules(self) -> list[str]:
        return [item.rule for _, message in self.took for item in message.items]


def alerts_of(database: Database, post: Post, said: AlertSettings | None = None) -> Alerts:
    return Alerts(database, said or settings(), [ACCOUNT], {"TEAM_URL": SECRET_URL}, post)

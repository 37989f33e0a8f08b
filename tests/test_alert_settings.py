"""`[alerts]` in the config file: what is taken, and what is refused with which advice."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from etl import settings as all_settings
from etl.alerts.options import TimeOfDay, TimeOfWeek
from etl.alerts.owners import owner_of
from etl.alerts.rules import RULES, rule
from etl.alerts.rules.card_expiry import CardOptions
from etl.alerts.rules.digest import DigestOptions
from etl.errors import SettingsError
from etl.settings import alerts as alert_settings
from etl.settings.alerts import AlertSettings, read
from etl.settings.problems import Problems
from tests.alerting import TEAM, settings

PAGE = Path(__file__).parents[1] / "docs/alerts.md"


def refusal(written: Any) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        read(written, "here")
    assert caught.value.advice
    return caught.value


def test_nothing_written_is_the_defaults() -> None:
    assert read({}, "here") == AlertSettings()


def test_the_example_of_the_page_is_taken() -> None:
    example, own = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    said = read(tomllib.loads(own)["alerts"], "here")
    assert [(s.kind, s.name) for s in said.subjects] == [("owner", "李雷"), ("project", "vision")]
    assert [c.digests for c in said.channels] == [("day",), ("week",), ("week",)]
    said = read(tomllib.loads(example)["alerts"], "here")
    assert said.quiet == (23 * 60, 8 * 60)
    assert said.channel("team") is not None
    assert owner_of(said.owners, "train-李雷-7") == "李雷"
    assert owner_of(said.owners, "LiLei-7") == "李雷"
    assert owner_of(said.owners, "x-lilei-7") is None
    assert owner_of(said.owners, None) is None


def test_the_defaults_of_the_page_are_the_defaults() -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", page, re.M))
    kinds = [alert_settings._Common, *(rule(name).options for name in RULES)]
    for field in (f for kind in kinds for f in msgspec.structs.fields(kind)):
        if field.name not in ("language", "on_alert"):
            assert as_written(field.default) == written[field.name], field.name


def as_written(value: Any) -> str:
    """A default as the page has it."""
    if isinstance(value, TimeOfDay):
        return f'"{value}"'
    if isinstance(value, tuple):
        return str(list(value))
    if isinstance(value, bool):
        return str(value).lower()
    return "off" if value is None else f"{value:g}"


def test_everything_can_be_said() -> None:
    said = settings(
        {
            "a": {
                **TEAM,
                "kind": "feishu",
                "secret_file": "~/s",
                "rules": ["balance"],
                "timeout_s": 3,
            }
        },
        roll_call="off",
        weekly_digest="Mon 08:30",
        daily_digest="9:00",
        card_days=[1, 30],
        on_alert="/bin/told 'two words'",
    )
    assert said.options("roll_call").roll_call is None
    assert said.options("digest") == DigestOptions(
        daily_digest=TimeOfDay("09:00"), weekly_digest=TimeOfWeek("mon 08:30")
    )
    assert said.options("card_expiry") == CardOptions(card_days=(1, 30))
    assert [c.name for c in said.channels] == ["a", "on_alert"]
    assert said.channels[1].command == ("/bin/told", "two words")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"quite": "x"}, "alerts.quite"),
        ({"quiet": "23:00"}, "span of time"),
        ({"quiet": "23:00-25:00"}, "time of day"),
        ({"roll_call": 21}, "time of day"),
        ({"off": ["nothing"]}, "alerts.off[0]: it cannot be 'nothing'"),
        ({"gather_minutes": "5"}, "alerts.gather_minutes: expected a whole number, got text"),
        ({"gather_minutes": True}, "whole number"),
        ({"long_run_hours": 0}, "number"),
        ({"card_days": [7, 999]}, "alerts.card_days[1]: expected a whole number <= 365"),
        ({"card_days": 7}, "alerts.card_days: expected a list"),
        ({"balance_weekend": "yes"}, "true or false"),
        ({"weekly_digest": "09:00"}, "weekday"),
        ({"on_alert": []}, "no command"),
        ({"on_alert": "'"}, "no command"),
        ({"channels": {"a": {"kind": "pigeon"}}}, "'pigeon'"),
        ({"channels": {"a": {"kind": "feishu"}}}, "url_env or url_file"),
        ({"channels": {"a": {**TEAM, "digests": ["month"]}}}, "a.digests"),
        ({"channels": {"a": {"kind": "command"}}}, "needs command"),
        ({"channels": {"a": {"kind": "feishu", "url_env": 3}}}, "a.url_env: expected text"),
        ({"channels": {"a": {**TEAM, "colour": "red"}}}, "a.colour"),
        ({"channels": "a"}, "must be a table"),
        ({"owners": {"x": {"titles": "x"}}}, "alerts.owners.x.titles: expected a list"),
        ({"owners": {"x": {"mentions": {"nobody": "1"}}}}, "nobody"),
        ([], "must be a table"),
    ],
)
def test_what_is_wrong_is_refused_early(written: Any, words: str) -> None:
    assert words in refusal(written).message


@pytest.mark.parametrize("name", ["url", "secret"])
def test_a_secret_in_the_file_is_refused_without_showing_it(name: str) -> None:
    error = refusal({"channels": {"a": {"kind": "feishu", name: "https://x/T0KEN"}}})
    assert f"{name}_file" in str(error.advice)
    assert "T0KEN" not in f"{error.message}{error.advice}"


def test_the_config_file_is_read_with_the_other_settings(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[alerts]\nquiet = "23:00-08:00"\n')
    assert all_settings.load({}, {}, path).alerts.quiet == (1380, 480)
    path.write_text("[alerts]\nquiet = 3\n")
    with pytest.raises(SettingsError):
        all_settings.load({}, {}, path)


def test_all_that_is_wrong_is_noted_at_once() -> None:
    problems = Problems()
    wrong = {
        "quite": 1,
        "gather_minutes": "5",
        "card_days": 7,
        "stale_minutes": 0,
        "channels": {"a": {"kind": "feishu"}, "b": {**TEAM, "colour": 1}, "c": TEAM},
        "owners": {"x": {"titles": "x"}},
    }
    read(wrong, "here", problems)
    assert [error.message.partition(":")[2].partition(":")[0].strip() for error in problems] == [
        "alerts.gather_minutes",
        "alerts.quite is not a setting",
        "alerts.card_days",
        "alerts.stale_minutes",
        "alerts.channels.a needs url_env or url_file",
        "alerts.channels.b.colour is not a setting",
        "alerts.owners.x.titles",
    ]

"""The operator's words about the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl import settings
from etl.errors import SettingsError
from etl.settings import Account, load
from etl.timing.cadence import Cadence

NOTHING: dict[str, str] = {}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the user's config file, which is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = settings.config_path(NOTHING)
    path.parent.mkdir(parents=True)
    return path


def test_the_log_format_is_read_like_any_setting(config: Path) -> None:
    assert load({}, NOTHING).log_format == "auto"
    config.write_text('log_format = "json"')
    assert load({}, NOTHING).log_format == "json"
    assert load({}, {"CHENYU_LOG_FORMAT": "text"}).log_format == "text"
    assert load({"log_format": "json"}, {"CHENYU_LOG_FORMAT": "text"}).log_format == "json"


def test_how_often_is_read_from_file_account_and_environment(config: Path) -> None:
    config.write_text(
        '[schedule]\ninstances = "5m"\n[accounts.lab]\nschedule = { instances = "30s" }\n'
    )
    said = load({}, NOTHING)
    assert said.schedule == {"instances": Cadence(300)}
    assert said.accounts[0].schedule == {"instances": Cadence(30)}
    told = load({}, {"CHENYU_SCHEDULE": "instances = 0 * * * * ;"})
    assert told.schedule == {"instances": Cadence(cron="0 * * * *")}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('[schedule]\ninstance = "5m"', "'instance', which is not collected"),
        ('[schedule]\ninstances = "61 * * * *"', "never fires"),
        ('[schedule]\nbills = "0 0 31 2 *"', "never fires"),
        ('[schedule]\nbills = "0 0 * * 9"', "never fires"),
        ('[schedule]\ninstances = "often"', "neither an interval nor a cron expression"),
        ("[accounts.a]\nschedule = { instances = 0 }", "accounts.a.schedule: instances is neither"),
        ('[accounts.a]\napi_key_credential = "/etc/key"', "is a name, not a path"),
        ('listen = "nowhere"', r"listen \(.*\) is not an address"),
        ('ping_url = "ftp://x"', r"ping_url \(.*\) is not"),
        ('log_format = "xml"', r"log_format \(.*\) is 'xml'"),
    ],
)
def test_odd_words_about_the_service_are_refused(config: Path, line: str, words: str) -> None:
    config.write_text(line)
    with pytest.raises(SettingsError, match=words):
        load({}, NOTHING)


def test_an_odd_schedule_in_the_environment_is_refused() -> None:
    with pytest.raises(SettingsError, match="CHENYU_SCHEDULE"):
        load({}, {"CHENYU_SCHEDULE": "2m"})


@pytest.mark.parametrize("said", ["", "off"])
def test_listening_can_be_switched_off(said: str) -> None:
    assert load({}, {"CHENYU_LISTEN": said}).listen == ""
    assert load({"listen": said}, NOTHING).listen == ""


def test_a_systemd_credential_is_a_key(tmp_path: Path) -> None:
    (tmp_path / "render").write_text("cy_one\n")
    (tmp_path / "lab.key").write_text("cy_two\n")
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert Account("a", key_credential="render").key(given) == "cy_one"
    lab = Account("lab", key_file=Path("/nonexistent/lab"))
    assert lab.key(given) == "cy_two"
    with pytest.raises(SettingsError, match="/nonexistent/lab cannot be read"):
        lab.key(NOTHING)
    with pytest.raises(SettingsError, match=r"\$CREDENTIALS_DIRECTORY/x cannot be read"):
        Account("a", key_credential="x").key(NOTHING)


def test_the_ping_url_is_shown_nowhere() -> None:
    assert "s3cret" not in repr(load({"ping_url": "https://hc.example/s3cret"}, NOTHING))


def test_a_user_without_a_home_needs_a_place_for_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert settings.config_path(NOTHING) == Path("/etc/chenyu-etl/config.toml")
    with pytest.raises(SettingsError, match="no home"):
        load({}, NOTHING)
    assert load({}, {"STATE_DIRECTORY": "/s"}).database_url == "sqlite:////s/chenyu-etl.db"

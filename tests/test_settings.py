"""The operator's words: which one wins, and what is refused with which advice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from etl import settings
from etl.cli.common import Context
from etl.dialect import open_database
from etl.errors import SettingsError
from etl.settings import Settings, load
from etl.settings.variables import unread_variables
from tests.commands import Command, home, run

__all__ = ["home", "run"]

NOTHING: dict[str, str] = {}
SAMPLES: dict[str, tuple[Any, Any, Any]] = {
    "database_url": ("sqlite:////a.db", "sqlite:////b.db", "sqlite:////c.db"),
    "base_url": ("https://a.example", "https://b.example", "https://c.example"),
    "timezone": ("UTC", "Europe/Berlin", "America/St_Johns"),
    "page_size": (11, "12", 13),
    "concurrency": (1, "2", 3),
    "timeout_s": (1.5, "2.5", 3.5),
    "attempts": (2, "3", 4),
    "archive": ("/a", "/b", "/c"),
    "keep_polls": (40, "50", 60),
    "listen": ("127.0.0.1:1", "[::1]:2", "3"),
    "page_token": ("a" * 32, "b" * 32, "c" * 32),
    "ping_url": ("https://a.example", "https://b.example/x", "http://c.example"),
}
"""Of each setting a value as an option, as a variable and in the config file."""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the user's config file, which is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = settings.config_path(NOTHING)
    path.parent.mkdir(parents=True)
    assert tmp_path in path.parents
    return path


def refusal(
    options: dict[str, Any] | None = None, environ: dict[str, str] | None = None, text: str = ""
) -> SettingsError:
    """What `load` says no with; `text` is that of the user's config file."""
    if text:
        settings.config_path(NOTHING).write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(options or {}, environ or {})
    assert caught.value.exit_code == 2
    assert caught.value.advice
    assert "\n" not in caught.value.message
    return caught.value


def written(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_every_setting_is_sampled_here() -> None:
    elsewhere = {"accounts", "others", "alerts", "resources", "schedule", "log_format", "lang"}
    elsewhere |= {"page", "reports", "page_hosts"}  # no three values but the default, and a list
    assert SAMPLES.keys() == Settings.__dataclass_fields__.keys() - elsewhere


def test_what_is_collected_is_a_list_in_the_order_of_polling(config: Path) -> None:
    assert load({}, NOTHING).resources[0] == "instances"
    config.write_text('resources = ["bills", "instances"]')
    assert load({}, NOTHING).resources == ("instances", "bills")
    assert load({}, {"CHENYU_RESOURCES": "balance, bills"}).resources == ("balance", "bills")


@pytest.mark.parametrize("name", SAMPLES)
def test_option_wins_over_variable_over_file_over_default(name: str, config: Path) -> None:
    option, variable, line = SAMPLES[name]
    default = getattr(load({}, NOTHING), name)
    kind = Path if name == "archive" else type(default)
    config.write_text(f"{name} = {written(line)}")
    environ = {settings.variable(name): variable}

    assert getattr(load({}, NOTHING), name) == kind(line)
    assert getattr(load({}, environ), name) == kind(variable)
    assert getattr(load({name: option}, environ), name) == kind(option)
    assert default not in (kind(line), kind(variable), kind(option))


def test_an_empty_variable_says_nothing(config: Path) -> None:
    config.write_text("page_size = 7")
    assert load({"page_size": None}, {"CHENYU_PAGE_SIZE": ""}).page_size == 7


@pytest.mark.parametrize(
    ("text", "message", "advice"),
    [
        ("page_size = 0", "is 0", "from 1 to 10000"),
        ("page_size = 10.5", "must be a whole number", "100"),
        ("page_size = true", "must be a whole number", "100"),
        ("page_size = '1e9'", "must be a whole number", "100"),
        ("concurrency = 33", "is 33", "from 1 to 32"),
        ("attempts = 'many'", "must be a whole number", "5"),
        ("timeout_s = 'long'", "must be a number", "30"),
        ("timeout_s = nan", "is nan", "from 0.05 to 600"),
        ("timeout_s = 0.0", "is 0.0", "from 0.05"),
        ("database_url = 5", "must be text", 'database_url = "…"'),
        ("archive = true", "must be text", 'archive = "…"'),
        ("timezone = 'Mars/Olympus'", "no time zone 'Mars/Olympus'", "Asia/Shanghai"),
        ("timezone = '../../etc/passwd'", "no time zone", "Asia/Shanghai"),
        ("api_key_file = 1", "must be text", "api_key_file"),
        ("resources = ['pods']", "names 'pods', which is not collected", "instances"),
        ("resources = ['instance']", "'instance', which is", "did you mean instances?"),
        ("resources = ['bills', 'bills']", "names 'bills' twice", "once"),
        ("resources = [['bills']]", "must be a list of names", "instances, gpu_prices"),
        ("resources = 5", "must be a list of names", "instances, gpu_prices"),
        ("resources = []", "names nothing to collect", "instances, gpu_prices"),
        ("listen = 9469", "must be text", 'listen = "…"'),
        ("listen = '127.0.0.1:9469/x'", "is not an address", "127.0.0.1:9469"),
        ("ping_url = 'https://h:99999/'", "is not an http(s) URL", "service.md"),
        ("schedule = '2m'", "schedule must be a table", "configuration.md"),
        ("archive = '~nobody-here/x'", "the home of a user who has none", "whole path"),
        ("page_size = 1\npage_size = 2\n", "sets one name twice (at line 2", "configuration.md"),
        ("[accounts.a]\n[accounts.a]", "sets one name twice (at line 2", "configuration.md"),
        ("[accounts.a]\nbase_url = 'http://x.example'", "unencrypted", "https"),
        ("accounts = 1", "accounts must be a table", "configuration.md"),
        ("[accounts]\nlab = 'x'", "accounts.lab must be a table", "configuration.md"),
        ("[accounts.lab]\napi_key_env = 1", "must be text", "api_key_env"),
        ('[accounts." "]', "short plain name", "lab"),
        ('[accounts."a\\tb"]', "short plain name", "lab"),
        (f"[accounts.{'x' * 101}]", "short plain name", "lab"),
    ],
)
def test_a_bad_value_is_refused_with_advice(
    text: str, message: str, advice: str, config: Path
) -> None:
    error = refusal(text=text)
    assert message in error.message
    assert advice in str(error.advice)


def test_the_refusal_names_where_the_value_came_from(config: Path) -> None:
    assert "(option)" in refusal({"page_size": 0}).message
    assert "(CHENYU_PAGE_SIZE)" in refusal(environ={"CHENYU_PAGE_SIZE": "0"}).message
    assert f"({config})" in refusal(text="page_size = 0").message


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("timezon = 'UTC'", "timezone"),
        ("databse_url = 'x.db'", "database_url"),
        ("[accounts.lab]\napi_key_fil = 'x'", "api_key_file"),
        ("[account.lab]\napi_key_file = 'x'", "accounts"),
    ],
)
def test_an_unknown_key_gets_a_suggestion(text: str, near: str, config: Path) -> None:
    assert refusal(text=text).advice == f"did you mean {near}?"


def test_a_key_like_no_other_is_answered_with_all_there_are(config: Path) -> None:
    assert all(name in str(refusal(text="zzz = 1").advice) for name in SAMPLES)


@pytest.mark.parametrize("text", ["api_key = 'cy_S3CRET'", "[accounts.lab]\napi_key = 'cy_S3CRET'"])
def test_an_api_key_in_the_config_file_is_refused_and_not_repeated(text: str, config: Path) -> None:
    error = refusal(text=text)
    assert "api_key_file" in str(error.advice)
    assert "S3CRET" not in f"{error.message}{error.advice}"


def test_a_byte_order_mark_before_the_config_is_no_part_of_it(config: Path) -> None:
    config.write_text("\ufeffpage_size = 7\n", encoding="utf-8")
    assert load({}, {}, config).page_size == 7


def test_a_syntax_error_does_not_quote_its_line(config: Path) -> None:
    error = refusal(text="database_url = postgresql://me:S3CRET@db/x")
    assert "it is not TOML (at line 1, column 16)" in error.message
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert "S3CRET" not in f"{error.message}{error.advice}"


def test_a_config_file_that_is_named_must_be_there(config: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no config file"):
        load({}, NOTHING, tmp_path / "none.toml")
    assert "no config file" in refusal(environ={"CHENYU_CONFIG": "/none.toml"}).message
    assert load({}, NOTHING).page_size == 100


def test_a_config_file_that_cannot_be_read_is_refused(config: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load({}, NOTHING, tmp_path)


def test_the_config_file_is_an_option_else_a_variable_else_the_users(
    config: Path, tmp_path: Path
) -> None:
    for name, size in (("option", 1), ("variable", 2)):
        (tmp_path / name).write_text(f"page_size = {size}")
    config.write_text("page_size = 3")
    environ = {"CHENYU_CONFIG": str(tmp_path / "variable")}
    assert load({}, environ, tmp_path / "option").page_size == 1
    assert load({}, environ).page_size == 2
    assert load({}, NOTHING).page_size == 3


# accounts and keys


def key(environ: dict[str, str], account: str | None = None) -> str:
    """The key of the only account there is."""
    (only,) = load({"account": account}, environ).accounts
    return only.key(environ)


def test_without_accounts_the_key_is_that_of_the_default_account(config: Path) -> None:
    (only,) = load({}, NOTHING).accounts
    assert only.name == "default"
    assert key({"CHENYU_API_KEY": " cy_1\n"}) == "cy_1"


def test_a_key_can_be_in_a_file(config: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("cy_file\n")
    environ = {"CHENYU_API_KEY_FILE": str(tmp_path / "key")}
    assert key(environ) == "cy_file"
    assert key({**environ, "CHENYU_API_KEY": "cy_env"}) == "cy_env"
    config.write_text(f"api_key_file = '{tmp_path / 'key'}'")
    assert key({}) == "cy_file"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_key_file_without_a_key_is_refused(
    content: bytes | None, config: Path, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        key({"CHENYU_API_KEY_FILE": str(path)})
    assert caught.value.advice


def test_several_accounts_have_their_own_keys(config: Path, tmp_path: Path) -> None:
    (tmp_path / "lab.key").write_text("cy_lab")
    config.write_text(
        f"[accounts.lab]\napi_key_file = '{tmp_path / 'lab.key'}'\n"
        "[accounts.class]\napi_key_env = 'CLASS_KEY'\n"
    )
    environ = {"CLASS_KEY": "cy_class"}
    accounts = load({}, environ).accounts
    assert [(a.name, a.key(environ)) for a in accounts] == [
        ("lab", "cy_lab"),
        ("class", "cy_class"),
    ]
    assert key(environ, "class") == "cy_class"
    with pytest.raises(SettingsError, match="no API key for account 'class'") as caught:
        accounts[1].key({})
    assert "CLASS_KEY" in str(caught.value.advice)


def test_the_key_of_the_environment_is_that_of_the_account_chosen(config: Path) -> None:
    config.write_text("[accounts.lab]\napi_key_env = 'LAB_KEY'\n")
    environ = {"CHENYU_API_KEY": "cy_env", "LAB_KEY": "cy_lab"}
    assert key(environ, "lab") == "cy_env"
    assert key(environ, "other") == "cy_env"
    named = {a.name: a.key(environ) for a in load({}, environ).accounts}
    assert named == {"lab": "cy_lab", "default": "cy_env"}


def test_a_key_file_outside_of_accounts_is_that_of_the_default_account(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("cy_file")
    config.write_text(f"api_key_file = '{tmp_path / 'key'}'\n[accounts.lab]\napi_key_env = 'L'\n")
    assert [a.name for a in load({}, NOTHING).accounts] == ["lab", "default"]
    assert key({}, "default") == "cy_file"


def test_an_account_that_is_not_configured_is_answered_with_those_that_are(config: Path) -> None:
    error = refusal({"account": "lap"}, text="[accounts.lab]\n[accounts.class]\n")
    assert "'lap'" in error.message
    assert "lab, class" in str(error.advice)


def test_settings_and_accounts_never_show_a_key_or_a_password(config: Path) -> None:
    environ = {"CHENYU_API_KEY": "cy_S3CRET", "CHENYU_DATABASE_URL": "postgres://u:S3CRET@h/d"}
    assert "S3CRET" not in repr(load({}, environ))


# places


@pytest.mark.parametrize("said", ["x.db", "./x.db", "~/x.db"])
def test_a_path_is_a_sqlite_file(said: str, config: Path) -> None:
    place = open_database(load({"database_url": said}, NOTHING).database_url).location
    assert place == str(Path(said).expanduser().absolute())


def test_the_default_file_is_in_the_state_directory_else_the_users_data(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    state = {"STATE_DIRECTORY": "/var/lib/etl:/other"}
    assert load({}, state).database_url == "sqlite:////var/lib/etl/chenyu-etl.db"
    assert load({}, NOTHING).database_url == f"sqlite:///{tmp_path}/data/chenyu-etl/chenyu-etl.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgres_url_means_psycopg(scheme: str, config: Path) -> None:
    url = f"{scheme}://me:S3CRET@db.example/x"
    database = open_database(load({}, {"CHENYU_DATABASE_URL": url}).database_url)
    assert database.engine.url.drivername == "postgresql+psycopg"
    assert "S3CRET" not in database.location
    assert "db.example/x" in database.location


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:S3CRET@h/d",
        "oracle+x://me:S3CRET@h/d",
        "://S3CRET",
        "sqlite://",
        "postgres://h:p/S3CRET",
    ],
)
def test_another_database_is_refused_with_those_that_go(url: str, config: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        open_database(load({}, {"CHENYU_DATABASE_URL": url}).database_url)
    assert "CHENYU_DATABASE_URL" in str(caught.value.advice)
    assert "S3CRET" not in f"{caught.value.message}{caught.value.advice}"


@pytest.mark.parametrize(
    "url",
    ["postgres://me:S3CRET@h/d", "postgresql://h/d?password=S3CRET", "postgres://u:S3CRET@[h"],
)
def test_a_password_on_the_command_line_is_refused(url: str, config: Path) -> None:
    context = Context(None, {"database_url": url}, debug=False)
    with pytest.raises(SettingsError) as caught:
        context.app()
    assert "CHENYU_DATABASE_URL" in str(caught.value.advice)
    assert "S3CRET" not in f"{caught.value.message}{caught.value.advice}"


def test_a_url_without_password_may_be_on_the_command_line(config: Path) -> None:
    context = Context(None, {"database_url": "postgres://me@h/d"}, debug=False)
    assert context.app().settings.database_url == "postgres://me@h/d"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.example",
        "www.chenyu.cn",
        "https://",
        "https://[::1",
        "https://x.example:99999",
        "http://chenyu.example/v2",
        "http://localhost.example",
        "https://me:S3CRET@x.example",
        "http://me:S3CRET@localhost",
        "https://x.example/?token=S3CRET",
        "https://x.example/#S3CRET",
    ],
)
def test_an_unsafe_base_url_is_refused(url: str, config: Path) -> None:
    error = refusal(environ={"CHENYU_BASE_URL": url})
    assert "base_url" in error.message
    assert "S3CRET" not in f"{error.message}{error.advice}"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:80"])
def test_plain_http_is_for_this_machine_alone(host: str, config: Path) -> None:
    assert load({}, {"CHENYU_BASE_URL": f"http://{host}/v2/"}).base_url == f"http://{host}/v2"


def test_the_users_own_config_stays_out_of_tests() -> None:
    assert not any(name.startswith("CHENYU_") for name in os.environ)


def test_a_variable_that_nothing_reads_is_named_with_the_nearest(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        "[accounts.a]\napi_key_env = 'CHENYU_KEY_A'\n"
        "[alerts.channels.x]\nkind = 'webhook'\nurl_env = 'CHENYU_HOOK'\n"
    )
    environ = dict.fromkeys(("CHENYU_KEY_A", "CHENYU_HOOK", "CHENYU_API_KEY", "OTHER"), "x")
    cluster = dict.fromkeys(("CHENYU_ETL_SERVICE_HOST", "CHENYU_ETL_PORT_9469_TCP"), "x")
    assert unread_variables({**environ, **cluster}, config) == []
    odd = {**environ, "CHENYU_DATABSE_URL": "secret", "CHENYU_XYZZY_QUUX_1": "secret"}
    assert unread_variables(odd, config) == [
        "CHENYU_DATABSE_URL is not read; did you mean CHENYU_DATABASE_URL?",
        "CHENYU_XYZZY_QUUX_1 is not read",
    ]


def test_the_command_warns_of_a_mistyped_variable_once(run: Command, home: Path) -> None:
    said = run("status", CHENYU_DATABSE_URL="lab.db").stderr
    assert said.count("warning: CHENYU_DATABSE_URL is not read") == 1

"""Values as shells, files of variables and editors hand them over: cleaned, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl import settings
from etl.errors import SettingsError
from etl.settings import Account, load
from etl.settings.text import clean

NOTHING: dict[str, str] = {}
ACCIDENTS = {
    "a line end": "{}\n",
    "a line end of Windows": "{}\r\n",
    "spaces": "  {}\t",
    "a byte order mark": "\ufeff{}",
    "a zero-width space": "\u200b{}\u200b",
    "a no-break space": "{}\u00a0",
    "double quotes of an env file": '"{}"',
    "single quotes of an env file": "'{}'",
    "quotes and a line end": '"{}"\r\n',
    "a line end in quotes": '"{}\n"',
}
FAULTS = {
    "a quote at one end": '{}"',
    "a quote at the start": "'{}",
    "quotes of a word processor": "“{}”",
    "a second line": "{}\nsecond",
    "an invisible letter": "{}\u200bx",
    "a control character": "{}\x1b[0m",
    "a byte that is not text": "{}\udcff",
}


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize("kind", ACCIDENTS)
def test_what_surrounds_a_value_by_accident_is_dropped(kind: str) -> None:
    shape = ACCIDENTS[kind].format
    environ = {
        "CHENYU_ARCHIVE": shape("/srv/arch"),
        "CHENYU_BASE_URL": shape("https://x.example/v2"),
        "CHENYU_LISTEN": shape("127.0.0.1:1"),
        "CHENYU_PING_URL": shape("https://hc.example/1"),
        "CHENYU_PAGE_SIZE": shape("7"),
        "CHENYU_TIMEZONE": shape("Europe/Berlin"),
        "CHENYU_RESOURCES": shape("bills"),
        "CHENYU_LOG_FORMAT": shape("json"),
        "CHENYU_SCHEDULE": shape("bills=1h"),
        "CHENYU_API_KEY": shape("cy_key"),
        "CHENYU_API_KEY_FILE": shape("/k"),
    }
    known = load({"account": shape("lab")}, environ)
    plain = {
        "CHENYU_ARCHIVE": "/srv/arch",
        "CHENYU_BASE_URL": "https://x.example/v2",
        "CHENYU_LISTEN": "127.0.0.1:1",
        "CHENYU_PING_URL": "https://hc.example/1",
        "CHENYU_PAGE_SIZE": "7",
        "CHENYU_TIMEZONE": "Europe/Berlin",
        "CHENYU_RESOURCES": "bills",
        "CHENYU_LOG_FORMAT": "json",
        "CHENYU_SCHEDULE": "bills=1h",
        "CHENYU_API_KEY": "cy_key",
        "CHENYU_API_KEY_FILE": "/k",
    }
    assert known == load({"account": "lab"}, plain)
    assert known.accounts[0].key(environ) == "cy_key"


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHENYU_ARCHIVE", "/S3CRET"),
        ("CHENYU_BASE_URL", "https://S3CRET.example"),
        ("CHENYU_PING_URL", "https://hc.example/S3CRET"),
        ("CHENYU_SCHEDULE", "bills=1h"),
        ("CHENYU_API_KEY_FILE", "/S3CRET"),
        ("CHENYU_CONFIG", "/S3CRET"),
    ],
)
def test_a_value_that_nobody_meant_is_refused_by_the_name_of_its_variable(
    kind: str, name: str, value: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load({}, {name: FAULTS[kind].format(value)})
    assert name in caught.value.message
    assert "S3CRET" not in f"{caught.value.message}{caught.value.advice}"


@pytest.mark.parametrize("kind", FAULTS)
def test_a_key_that_nobody_meant_is_refused_and_not_repeated(kind: str, tmp_path: Path) -> None:
    key = FAULTS[kind].format("cy_S3CRET")
    with pytest.raises(SettingsError, match="CHENYU_API_KEY") as caught:
        Account("lab", "CHENYU_API_KEY").key({"CHENYU_API_KEY": key})
    assert "S3CRET" not in f"{caught.value.message}{caught.value.advice}"
    file = tmp_path / "key"
    file.write_bytes(key.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=str(file)) as caught:
        Account("lab", key_file=file).key(NOTHING)
    assert "S3CRET" not in f"{caught.value.message}{caught.value.advice}"


@pytest.mark.parametrize("kind", ACCIDENTS)
def test_a_key_file_may_end_as_files_do(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(ACCIDENTS[kind].format("cy_key"), encoding="utf-8")
    assert Account("lab", key_file=file).key(NOTHING) == "cy_key"


@pytest.mark.parametrize("key", ["cy key", "cy_密钥", "cy_ａ"])
def test_a_key_of_letters_that_no_key_has_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="that no key has"):
        Account("lab", "CHENYU_API_KEY").key({"CHENYU_API_KEY": key})


def test_quotes_and_signs_inside_of_a_value_stay() -> None:
    assert clean("/srv/Bob's 50% #1/$x", "it") == "/srv/Bob's 50% #1/$x"
    assert clean('""', "it") == ""


# all that is wrong, and where each value is from


def test_all_that_is_wrong_is_noted_at_once(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        'page_siz = 1\ntimeout_s = "long"\n[schedule]\nbills = "often"\n'
        '[accounts.lab]\napi_key_fil = "x"\napi_key_env = 1\n[accounts." "]\n'
    )
    reading = settings.read({}, {"CHENYU_PAGE_SIZE": "0", "CHENYU_BASE_URL": "ftp://x"}, config)
    messages = [error.message for error in reading.problems]
    assert [m for m in messages if "page_siz'" in m]
    assert [m for m in messages if "timeout_s" in m]
    assert [m for m in messages if "CHENYU_PAGE_SIZE" in m]
    assert [m for m in messages if "CHENYU_BASE_URL" in m]
    assert [m for m in messages if "schedule: bills" in m]
    assert [m for m in messages if "api_key_fil'" in m]
    assert [m for m in messages if "api_key_env" in m]
    assert [m for m in messages if "short plain name" in m]
    assert len(messages) == 8


def test_the_origin_of_each_value_is_known(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('page_size = 1\nattempts = 2\narchive = "/a"\n[schedule]\nbills = "2h"\n')
    reading = settings.read({"archive": "/b"}, {"CHENYU_ATTEMPTS": "3"}, config)
    assert reading.origins == {
        "page_size": str(config),
        "attempts": "CHENYU_ATTEMPTS",
        "archive": "option",
        "schedule": str(config),
    }
    assert reading.problems == []


@pytest.mark.parametrize("name", ["lab ", " lab", "la\u200bb", "e\u0301cole"])
def test_two_accounts_whose_names_look_alike_cannot_be(name: str, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'[accounts."{name}"]\napi_key_env = "A"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="short plain name"):
        load({}, {}, config)


def test_an_account_may_have_its_own_address(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[accounts.lab]\nbase_url = "https://lab.example/v2/"\n[accounts.b]\n')
    assert [a.base_url for a in load({}, {}, config).accounts] == ["https://lab.example/v2", None]

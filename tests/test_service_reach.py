"""What a service needs to work as this shell does, noticed when its unit or its lines are made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from etl.errors import SettingsError
from etl.service import units
from etl.service.installing import NETWORK, carried, refuse_foreign_archive, service_environment
from etl.service.units import LONGEST_CRON_LINE, Installation, crontab, unit
from etl.simcloud import Server
from tests.commands import KEY, Command, cloud, home, path, run, server
from tests.test_installing import HERE, LAB, settings

__all__ = ["cloud", "home", "path", "run", "server"]


@pytest.fixture
def set_up(run: Command, home: Path, server: Server) -> Path:
    """The config file after `init`."""
    assert run("init", "--no-sync").exit_code == 0
    return home / "config/chenyu-etl/config.toml"


@pytest.mark.parametrize("kind", ["systemd", "cron", "launchd"])
def test_a_key_file_that_is_missing_is_noticed(kind: str, run: Command, set_up: Path) -> None:
    assert run("service", "print", kind, "--user").exit_code == 0
    (key,) = set_up.parent.glob("*.key")
    key.unlink()
    for words in (("print", kind), ("install", "--folder", "units")):
        done = run("service", *words, "--user")
        assert done.exit_code == 2
        assert str(key) in done.stderr
    assert not Path("units").exists()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('archive = "arch"', "archive"),
        ('database_url = "x.db"', "database_url"),
        ('[accounts.b]\napi_key_file = "b.key"', "accounts.b.api_key_file"),
    ],
)
def test_a_relative_path_of_the_config_is_refused(
    line: str, name: str, run: Command, set_up: Path
) -> None:
    Path("b.key").write_text(KEY)
    written = set_up.read_text().replace("database_url", "# database_url")
    is_table = line.startswith("[")
    set_up.write_text(f"{written}\n{line}\n" if is_table else f"{line}\n{written}")
    done = run("service", "print", "cron")
    assert done.exit_code == 2
    assert f"{name} is a relative path" in done.stderr
    assert "write the whole path" in done.stderr


def test_a_relative_path_of_this_shell_is_carried_as_a_whole_one(
    run: Command, set_up: Path, home: Path
) -> None:
    said = run("service", "print", "systemd", "--user", CHENYU_ARCHIVE="arch").stdout
    assert f'Environment="CHENYU_ARCHIVE={home / "arch"}"\n' in said


def test_variables_of_libpq_and_a_chinese_locale_are_carried() -> None:
    shell = {"PGSSLMODE": "require", "PGPASSFILE": "/p", "LANG": "zh_CN.UTF-8", "EDITOR": "vi"}
    assert carried({}, shell, {}) == {k: v for k, v in shell.items() if k != "EDITOR"}
    assert carried({}, {"LANG": "C.UTF-8"}, {}) == {}
    with pytest.raises(SettingsError, match="PGPASSWORD is set in this shell alone"):
        carried({}, {"PGPASSWORD": "hunter2"}, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("https_proxy", "http://me:pw@proxy:3128"),
        ("HTTPS_PROXY", "me:pw@proxy:3128"),
        ("all_proxy", "socks5://token@proxy:1080"),
        ("HTTP_PROXY", "http://me:a/b@proxy:3128"),
        ("CHENYU_DATABASE_URL", "postgresql://etl:etl@h/etl"),
        ("CHENYU_DATABASE_URL", "postgresql://u:a/b@h/x"),
        ("CHENYU_DATABASE_URL", "postgresql://u@h/x?oauth_client_secret=s"),
        ("PGOPTIONS", "-c my.secret=hunter22"),
    ],
)
def test_no_variable_that_may_hold_a_secret_is_written_into_a_unit(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is set in this shell alone, and may hold"):
        carried({}, {name: value}, {})


def test_lines_that_are_too_long_for_cron_are_refused() -> None:
    fits = Installation(["/bin/etl"], None, {"CHENYU_ARCHIVE": "/" + "a" * 700})
    assert max(map(len, crontab(fits).splitlines())) <= LONGEST_CRON_LINE
    with pytest.raises(SettingsError, match="longer than it takes") as caught:
        crontab(replace(fits, environ={"CHENYU_ARCHIVE": "/" + "文" * 400}))
    assert "CHENYU_ARCHIVE" in str(caught.value.advice)


def test_an_archive_outside_of_the_services_folder_is_made_writable(tmp_path: Path) -> None:
    known = replace(settings(LAB), archive=Path('/srv/a 50% "b"'))
    assert 'ReadWritePaths="/srv/a 50%% \\"b\\""\n' in unit(HERE, known, system=True)
    inside = replace(settings(LAB), archive=units.STATE / "archive")
    assert "ReadWritePaths" not in unit(HERE, inside, system=True)
    refuse_foreign_archive(inside.archive)
    with pytest.raises(SettingsError, match="there is no such folder") as caught:
        refuse_foreign_archive(tmp_path / "none", [])
    assert "useradd --system chenyu-etl" in str(caught.value.advice)
    with pytest.raises(SettingsError, match=f"it belongs to {tmp_path.owner()}"):
        refuse_foreign_archive(tmp_path, [])
    with pytest.raises(SettingsError, match="the unit hides"):
        refuse_foreign_archive(tmp_path, [tmp_path])
    tmp_path.chmod(0o1777)
    refuse_foreign_archive(tmp_path, [])


def test_a_service_of_the_system_goes_by_its_own_file_of_variables(
    run: Command, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "environment"
    monkeypatch.setattr("etl.service.units.ENVIRONMENT", file)
    monkeypatch.setattr("etl.service.installing.service_environment", lambda: read(file))
    monkeypatch.setattr("etl.service.installing.HIDDEN", ())
    monkeypatch.setattr("etl.service.installing.refuse_out_of_reach", lambda *_: None)
    monkeypatch.setattr("etl.cli.serving.is_root", lambda: True)
    monkeypatch.setattr("etl.service.units.SYSTEM_CONFIG", home / "none.toml")
    refused = run("service", "print", "systemd")
    assert refused.exit_code == 2, "the key of this shell is not the service's"
    assert "there is no API key for account 'default'" in refused.stderr
    file.write_text(f"# keys\nCHENYU_API_KEY={KEY}\nCHENYU_DATABASE_URL='/srv/x.db'\n")
    refused = run("service", "print", "systemd")
    assert "not to /srv/x.db" in refused.stderr
    file.write_text(f'CHENYU_API_KEY="{KEY}"\n\n;x\nCHENYU_DATABASE_URL=postgresql://u:S3CR@h/d\n')
    done = run("service", "print", "systemd")
    assert done.exit_code == 0, done.stderr
    assert f"EnvironmentFile=-{file}" in done.stdout
    assert "S3CR" not in done.output


def read(file: Path) -> dict[str, str]:
    return service_environment(file)


def test_init_hands_on_the_proxy_of_this_shell_to_its_service(
    run: Command, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, str]] = []
    monkeypatch.setattr(
        "etl.service.installing.install",
        lambda _config, _known, environ, **_: given.append(environ) or [],
    )
    monkeypatch.setattr("etl.cli.init.is_root", lambda: False)
    no_proxy = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "127.0.0.1"}
    done = run("init", "--no-sync", "--service", **no_proxy)
    assert done.exit_code == 0, done.output
    carried = {name: value for name, value in given[0].items() if name in NETWORK[:8]}
    assert carried == no_proxy, "what is in the config file may be changed there"


def test_an_account_with_a_credential_of_systemd_needs_no_file_here(
    run: Command, set_up: Path
) -> None:
    set_up.write_text('[accounts.a]\napi_key_credential = "a"\n')
    assert "there is no API key" not in run("service", "print", "cron").stderr

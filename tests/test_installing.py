"""A first set-up, and what makes other programs run this one."""

from __future__ import annotations

import errno
import fcntl
import os
import plistlib
import re
import select
import shutil
import subprocess
import termios
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etl.cli import main
from etl.errors import SettingsError
from etl.service.installing import refuse_hidden, refuse_out_of_reach
from etl.service.units import Installation, crontab, launchd, unit, windows
from etl.settings import Account, Settings, load
from etl.settings.alerts import AlertSettings, Channel, Secret
from etl.settings.variables import known_variables
from etl.simcloud import Server
from tests.commands import KEY, Command, cloud, home, path, run, server
from tests.live import COMMAND

__all__ = ["cloud", "home", "path", "run", "server"]

ROOT = Path(__file__).parents[1]
HERE = Installation(["/opt/etl/bin/chenyu-etl"], Path("/etc/chenyu-etl/config.toml"))
OWN = "sqlite:////var/lib/chenyu-etl/chenyu-etl.db"


def settings(*accounts: Account, database_url: str = OWN) -> Settings:
    return Settings(database_url=database_url, accounts=accounts)


LAB = Account("lab", key_file=Path("/etc/chenyu-etl/lab.key"))


# init


def test_init_tests_the_key_writes_it_apart_and_polls_once(
    run: Command, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("init", "--account", "实验室")
    assert done.exit_code == 0, done.output
    assert "the key is good: 2 instances are listed" in done.output
    assert "实验室 instances: complete, 2 listed, 2 new" in done.output
    config = home / "config/chenyu-etl/config.toml"
    keys = list(config.parent.glob("*.key"))
    assert KEY not in config.read_text(encoding="utf-8")
    assert keys[0].read_text() == f"{KEY}\n"
    assert {file.stat().st_mode & 0o777 for file in (config, *keys)} == {0o600}
    monkeypatch.delenv("CHENYU_API_KEY")
    assert load({}, {}, config).accounts[0].key({}) == KEY
    assert run("sync").exit_code == 0
    assert run("status").output.count("实验室 instances: last complete") == 1


def test_init_adds_a_second_account_and_keeps_what_is_written(
    run: Command, home: Path, server: Server
) -> None:
    config = home / "config/chenyu-etl/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('# mine\ntimezone = "Asia/Shanghai"\n[accounts.a]\napi_key_env = "A"\n')
    assert run("init", "--account", "b", "--no-sync").exit_code == 0
    assert config.read_text().startswith("# mine\n")
    assert [account.name for account in load({}, {}, config).accounts] == ["a", "b"]
    again = run("init", "--account", "b", "--no-sync")
    assert again.exit_code == 2
    assert "has a key for account 'b' already" in again.output


def test_init_keeps_nothing_of_a_key_that_is_refused(
    run: Command, home: Path, server: Server
) -> None:
    done = run("init", CHENYU_API_KEY="cy_wrong")
    assert done.exit_code == 4
    assert "as the console of chenyu.cn shows it" in done.output
    assert "api_key_file" not in done.output
    assert not (home / "config").exists()


def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("init", "serving"):
        monkeypatch.setattr(f"etl.cli.{module}.is_root", lambda: True)


@pytest.mark.parametrize(("wrong", "code"), [(2, 0), (3, 4)])
def test_a_person_is_asked_three_times_for_a_key(
    wrong: int, code: int, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.cli.init.is_terminal", lambda: True)
    words = ["init", "--no-sync", "--no-service"]
    keys = [*("cy wrong", "cy_wrong", "cy_wrong_again")[:wrong], KEY]
    done = CliRunner(env={"CHENYU_API_KEY": None}).invoke(main, words, input="\n".join(keys))
    assert done.exit_code == code, done.output
    assert done.output.count("API key (from the console") == 3
    assert done.output.count("error: ") == wrong
    assert (home / "config").exists() == (code == 0)
    assert KEY not in done.output


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
def test_init_writes_nothing_for_a_name_that_the_config_could_not_hold(
    name: str, run: Command, home: Path, server: Server
) -> None:
    done = run("init", "--account", name)
    assert done.exit_code == 2
    assert f"account {name[:40]!r}"[:-1] in done.stderr
    assert "needs a short plain name" in done.stderr
    assert not (home / "config").exists()


def test_init_reads_the_key_from_standard_input(home: Path, server: Server) -> None:
    done = CliRunner(env={"CHENYU_API_KEY": None}).invoke(
        main, ["init", "--stdin", "--no-sync"], input=f"{KEY}\n"
    )
    assert done.exit_code == 0, done.output
    assert KEY not in done.output
    nothing = CliRunner(env={"CHENYU_API_KEY": None}).invoke(main, ["init", "--account", "b"])
    assert nothing.exit_code == 2
    assert "--stdin" in nothing.output


@pytest.mark.parametrize("is_new", [True, False])
def test_init_that_cannot_write_its_config_leaves_no_key_behind(
    is_new: bool, run: Command, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "config/chenyu-etl"
    if not is_new:
        assert run("init", "--no-sync").exit_code == 0
    name = "chmod" if is_new else "open"
    whole = getattr(Path, name)

    def refuse(path: Path, *words: Any, **named: Any) -> Any:
        if path.name == "config.toml" and words[:1] in (("a",), (0o600,)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, *words, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, name, refuse)
        done = run("init", "--no-sync", "--account", "b")
    assert (done.exit_code, "No space left" in done.stderr) == (2, True), done.output
    assert not (folder / "b.key").exists()
    assert (folder / "config.toml").exists() != is_new
    assert run("init", "--no-sync", "--account", "b").exit_code == 0, "nothing is in its way"


def test_init_says_which_folder_it_cannot_make(run: Command, home: Path, server: Server) -> None:
    (home / "config").write_text("a file where the folder would be")
    done = run("init", "--no-sync")
    assert (done.exit_code, f"{home}/config" in done.stderr) == (2, True), done.output
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize(
    "words", ["service print launchd", "service install --user", "service uninstall"]
)
def test_a_user_without_a_home_is_told_so(
    words: str, run: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "key").write_text(KEY)

    def none(path: Path) -> Path:
        if path.parts[:1] == ("~",):
            raise RuntimeError("Could not determine home directory.")
        return path

    monkeypatch.setattr(Path, "expanduser", none)
    monkeypatch.setattr("etl.cli.serving.is_root", lambda: False)
    done = run(
        *words.split(),
        CHENYU_DATABASE_URL=str(home / "x.db"),
        CHENYU_API_KEY_FILE=str(home / "key"),
    )
    assert (done.exit_code, "this user has no home" in done.stderr) == (2, True), done.output


def test_a_user_without_a_home_needs_the_names_of_its_files(
    run: Command, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_data_path", none)
    monkeypatch.setattr("platformdirs.user_config_path", none)
    assert "this user has no home" in run("sync").stderr
    words = ["--config", str(home / "c.toml"), "--database", str(home / "x.db")]
    assert run(*words, "init", "--no-service").exit_code == 0
    for command in ("sync", "doctor"):
        assert run("--config", str(home / "c.toml"), command).exit_code == 0


def test_init_does_not_overwrite_a_key_file(run: Command, home: Path, server: Server) -> None:
    place = home / "config/chenyu-etl/default.key"
    place.parent.mkdir(parents=True)
    place.write_text("older")
    assert run("init", "--no-sync").exit_code == 2
    assert place.read_text() == "older"
    assert not place.with_name("config.toml").exists()


def test_root_at_a_terminal_is_offered_a_service_of_the_system(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = home / "etc/chenyu-etl/config.toml"
    monkeypatch.setattr("etl.service.units.SYSTEM_CONFIG", place)
    as_root(monkeypatch)
    monkeypatch.setattr("etl.cli.init.is_terminal", lambda: True)
    started: list[bool] = []
    monkeypatch.setattr(
        "etl.service.installing.install", lambda *_, system, **__: started.append(system) or []
    )
    done = CliRunner().invoke(main, ["init"], input="y\n")
    assert done.exit_code == 0, done.output
    assert "Set it up as a service of the system" in done.output
    assert "Install it as a service" not in done.output
    assert started == [True]
    assert place.stat().st_mode & 0o777 == 0o644
    refused = CliRunner().invoke(main, ["init", "--no-sync"], input="n\n")
    assert refused.exit_code == 0
    assert "Install it as a service" not in refused.output
    assert (home / "config/chenyu-etl/config.toml").exists()


def test_a_config_of_a_new_name_is_made_and_holds_what_was_given(
    run: Command, home: Path, server: Server
) -> None:
    config = home / "new" / "c.toml"
    words = ["--config", str(config), "--database", "own.db", "init", "--account", "lab"]
    done = run(
        *words, "--no-sync", CHENYU_PAGE_SIZE="7", CHENYU_PING_URL="https://hc.example/S3CRET"
    )
    assert done.exit_code == 0, done.output
    known = load({}, {}, config)
    assert (known.page_size, known.resources) == (7, ("instances",))
    assert known.database_url == f"sqlite:///{home / 'own.db'}"
    assert known.base_url == server.base_url
    assert "not written there: CHENYU_PING_URL" in done.stderr
    assert f"--config {config} run" in done.stderr
    assert "env -u CHENYU_API_KEY" in done.stderr, "else it would be another account's key too"
    assert "S3CRET" not in config.read_text() + done.output


def test_a_second_account_is_told_only_what_differs_from_the_config(
    run: Command, home: Path, server: Server
) -> None:
    words = ("init", "--no-sync", "--no-service")
    assert run(*words, CHENYU_LISTEN="", CHENYU_ACCOUNT="lab").exit_code == 0
    known = load({}, {}, home / "config/chenyu-etl/config.toml")
    assert ([account.name for account in known.accounts], known.listen) == (["lab"], "")
    same = run(*words, "--account", "b", CHENYU_LISTEN="off")
    assert "not written there" not in same.stderr
    other = run("--timezone", "Asia/Tokyo", *words, "--account", "c", CHENYU_PAGE_SIZE="7")
    assert re.findall("not written there: (.*?),", other.stderr) == ["timezone", "page_size"]


@pytest.mark.skipif(not shutil.which("localedef"), reason="there is no localedef")
def test_files_are_utf_8_in_every_locale(home: Path, server: Server) -> None:
    made = ["localedef", "-i", "zh_CN", "-f", "GBK", str(home / "zh_CN.GBK")]
    if subprocess.run(made, capture_output=True).returncode > 1:
        pytest.skip("this system has no sources of locales")
    environ = {
        **{name: os.environ[name] for name in ("PATH", "CHENYU_BASE_URL", "CHENYU_RESOURCES")},
        **{"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")},
        **{"LC_ALL": "zh_CN.GBK", "LOCPATH": str(home), "PYTHONUTF8": "0"},
    }
    done = subprocess.run(
        [str(COMMAND), "init", "--stdin", "--account", "实验室".encode("gbk"), "--no-service"],
        **{"env": environ, "input": f"{KEY}\n".encode(), "capture_output": True},
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    config = home / "config/chenyu-etl/config.toml"
    assert [a.name for a in load({}, {}, config).accounts] == ["实验室"]


# units


def test_a_service_gets_what_this_shell_has_or_refuses_by_name(
    run: Command, home: Path, server: Server
) -> None:
    assert run("init", "--no-sync").exit_code == 0
    odd = str(home / 'a 50% "b" $c #d')
    environ = {"CHENYU_ARCHIVE": odd, "HTTPS_PROXY": "http://proxy.example:3128"}
    unit_text = run("service", "print", "systemd", "--user", **environ).stdout
    quoted = odd.replace("%", "%%").replace('"', '\\"')
    assert f'Environment="CHENYU_ARCHIVE={quoted}"\n' in unit_text
    assert 'Environment="HTTPS_PROXY=http://proxy.example:3128"\n' in unit_text
    cron = run("service", "print", "cron", **environ).stdout
    assert r"50\%" in cron
    listed = plistlib.loads(run("service", "print", "launchd", **environ).stdout.encode())
    assert listed["EnvironmentVariables"]["CHENYU_ARCHIVE"] == odd
    for name, value in (
        ("CHENYU_PING_URL", "https://hc.example/S3CRET"),
        ("CHENYU_DATABASE_URL", "postgresql://u:S3CRET@h/d"),
        ("HTTPS_PROXY", "http://u:S3CRET@proxy.example"),
    ):
        refused = run("service", "print", "cron", **{name: value})
        assert (refused.exit_code, name in refused.stderr) == (2, True)
        assert "S3CRET" not in refused.output
    assert "--config" not in run("service", "print", "cron", XDG_CONFIG_HOME=str(home / "x")).stdout


def test_a_service_gets_every_variable_that_a_command_here_would_read(
    run: Command, home: Path, server: Server
) -> None:
    assert run("init", "--no-sync").exit_code == 0
    values = {
        **dict.fromkeys(known_variables(), ""),
        **{"CHENYU_LISTEN": "", "SSLKEYLOGFILE": str(home / "keys.log"), "CHENYU_DEBUG": "1"},
        **{"CHENYU_LANG": "zh", "CHENYU_ATTEMPTS": "2", "CHENYU_SCHEDULE": "instances=5m"},
    }
    done = run("service", "print", "systemd", "--user", CHENYU_TYPO="x", **values)
    assert done.exit_code == 0, done.output
    for name, value in {**values, "CHENYU_LISTEN": "off"}.items():
        assert (f'Environment="{name}={value}"\n' in done.stdout) == bool(value), name
    assert "CHENYU_TYPO" in done.stderr


def test_a_unit_of_the_system_has_a_user_of_its_own_and_the_keys_as_credentials() -> None:
    text = unit(HERE, settings(LAB, Account("a b", key_file=Path("/k/50%"))), system=True)
    assert "DynamicUser=yes" in text
    assert "LoadCredential=lab.key:/etc/chenyu-etl/lab.key\n" in text
    assert "LoadCredential=a%%20b.key:/k/50%%\n" in text
    assert "ExecStart=/opt/etl/bin/chenyu-etl --config /etc/chenyu-etl/config.toml run\n" in text
    assert "ProtectHome=yes" in text


def test_odd_paths_are_quoted_for_systemd() -> None:
    odd = Installation(["/opt/a b/100%/$x"], Path("/c"))
    assert 'ExecStart=:"/opt/a b/100%%/$x" --config /c run' in unit(
        odd, settings(LAB), system=False
    )


def test_what_a_unit_could_not_reach_is_refused(run: Command) -> None:
    with pytest.raises(SettingsError, match="can write to /var/lib/chenyu-etl only"):
        unit(HERE, settings(LAB, database_url="sqlite:////home/me/x.db"), system=True)
    with pytest.raises(SettingsError, match="is only in this environment, LAB_KEY"):
        unit(HERE, settings(Account("lab", key_env="LAB_KEY")), system=False)


def test_a_program_that_the_services_user_cannot_reach_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "bin/chenyu-etl"
    program.parent.mkdir(mode=0o700)
    with pytest.raises(SettingsError, match=f"cannot enter {program.parent}"):
        refuse_hidden(program)
    refuse_hidden(Path("/usr/bin/true"))


def test_a_config_that_the_services_user_cannot_read_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "etl/config.toml"
    config.parent.mkdir(mode=0o755)
    config.touch(0o644)
    tmp_path.chmod(0o755)
    closed = [folder for folder in tmp_path.parents if not folder.stat().st_mode & 0o001]
    for folder in closed:  # pytest's own are for one user
        folder.chmod(0o711)
    with pytest.raises(SettingsError, match="the unit hides"):
        refuse_out_of_reach(config, settings(LAB), [tmp_path])
    refuse_out_of_reach(config, settings(LAB), [])
    config.chmod(0o600)
    with pytest.raises(SettingsError, match="for its owner only") as caught:
        refuse_out_of_reach(config, settings(LAB), [])
    assert "init --system" in str(caught.value.advice)
    config.parent.chmod(0o700)
    with pytest.raises(SettingsError, match="is closed to others"):
        refuse_out_of_reach(config, settings(LAB), [])


@pytest.mark.parametrize("folder", ["/root/.config", "/home/me", "/tmp", "/run/user/0"])
def test_what_the_unit_hides_is_no_place_for_its_config(folder: str) -> None:
    with pytest.raises(SettingsError, match="the unit hides"):
        refuse_out_of_reach(Path(folder, "x/config.toml"), settings(LAB))
    webhook = Channel("ops", "webhook", url=Secret(file=Path(folder, "url")))
    known = replace(settings(LAB), alerts=AlertSettings(channels=(webhook,)))
    with pytest.raises(SettingsError, match=f"cannot read {folder}/url"):
        refuse_out_of_reach(Path("/etc/chenyu-etl/config.toml"), known)


def test_root_is_told_that_a_config_of_its_own_is_none_for_the_service(
    run: Command, home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("init", "--no-sync").exit_code == 0
    as_root(monkeypatch)
    bare = run("init", "--account", "b", "--service")
    assert (bare.exit_code, "add --system" in bare.output) == (2, True)
    for words in (("print", "systemd"), ("install", "--folder", str(home / "units"))):
        done = run("service", *words)
        assert done.exit_code == 2
        assert "init --system" in done.output
        assert "[Unit]" not in done.output
    assert not (home / "units").exists()
    assert "[Unit]" in run("service", "print", "systemd", "--user").output


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
@pytest.mark.parametrize("system", [True, False])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, system: bool) -> None:
    here = Installation([shutil.which("true") or "/bin/true"], Path("/etc/chenyu-etl/config.toml"))
    place = tmp_path / "chenyu-etl.service"
    place.write_text(unit(here, settings(LAB), system=system))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(place)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_who_makes_a_key_file_for_a_container_is_told_whose_it_must_be() -> None:
    (number,) = re.findall(r"--uid (\d+)", (ROOT / "Dockerfile").read_text())
    assert f"chown {number} secrets/chenyu.key" in (ROOT / "compose.yaml").read_text()
    assert f"chown {number} chenyu.key" in (ROOT / "docs/service.md").read_text()


def test_the_lines_for_cron_run_in_a_shell(tmp_path: Path) -> None:
    program = tmp_path / "chenyu etl"
    program.write_text('#!/bin/sh\n[ "$3" = sync ] && exit $SYNC\nexit 1\n')
    program.chmod(0o700)
    lines = crontab(Installation([str(program)], Path("/c"))).splitlines()
    assert [line[:13].strip() for line in lines] == ["*/2 * * * *", "*/15 * * * *"]
    sync, status = (line.split("*  ", 1)[1] for line in lines)
    for code, ends in ((0, 0), (7, 0), (5, 1)):
        environ = {"HOME": str(tmp_path), "SYNC": str(code)}
        assert subprocess.run(["/bin/sh", "-c", sync], env=environ).returncode == ends
    said = subprocess.run(["/bin/sh", "-c", status], capture_output=True, text=True)
    assert said.stdout == "chenyu-etl: no complete poll for 15 minutes\n"


def test_launchd_and_windows_get_the_same_words() -> None:
    listed = plistlib.loads(launchd(HERE, Path("/Users/me")).encode())
    assert listed["ProgramArguments"] == [*HERE.command, "run"]
    odd = Installation([r"C:\Program Files\etl\chenyu-etl.exe"], Path(r"C:\etl\config.toml"))
    assert r'/TR "\"C:\Program Files\etl\chenyu-etl.exe\" --config' in windows(odd)


def test_a_service_is_installed_into_a_folder_and_removed_again(
    run: Command, home: Path, server: Server
) -> None:
    assert run("init", "--no-sync").exit_code == 0
    folder = ["--folder", str(home / "units"), "--user"]
    done = run("service", "install", *folder)
    assert done.exit_code == 0, done.output
    text = (home / "units/chenyu-etl.service").read_text()
    assert "Type=notify" in text
    assert KEY not in text
    assert run("service", "uninstall", *folder).exit_code == 0
    assert list((home / "units").iterdir()) == []
    assert run("service", "uninstall", *folder).exit_code == 2
    for kind in ("cron", "launchd"):
        assert "chenyu-etl" in run("service", "print", kind).output
    refused = run("service", "print", "windows")
    assert "takes no variables: CHENYU_BASE_URL" in refused.output


def test_at_a_terminal_init_asks_for_the_key_and_does_not_show_it(
    home: Path, server: Server
) -> None:
    pty = pytest.importorskip("pty")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "CHENYU_BASE_URL": server.base_url,
    }
    master, slave = pty.openpty()
    asked = subprocess.Popen(
        [str(COMMAND), "init"],
        env=environ,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=home,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    said = ""
    if os.geteuid() == 0:  # it asks root before anything is written
        said += read_until(master, "of the system, in /etc/chenyu-etl? [y/N]: ")
        os.write(master, b"n\n")
    said += read_until(master, "chenyu.cn): ")
    os.write(master, f"{KEY}\n".encode())
    if os.geteuid() != 0:
        said += read_until(master, "as a service? [y/N]: ")
        os.write(master, b"n\n")
    said += read_until(master, "service print cron")
    assert asked.wait(60) == 0
    os.close(master)
    assert KEY not in said
    assert "default instances: complete, 2 listed" in said


def read_until(terminal: int, words: str) -> str:
    said = ""
    while words not in said:
        assert select.select([terminal], [], [], 60)[0], f"not said within a minute: {words}"
        said += os.read(terminal, 1000).decode(errors="replace")
    return said

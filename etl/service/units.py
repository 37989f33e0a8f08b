"""Texts that make other programs run this one: systemd, cron, launchd, Windows.

Nothing here starts anything. Paths in them are those of this installation.
"""

from __future__ import annotations

import plistlib
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from etl.errors import SettingsError
from etl.settings import KEY_VARIABLE, Settings
from etl.texts import tr

NAME: Final = "chenyu-etl"
STATE: Final = Path("/var/lib") / NAME
SYSTEM_CONFIG: Final = Path("/etc") / NAME / "config.toml"
ENVIRONMENT: Final = Path("/etc") / NAME / "environment"
LABEL: Final = "cn.chenyu-etl"
LONGEST_CRON_LINE: Final = 998
"""Vixie's cron, which Debian has, refuses a command of 1,000 characters."""

_UNIT: Final = """\
# Made by: chenyu-etl service install
[Unit]
Description=chenyu-etl: what a Chenyu Cloud account runs, in SQL
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=10
WatchdogSec=120
TimeoutStopSec=20
UMask=0077
{environ}{own}
[Install]
WantedBy={target}
"""

_SYSTEM: Final = """\
DynamicUser=yes
StateDirectory=chenyu-etl
StateDirectoryMode=0700
WorkingDirectory=/var/lib/chenyu-etl
EnvironmentFile=-{environment}
{credentials}
{writable}NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """This program as it is installed: the words that start it, the config file that it is to use, if
    there is one, and the variables that the service needs as this shell has them."""

    words: Sequence[str]
    config: Path | None
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        return [*self.words, *(["--config", str(self.config)] if self.config else [])]


def unit(installed: Installation, settings: Settings, *, system: bool) -> str:
    """Return a systemd unit: for the system, with a user of its own, or for one user.

    Raises `SettingsError` if it could not work: a key or a database out of its reach.
    """
    command = " ".join(_quoted(word) for word in [*installed.command, "run"])
    if "$" in command:
        # systemd expands $NAME in ExecStart unless a colon stands before it
        command = f":{command.replace('$$', '$')}"  # the path of a program knows no $$
    environ = "".join(
        f"Environment={_assigned(name, value)}\n" for name, value in installed.environ.items()
    )
    if not system:
        _refuse_bare_keys(settings)
        own = "NoNewPrivileges=yes\n"
        return _UNIT.format(command=command, environ=environ, own=own, target="default.target")
    _refuse_foreign_database(settings)
    credentials = "\n".join(
        f"LoadCredential={account.credential}:{account.key_file.absolute()}".replace("%", "%%")
        for account in settings.accounts
        if account.key_file is not None
    )
    # ProtectHome=yes would hide the program from the service itself
    is_at_home = installed.words[0].startswith(("/home", "/root"))
    own = _SYSTEM.format(
        environment=ENVIRONMENT,
        credentials=credentials or "# no key files: keys come from EnvironmentFile",
        writable=_writable(settings.archive),
        home="read-only" if is_at_home else "yes",
    )
    return _UNIT.format(command=command, environ=environ, own=own, target="multi-user.target")


def unit_path(*, system: bool, home: Path) -> Path:
    folder = Path("/etc/systemd/system") if system else home / ".config/systemd/user"
    return folder / f"{NAME}.service"


def crontab(installed: Installation) -> str:
    """Return lines for `crontab -e`. A sync ends at once if another is running, so they never pile
    up; the second line says by mail when nothing complete came for a while.

    Raises `SettingsError` for lines that are too long for cron.
    """
    assigned = [f"{name}={shlex.quote(value)}" for name, value in installed.environ.items()]
    # cron takes an unescaped % for the end of the line
    words = " ".join([*assigned, shlex.join(installed.command)]).replace("%", r"\%")
    log = f'"$HOME/{NAME}.log"'
    lines = [
        # exit code 7 is no failure: the sync before is still at work
        f"*/2 * * * *  {words} sync 2>>{log} || [ $? -eq 7 ]",
        # cron mails what a line prints: silence means that all is well
        f"*/15 * * * *  {words} status --max-age 15m >/dev/null 2>&1"
        f" || echo '{NAME}: no complete poll for 15 minutes'",
    ]
    if max(len(line.encode()) for line in lines) > LONGEST_CRON_LINE:
        raise SettingsError(
            tr(
                "a line for cron would be longer than it takes ({longest_cron_line} bytes)",
                longest_cron_line=LONGEST_CRON_LINE,
            ),
            advice=tr(
                "write into the config file what is set in this shell, and unset it here: {names}",
                names=", ".join(installed.environ),
            ),
        )
    return "".join(f"{line}\n" for line in lines)


def launchd(installed: Installation, home: Path) -> str:
    """Return a property list for `~/Library/LaunchAgents`."""
    log = str(home / f"Library/Logs/{NAME}.log")
    agent = {
        "Label": LABEL,
        "ProgramArguments": [*installed.command, "run"],
        **({"EnvironmentVariables": dict(installed.environ)} if installed.environ else {}),
        "RunAtLoad": True,
        "KeepAlive": True,
        # macOS gives such a process less of the machine while somebody works on it
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardErrorPath": log,
    }
    return plistlib.dumps(agent, sort_keys=False).decode()


def windows(installed: Installation) -> str:
    """Return a command that creates a Windows task, which runs while its user is logged on.

    Raises `SettingsError` for options that such a task cannot have.
    """
    if installed.environ:
        raise SettingsError(
            tr(
                "a task of Windows takes no variables: {environ}",
                environ=", ".join(installed.environ),
            ),
            advice=tr(
                "write them into the config file, or set them for the user and unset them here"
            ),
        )
    # the line is pasted into cmd.exe, which reads some of these even inside quotes
    odd = sorted({sign for word in installed.command for sign in word if sign in '%&|<>^!"'})
    if odd:
        raise SettingsError(
            tr("the path of the program or of its config holds {odd}", odd=" ".join(odd)),
            advice=tr("schtasks would not take it as it is: move it"),
        )
    words = subprocess.list2cmdline([*installed.command, "run"])
    inner = words.replace('"', '\\"')
    return f'schtasks /Create /TN "{NAME}" /SC ONLOGON /TR "{inner}"\nschtasks /Run /TN "{NAME}"\n'


def _assigned(name: str, value: str) -> str:
    """Return the assignment of a variable in a systemd unit, where $ is a plain character and % is
    not.
    """
    plain = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{name}={plain}"'


def _writable(archive: Path | None) -> str:
    """Return the line that lets the service write to an archive outside of its own folder."""
    if archive is None or archive.is_relative_to(STATE):
        return ""
    plain = str(archive).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'ReadWritePaths="{plain}"\n'


def _quoted(word: str) -> str:
    """Return a quoted word of a systemd command line."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if plain != word or " " in word else word


def _refuse_bare_keys(settings: Settings) -> None:
    for account in settings.accounts:
        if account.key_file is None:
            variable = account.key_env or KEY_VARIABLE
            raise SettingsError(
                tr(
                    "the key of account {name!r} is only in this environment, {variable}",
                    name=account.name,
                    variable=variable,
                ),
                advice=tr("put it into a file and name that: api_key_file (chenyu-etl init does)"),
            )


def _refuse_foreign_database(settings: Settings) -> None:
    url = settings.database_url
    if url.startswith("sqlite:") and not url.startswith(f"sqlite:///{STATE}/"):
        raise SettingsError(
            tr(
                "a service with a user of its own can write to {state} only, not to {removeprefix}",
                state=STATE,
                removeprefix=url.removeprefix("sqlite:///"),
            ),
            advice=tr(
                'set database_url = "{state}/{name}.db", or install it for yourself: --user',
                state=STATE,
                name=NAME,
            ),
        )

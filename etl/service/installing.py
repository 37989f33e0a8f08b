"""Install this program as a service, and refuse what could not work as one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from etl.address import LIBPQ, LIBPQ_PASSWORD
from etl.errors import SettingsError
from etl.paths import read_whole, replacing
from etl.redact import may_hold_password, redact_words, shown_reference
from etl.service import units
from etl.service.children import SYSTEMD, child_environ
from etl.settings import LoadedSettings, Settings, variable
from etl.settings.checking import relative_paths
from etl.settings.file import home_expanded, is_there
from etl.settings.text import clean
from etl.settings.variables import known_variables, named_variables
from etl.texts import locale_language, tr

SYSTEMCTL_S: Final = 60
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
NETWORK: Final = (
    *_PROXIES,
    *(name.lower() for name in _PROXIES),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"),
)
FOLDERS: Final = ("STATE_DIRECTORY", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Alerts and digests are in its language, unless a setting names another."""
_LIBPQ: Final = LIBPQ | {LIBPQ_PASSWORD}
PATHS: Final = (
    *("CHENYU_ARCHIVE", "CHENYU_API_KEY_FILE", "CHENYU_DATABASE_URL"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", *FOLDERS),
    *("PGPASSFILE", "PGSERVICEFILE", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT", "PGSSLCRL"),
)
SECRETS: Final = ("CHENYU_PAGE_TOKEN", "CHENYU_PING_URL", LIBPQ_PASSWORD)
PLACES: Final = tr("run it as root, or install the service for yourself: --user")
HIDDEN: Final = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
"""Folders that the unit of the system hides from its user: ProtectHome, PrivateTmp."""


def installed(config: Path | None, environ: Mapping[str, str] | None = None) -> units.Installation:
    """Describe this program as it runs now; a config file that is not there is left out."""
    script = Path(sys.executable).with_name(units.NAME)
    # by path: a service has another PATH than a shell
    words = [str(script)] if script.exists() else [sys.executable, "-m", "etl.cli"]
    there = config.absolute() if config is not None and is_there(config) else None
    return units.Installation(words, there, environ or {})


def carried(
    options: Mapping[str, Any], environ: Mapping[str, str], written: Mapping[str, Any]
) -> dict[str, str]:
    """Return the variables that a service needs to work as this shell does, paths absolute.

    Raises `SettingsError` for one that may hold a secret: a unit or a crontab is no place for it.
    """
    # the config is named in the command, keys are no matter of a unit, debugging is for now
    known = known_variables() - {"CHENYU_CONFIG", "CHENYU_API_KEY"}
    known |= {*NETWORK, *FOLDERS, *(name for name in environ if name in _LIBPQ)}
    # the service may be started in another language than this shell has
    if locale_language(environ) != locale_language({}):
        known |= set(LOCALE)
    values = {name: environ[name] for name in sorted(known) if environ.get(name)}
    values |= {variable(name): str(value) for name, value in options.items() if value}
    if environ.get(variable("listen")) == "":  # which means off, and is no variable that is not set
        values[variable("listen")] = "off"
    # a unit can be read by everybody, and a crontab lands in mails and process lists
    secret = [name for name in (*named_variables(written), *SECRETS) if environ.get(name)]
    secret += [name for name, value in values.items() if _may_hold_secret(name, value)]
    for name in secret:
        raise SettingsError(
            tr("{name} is set in this shell alone, and may hold a secret", name=name),
            advice=tr("write it into the config file or a file of its own, and unset it here"),
        )
    return {
        name: str(home_expanded(Path(clean(value, name)), name).absolute())
        if name in PATHS and "://" not in value
        else clean(value, name)
        for name, value in values.items()
    }


def _may_hold_secret(name: str, value: str) -> bool:
    # of a proxy's address the user alone may be a token
    is_user = name.upper() in _PROXIES and "@" in value
    return is_user or may_hold_password(value) or redact_words(value) != value


def refuse_unfit(reading: LoadedSettings, environ: Mapping[str, str]) -> None:
    """Raise for faults that a shell forgives and a service does not: a relative path in the config
    file, as it starts in another folder, and a key that is not there. `environ` is the service's.
    """
    for name, path in relative_paths(reading):
        if reading.origins.get(name, str(reading.config)) == str(reading.config):
            raise SettingsError(
                tr(
                    "{name} is a relative path, {path}, and a service starts in another folder",
                    name=name,
                    path=shown_reference(str(path)),
                ),
                advice=tr("write the whole path into {config}", config=reading.config),
            )
    for account in reading.settings.accounts:
        if account.key_credential is None:  # systemd has that one, this shell has not
            account.key(environ)


def service_environment(file: Path = units.ENVIRONMENT) -> dict[str, str]:
    """Return the variables of a file as systemd reads it for a service of the system; none if it is
    not there. Raises `SettingsError` if it cannot be read.
    """
    try:
        lines = read_whole(file).decode().splitlines() if file.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            tr(
                "{file} cannot be read: {getattr}",
                file=file,
                getattr=getattr(error, "strerror", None) or "it is not UTF-8",
            ),
            advice=tr("run it as root, or write that file anew"),
        ) from None
    # systemd takes both signs for the begin of a comment
    pairs = (line.strip().partition("=") for line in lines if line.strip()[:1] not in "#;")
    return {name.strip(): clean(value, f"{name.strip()} in {file}") for name, _, value in pairs}


def install(
    config: Path,
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    *,
    system: bool,
    folder: Path | None,
    start: bool,
) -> Iterator[str]:
    """Install the unit and start it; yield a line for each step."""
    here = installed(config, environ)
    text = units.unit(here, settings, system=system)
    if system:
        refuse_out_of_reach(config, settings)
        refuse_foreign_archive(settings.archive)
    # somewhere else the unit may be for another machine
    if system and start and folder is None:
        refuse_hidden(Path(here.words[0]), Path(sys.executable).resolve())
    unit = units.unit_path(system=system, home=home())
    if folder is not None:
        unit = folder / unit.name
    _put(unit, text)
    yield tr("wrote {unit}", unit=unit)
    words = _systemctl(system)
    if not start or folder is not None:
        yield tr(
            "start it: {words} daemon-reload && {words} enable --now {name}",
            words=" ".join(words),
            name=units.NAME,
        )
        return
    # systemd keeps units in memory: without it the old text would be started
    _run_tool([*words, "daemon-reload"])
    _run_tool([*words, "enable", "--now", units.NAME])
    yield tr("started; see {words} status {name}", words=" ".join(words), name=units.NAME)
    if not system:
        yield tr("to let it run while you are logged off: sudo loginctl enable-linger $USER")


def _put(path: Path, text: str) -> None:
    """Write a unit, which nobody but its owner may change: it names the program that is run."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, mode=0o644) as file:
            file.write(text.encode())
    except OSError as error:
        raise SettingsError(
            tr("{parent} cannot be made: {strerror}", parent=path.parent, strerror=error.strerror),
            advice=PLACES,
        ) from None
    except SettingsError as error:
        error.advice = PLACES
        raise


def refuse_hidden(*programs: Path) -> None:
    """Raise if an unprivileged user could not start one of these."""
    for folder in (folder for program in programs for folder in program.parents):
        # to enter a folder it takes the right to execute, not to read
        if not folder.stat().st_mode & 0o001:
            raise SettingsError(
                tr(
                    "the service's own user cannot enter {folder}, where the program is",
                    folder=folder,
                ),
                advice=tr(
                    "install it for everybody, such as into /opt/chenyu-etl; or for you: --user"
                ),
            )


def refuse_out_of_reach(config: Path, settings: Settings, hidden: Sequence[Path] = HIDDEN) -> None:
    """Raise if the service's own user could not read the config file, or the files that its alerts
    name. Key files are systemd's to read: they may be for root alone.
    """
    channels = settings.alerts.channels
    secrets = [secret.file for channel in channels for secret in (channel.url, channel.secret)]
    for path in (config, *(file for file in secrets if file is not None)):
        if why := _out_of_reach(path.resolve(), hidden):
            raise SettingsError(
                tr("the service's own user cannot read {path}: {why}", path=path, why=why),
                advice=tr(
                    "chenyu-etl init --system makes a config for the service, in {parent}; or "
                    "install it for you: --user",
                    parent=units.SYSTEM_CONFIG.parent,
                ),
            )


def refuse_foreign_archive(archive: Path | None, hidden: Sequence[Path] = HIDDEN) -> None:
    """Raise if the service's own user could not write to the archive. That user has the name of the
    service: if there is one of that name already, systemd takes it.
    """
    if archive is None or archive.is_relative_to(units.STATE):
        return
    real = archive.resolve()
    why = next((f"the unit hides {folder}" for folder in hidden if real.is_relative_to(folder)), "")
    if not why and not real.is_dir():
        why = "there is no such folder"
    # DynamicUser takes an existing user of that name, so that a folder can belong to it
    if not why and not (real.stat().st_mode & 0o002 or _owner(real) == units.NAME):
        why = f"it belongs to {_owner(real)}"
    if why:
        raise SettingsError(
            tr(
                "the service's own user cannot write to the archive {archive}: {why}",
                archive=archive,
                why=why,
            ),
            advice=tr(
                "name a folder in {state}; or make the user, for systemd to use: useradd "
                "--system {name} && install -d -o {name} FOLDER",
                state=units.STATE,
                name=units.NAME,
            ),
        )


def home() -> Path:
    """Return this user's home. Raises `SettingsError` if there is none, as in a container."""
    try:
        return Path("~").expanduser()
    except RuntimeError:
        raise SettingsError(
            tr("this user has no home, where the files of a service belong"),
            advice=tr("export HOME=FOLDER, or see chenyu-etl service print cron"),
        ) from None


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, NotImplementedError):  # nobody has that number
        return tr("nobody known")


def _out_of_reach(path: Path, hidden: Sequence[Path]) -> str | None:
    """Return why an unprivileged user cannot read a path, given the folders that the unit hides."""
    for folder in hidden:
        if path.is_relative_to(folder):
            return tr("the unit hides {folder}", folder=folder)
    for folder in path.parents:
        if folder.exists() and not folder.stat().st_mode & 0o001:
            return tr("{folder} is closed to others", folder=folder)
    if path.exists() and not path.stat().st_mode & 0o004:
        return tr(
            "it is for its owner only (chmod 644, and secrets into {file})", file=units.ENVIRONMENT
        )
    return None


def uninstall(*, system: bool, folder: Path | None) -> Iterator[str]:
    """Stop the service and take its unit away; config, keys and database stay."""
    unit = units.unit_path(system=system, home=home())
    if folder is not None:
        unit = folder / unit.name
    if not unit.exists():
        raise SettingsError(
            tr("there is no {unit}", unit=unit), advice=tr("nothing to do; or --user, or --folder")
        )
    # a unit in another folder was never enabled on this machine
    if folder is None:
        _run_tool([*_systemctl(system), "disable", "--now", units.NAME])
    unit.unlink()
    if folder is None:
        _run_tool([*_systemctl(system), "daemon-reload"])
    yield tr("removed {unit}; config, keys and database are where they were", unit=unit)


def _systemctl(system: bool) -> list[str]:
    return ["systemctl"] if system else ["systemctl", "--user"]


def _run_tool(words: list[str]) -> None:
    if shutil.which(words[0]) is None:
        raise SettingsError(
            tr("there is no {value} here", value=words[0]),
            advice=tr("see chenyu-etl service print cron, or launchd"),
        )
    done = subprocess.run(  # noqa: S603 - words of ours
        words,
        capture_output=True,
        text=True,
        timeout=SYSTEMCTL_S,
        check=False,
        env=child_environ(SYSTEMD),
    )
    if done.returncode != 0:
        complaint = done.stderr.strip().partition("\n")[0]
        raise SettingsError(
            tr("{words}: {complaint}", words=" ".join(words), complaint=complaint),
            advice=tr("run that by hand to see more"),
        )

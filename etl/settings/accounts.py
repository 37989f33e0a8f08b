"""The accounts that are polled, and where the key of each is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from etl.errors import NoKey, SettingsError
from etl.paths import file_name, read_whole
from etl.poll import LONGEST_ACCOUNT, is_account_name
from etl.redact import redact_words, remember, shown_reference
from etl.settings.file import home_expanded, is_there, table, unknown_names
from etl.settings.problems import Problems
from etl.settings.readers import base_url, only_text
from etl.settings.service import read_cadences
from etl.settings.text import clean_key
from etl.texts import tr
from etl.timing.cadence import Cadence

DEFAULT_ACCOUNT: Final = "default"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""Variable that names systemd's folder of credentials (`LoadCredential=`)."""
KEY_VARIABLE: Final = "CHENYU_API_KEY"
KEY_FILE_VARIABLE: Final = "CHENYU_API_KEY_FILE"
WHERE_KEYS_ARE: Final = tr(
    "make a key in the console of chenyu.cn, then: export CHENYU_API_KEY=cy_… (or "
    "put it into a file and name that: CHENYU_API_KEY_FILE)"
)
ACCOUNT_KEYS: Final = {
    "api_key_env",
    "api_key_file",
    "api_key_credential",
    "base_url",
    "schedule",
}


@dataclass(frozen=True, slots=True)
class Account:
    """An account and where its key is. The key itself is read when it is needed, never kept.

    `schedule` holds its own cadences by resource, `base_url` the address of its API if it differs
    from that of the others. `key_credential` names a systemd credential; without one, a credential
    `ACCOUNT.key` stands in for the key file.
    """

    name: str
    key_env: str | None = None
    key_file: Path | None = None
    key_credential: str | None = None
    base_url: str | None = None
    schedule: Mapping[str, Cadence] = field(default_factory=dict)

    @property
    def credential(self) -> str:
        """Return the name of the account's systemd credential."""
        return self.key_credential or f"{file_name(self.name)}.key"

    def key(self, environ: Mapping[str, str]) -> str:
        """Return the API key. Raises `SettingsError` if there is none, with how to set it."""
        written = environ.get(self.key_env, "") if self.key_env else ""
        variable = shown_reference(self.key_env or "")
        origin = f"the API key of account {self.name!r} ({variable})"
        file = self._credential_file(environ) or self.key_file
        # containers set variables that they leave empty: the file counts then
        if not written.strip() and file is not None:
            written, origin = _read_key(file), f"API key file {shown_reference(str(file))}"
        key = clean_key(written, origin)
        if not key:
            own = variable if self.key_env != KEY_VARIABLE else None
            raise NoKey(
                tr("there is no API key for account {name!r}", name=self.name),
                advice=(
                    tr("export {own}=cy_…, as the config file says", own=own)
                    if own
                    else WHERE_KEYS_ARE
                ),
            )
        # from here on it is cut out of every log line and error, in whatever form
        remember(key)
        return key

    def key_origin(self, environ: Mapping[str, str]) -> str:
        """Name the variable or the file that the key comes from."""
        if self.key_env and environ.get(self.key_env, "").strip():
            return self.key_env
        file = self._credential_file(environ) or self.key_file
        return shown_reference(str(file)) if file is not None else "nowhere"

    def _credential_file(self, environ: Mapping[str, str]) -> Path | None:
        # without systemd the path shows the variable that is missing
        given = Path(environ.get(CREDENTIALS) or f"${CREDENTIALS}", self.credential)
        # one that the config names must be there; the other is only a convention of systemd
        return given if self.key_credential or is_there(given) else None


def read_accounts(
    written: Mapping[str, Any],
    environ: Mapping[str, str],
    chosen: str | None,
    path: Path,
    problems: Problems,
) -> tuple[Account, ...]:
    """Return the accounts of the config file, and the one whose key is outside of `[accounts]`: in the
    environment, or at the top of the file. That is the key of `chosen`, else of the default account.
    An account that is `chosen` and not known is a problem.
    """
    tables = problems.catch({}, table, written.get("accounts", {}), "accounts", str(path))
    accounts = {name: _account(name, keys, path, problems) for name, keys in tables.items()}
    name = chosen or DEFAULT_ACCOUNT
    has_key = bool(environ.get(KEY_VARIABLE) or environ.get(KEY_FILE_VARIABLE))
    if name not in accounts:
        # a key without an account is that of the default one;
        # accounts with keys of their own need none
        if not accounts or has_key or "api_key_file" in written:
            accounts[name] = _plain_account(name, written, environ, path, problems)
        elif chosen:
            problems.add(
                tr("{path} knows no account {chosen!r}", path=path, chosen=chosen),
                tr(
                    "it knows {accounts}; or export {key_variable}=cy_…",
                    accounts=", ".join(accounts),
                    key_variable=KEY_VARIABLE,
                ),
            )
    elif has_key:
        accounts[name] = _plain_account(name, {}, environ, path, problems, accounts[name])
    return tuple(accounts.values())


def _plain_account(
    name: str,
    written: Mapping[str, Any],
    environ: Mapping[str, str],
    path: Path,
    problems: Problems,
    known: Account | None = None,
) -> Account:
    problems.catch(None, refuse_odd_name, name)
    origin = KEY_FILE_VARIABLE if environ.get(KEY_FILE_VARIABLE) else str(path)
    file = environ.get(KEY_FILE_VARIABLE) or written.get("api_key_file")
    key_file = problems.catch(None, _key_file, {"api_key_file": file}, origin)
    if known is None:
        return Account(name, KEY_VARIABLE, key_file)
    # the environment brings another key to an account that the file describes
    return Account(name, KEY_VARIABLE, key_file, None, known.base_url, known.schedule)


def _account(name: str, keys: Any, path: Path, problems: Problems) -> Account:
    at = f"{path}: accounts.{name}"
    problems.catch(None, refuse_odd_name, name, f"{path}: ")
    keys = problems.catch({}, table, keys, f"accounts.{name}", str(path))
    for error in unknown_names(keys, ACCOUNT_KEYS, f"{path}: accounts.{name}"):
        problems.append(error)
    own = problems.catch(
        {}, table, keys.get("schedule", {}), f"accounts.{name}.schedule", str(path)
    )
    address = keys.get("base_url")
    return Account(
        name,
        problems.catch(None, only_text, keys, "api_key_env", at),
        problems.catch(None, _key_file, keys, at),
        problems.catch(None, _credential, keys, at),
        address and problems.catch(None, base_url, address, f"base_url ({at})"),
        read_cadences(own, f"{at}.schedule", problems),
    )


def _key_file(keys: Mapping[str, Any], origin: str) -> Path | None:
    file = only_text(keys, "api_key_file", origin)
    return home_expanded(Path(file), f"api_key_file ({origin})") if file else None


def _credential(keys: Mapping[str, Any], origin: str) -> str | None:
    name = only_text(keys, "api_key_credential", origin)
    # systemd names a file in its own folder: a path would leave it
    if name is not None and "/" in name:
        raise SettingsError(
            tr("api_key_credential ({origin}) is a name, not a path", origin=origin),
            advice=tr("see docs/service.md"),
        )
    return name


def watched(
    accounts: Sequence[Account], known: Collection[str], retired: Collection[str]
) -> list[str]:
    """Return the names of the accounts whose health, age and figures are of interest.

    Those are the accounts of the settings. If the settings name none, as on a machine that only
    reads, all accounts in the database that are not retired.
    """
    names = [account.name for account in accounts]
    # the account that stands in when nothing is set: nobody has named it
    is_unnamed = names == [DEFAULT_ACCOUNT] and accounts[0].key_env == KEY_VARIABLE
    if is_unnamed and DEFAULT_ACCOUNT not in known:
        return [name for name in known if name not in retired]
    return names


def refuse_odd_name(name: str, origin: str = "") -> None:
    """Raise `SettingsError` for a text that cannot be an account's name."""
    # names are kept and shown everywhere
    if redact_words(name) != name:
        raise SettingsError(
            tr("{origin}a key or a password is no name of an account", origin=origin),
            advice=WHERE_KEYS_ARE,
        )
    if not is_account_name(name):
        short = name if len(name) <= 40 else f"{name[:40]}…"
        raise SettingsError(
            tr("{origin}account {short!r} needs a short plain name", origin=origin, short=short),
            advice=tr(
                "for example lab; {longest_account} characters at most, on one line, no space "
                "at its ends",
                longest_account=LONGEST_ACCOUNT,
            ),
        )


def _read_key(path: Path) -> str:
    try:
        return read_whole(path).decode()
    except (OSError, ValueError) as error:
        # no cause is kept: a decoding error holds the bytes that it could not read
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(
            tr(
                "API key file {path} cannot be read: {reason}",
                path=shown_reference(str(path)),
                reason=reason,
            ),
            advice=tr("check its place and permissions"),
        ) from None

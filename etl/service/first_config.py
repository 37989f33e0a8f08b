"""Write a first config file and a key file: new files only, each readable by its owner alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from etl.app import App
from etl.errors import SettingsError
from etl.paths import advice_on, file_name
from etl.resources import INSTANCES
from etl.settings import refuse_odd_name
from etl.settings.file import is_there, read_config
from etl.texts import tr


def refuse_known(config: Path, account: str) -> None:
    """Raise if the config file already has this account, could not hold it, or cannot be added
    to.
    """
    refuse_odd_name(account)
    written = read_config(config) if is_there(config) else {}
    known = written.get("accounts", {})
    if account in known or ("api_key_file" in written and not known):
        raise SettingsError(
            tr(
                "{config} has a key for account {account!r} already", config=config, account=account
            ),
            advice=tr("name another with --account, or change that file by hand"),
        )


def try_key(app: App, account: str, key: str) -> int:
    """Return how many instances the source lists for this key. Raises the source's refusal."""
    from etl.source.client import Client, Retrying

    settings = app.settings
    with Client(
        settings.base_url,
        key,
        clock=app.clock,
        timeout_s=settings.timeout_s,
        # a person waits for the answer
        retrying=Retrying(attempts=2),
    ) as client:
        answer = client.get(INSTANCES.path, {"page": "1", "page_size": "1"})
    listing = INSTANCES.open(answer.body)
    return len(listing.identities) if listing.total is None else listing.total


def write_account(
    config: Path, account: str, key: str, lines: Sequence[str] = (), *, system: bool = False
) -> Path:
    """Write a key file beside the config file, name it there, and return its path. `lines` come
    first in a config file that is new; that of the `system` can be read by the service, which is
    another user. Raises `SettingsError` if a file is in the way.
    """
    refuse_known(config, account)
    mode = 0o644 if system else 0o600
    path = config.with_name(f"{file_name(account)}.key")
    plain = re.fullmatch(r"[A-Za-z0-9_-]+", account)
    name = account if plain else json.dumps(account, ensure_ascii=False)
    section = f"[accounts.{name}]\napi_key_file = {json.dumps(str(path.absolute()))}\n"
    with _made(config.parent):
        config.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    # before the config names it, so that a failure leaves no config without its key
    _create(path, key + "\n", 0o600)
    try:
        if is_there(config):
            # appended: comments and order of an operator's file stay as they are
            with _made(config), config.open("a", encoding="utf-8") as file:
                file.write("\n" + section)
        else:
            _create(config, "".join(f"{line}\n" for line in (*lines, "")) + section, mode)
    except SettingsError:
        path.unlink()  # else it would be in the way of the next attempt
        raise
    return path


def _create(path: Path, content: str, mode: int) -> None:
    with _made(path):
        file = open(path, "x", encoding="utf-8", opener=partial(os.open, mode=0o600))  # noqa: SIM115
    try:
        with _made(path), file:
            file.write(content)
            path.chmod(mode)
    except SettingsError:
        path.unlink()  # half of it, as on a full disk
        raise


@contextmanager
def _made(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(
            tr("{path} cannot be written: {strerror}", path=path, strerror=error.strerror),
            advice=(
                tr("move it away, or name another place with --config")
                if isinstance(error, FileExistsError | NotADirectoryError)
                else advice_on(error)
            ),
        ) from None

"""Ask the daemon of this machine whether it lives: `python -m etl.service.probe`, for a container's check.

It asks where `CHENYU_LISTEN` or the config file says that the daemon listens. Exit code 0 if it
lives; 1 if not, or if it listens nowhere, as nothing can be known then.
"""

from __future__ import annotations

import os
import sys
import urllib.request
from http.client import HTTPException
from typing import Final

from etl.settings import read
from etl.settings.service import listen_address

TIMEOUT_S: Final = 5
ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}  # noqa: S104 - not bound


def url_of(listen: str) -> str:
    """Return the URL of /healthz at an address to listen on; an address of all interfaces is asked
    on loopback.
    """
    host, port = listen_address(listen)
    # one listens on all interfaces, but cannot connect to them
    host = ANYWHERE.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/healthz"


def lives(listen: str) -> bool:
    """Tell whether a daemon of ours answers there that it is well."""
    try:
        # no proxy stands between a machine and itself
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url_of(listen), timeout=TIMEOUT_S) as answer:
            return answer.status == 200 and is_ours(answer.headers.get("Server", ""))
    except (OSError, HTTPException):  # such as a server of mail or shells on that port
        return False


def is_ours(server: str) -> bool:
    # another program on that port may answer 200 as well
    return server.startswith("chenyu-etl")


def main() -> int:
    listen = read({}, os.environ).settings.listen
    return 0 if listen and lives(listen) else 1


if __name__ == "__main__":
    sys.exit(main())

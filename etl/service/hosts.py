"""Names by which the health port may be asked.

A page of the web can let its own name lead to an address in the network of whoever looks at it, and
would then read that address's answers (DNS rebinding). It cannot do so with an address or with a
name that only a local network resolves.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

_LOCAL: Final = re.compile(
    r"[\w-]+|.*\.(?:localhost|local|internal|intranet|lan|home\.arpa)|.*\.svc"
)
"""Names that nobody can register: without a dot, or below what is set aside for local networks."""


def is_known_host(headers: Sequence[str], listening: str, also: Collection[str] = ()) -> bool:
    """Tell whether a request by these `Host` headers may be answered by who listens at `listening`.

    `also` are further names, in small letters, that the operator gave it. Without a header it may: browsers always send one.
    """
    if not headers:
        return True
    # two would be read differently by us and by a proxy in front
    if len(headers) > 1:
        return False
    name = _without_port(headers[0].strip().lower()).rstrip(".")
    with suppress(ValueError):
        # behind % is the interface of a link-local address
        ip_address(name.partition("%")[0])
        return True
    own = (listening.lower(), socket.gethostname().lower())
    return name in own or name in also or _LOCAL.fullmatch(name) is not None


def _without_port(host: str) -> str:
    parts = re.fullmatch(r"(?:\[(.*)\]|([^:]*))(?::[0-9]*)?", host)
    return (parts[1] or parts[2] or "") if parts else host

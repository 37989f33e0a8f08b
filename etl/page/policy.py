"""The Content-Security-Policy of the page: its own style and script by their digests, nothing else."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent


@cache
def style() -> str:
    return (HERE / "page.css").read_text(encoding="utf-8")


@cache
def script() -> str:
    return (HERE / "page.js").read_text(encoding="utf-8")


def policy() -> str:
    """Return the policy for a `<meta>`; a header adds `frame-ancestors`, which a `<meta>` may not."""
    return (
        f"default-src 'none'; script-src {csp_digest(script())}; style-src {csp_digest(style())};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


def csp_digest(text: str) -> str:
    """Return the source expression that allows just this inline text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

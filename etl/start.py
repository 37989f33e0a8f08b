"""Entry point of `chenyu-etl`, which handles Ctrl-C properly even while its modules load."""

from __future__ import annotations

import gc
import os
import sys

# nothing that modules make while they load is garbage: looking for it took a tenth of the start
gc.disable()

from etl import streams  # noqa: E402 - with all that it loads

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    streams.prepare()
    os.umask(os.umask(0) | 0o002)  # no file of ours is for everybody to write to
    try:
        from etl.cli import main as command

        command(prog_name="chenyu-etl")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(INTERRUPTED) from None
    finally:
        # the interpreter ends by collecting, module after module, what the system takes back at once
        gc.freeze()

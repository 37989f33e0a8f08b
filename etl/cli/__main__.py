"""Entry point of `python -m etl.cli`, the same program as the command `chenyu-etl`."""

from etl.cli import main

main(prog_name="chenyu-etl")

"""Entry point of `python -m etl.cli`, which does what the command `chenyu-etl` does."""

from etl.cli import main

main(prog_name="chenyu-etl")

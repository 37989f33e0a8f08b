"""`python -m etl.cli`: the same as the command `chenyu-etl`."""

from etl.cli import main

main(prog_name="chenyu-etl")

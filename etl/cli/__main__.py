"""Entry point of `python -m etl.cli`, the same program as the command `chenyu-etl`."""

from etl.start import main

main()

"""chenyu-etl: what a Chenyu Cloud account runs, kept in SQL, with every version it ever saw."""

__version__ = "0.1.0"

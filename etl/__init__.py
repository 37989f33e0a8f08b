"""chenyu-etl: the instances of Chenyu Cloud accounts in SQL, with every version ever seen."""

__version__ = "0.1.0"

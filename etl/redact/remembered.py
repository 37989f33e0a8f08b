"""Results of a function, remembered by the text that it was given: answers say the same again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

MOST: Final = 10_000
LONGEST: Final = 300
"""A longer text is not remembered: it is rare, seldom comes back, and takes memory."""


class Remembered(dict[str, T]):
    """The result of `compute` for each text. Looking one up is no call of Python if it is known."""

    def __init__(self, compute: Callable[[str], T]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, text: str) -> T:
        result = self._compute(text)
        if len(text) <= LONGEST:
            # a source that always says something new must not fill the memory
            if len(self) >= MOST:
                self.clear()
            self[text] = result
        return result

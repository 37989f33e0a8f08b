"""Pages asked for in a few threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Fetches(Generic[T]):
    """A few threads that ask for pages; iterating yields the result of each, until all have ended.

    The threads are daemons: those of a `ThreadPoolExecutor` are awaited when the interpreter ends,
    so that Ctrl-C would wait for an answer, or for the wait before a retry.
    """

    def __init__(self, ask: Callable[[int], T], numbers: Sequence[int], size: int) -> None:
        self._ask = ask
        self._numbers = iter(numbers)
        self._size = min(size, len(numbers))
        self._taking = threading.Lock()
        self._stopped = threading.Event()
        # pages that arrived wait in memory: the threads may be only this far ahead
        self._lead = threading.Semaphore(2 * self._size)
        self._came: SimpleQueue[tuple[int, T | BaseException] | None] = SimpleQueue()

    def stop(self) -> None:
        """Ask for no further page."""
        self._stopped.set()
        for _ in range(self._size):
            self._lead.release()

    def __iter__(self) -> Iterator[tuple[int, T | BaseException]]:
        try:
            for _ in range(self._size):
                # started by the iteration: a walk that needs one page starts none
                threading.Thread(target=self._work, daemon=True).start()
            ended = 0
            while ended < self._size:
                came = self._came.get()
                if came is None:
                    ended += 1
                else:
                    yield came
                    self._lead.release()
        finally:
            # also if the reader breaks off: threads would else wait for a lead that nobody gives
            self.stop()

    def _work(self) -> None:
        while (number := self._next()) is not None:
            try:
                self._came.put((number, self._ask(number)))
            except BaseException as error:  # noqa: BLE001 - raised again in the main thread
                self._came.put((number, error))
        # each thread says when it ends, so that the last answer is not missed
        self._came.put(None)

    def _next(self) -> int | None:
        """Return the next page to ask for, once the pages that arrived were handled: they may
        suffice.
        """
        self._lead.acquire()
        with self._taking:
            return None if self._stopped.is_set() else next(self._numbers, None)

"""Collector of all errors in the settings, so that they can be mended at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from etl.errors import SettingsError

T = TypeVar("T")
D = TypeVar("D")
P = ParamSpec("P")


class Problems(list[SettingsError]):
    """The errors of settings, in the order in which they were met."""

    def add(self, message: str, advice: str) -> None:
        self.append(SettingsError(message, advice=advice))

    def catch(self, default: D, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | D:
        """Return the result of `read`, or `default` if it refuses."""
        try:
            return read(*args, **kwargs)
        except SettingsError as error:
            self.append(error)
            return default

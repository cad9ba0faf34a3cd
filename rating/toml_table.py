"""Reading a TOML file of settings strictly: every key known, every value checked, errors that name the key.

Decimals are never read as binary floats (R-INV-4): money and percentages are text, and a TOML number in
their place is refused with the text to write instead.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from rating.money import parse_yuan

T = TypeVar("T")

_PERCENT = re.compile(r"\d{1,3}(?:\.\d{1,2})?", re.ASCII)


class SettingsError(ValueError):
    """A file of settings that cannot be used: which file, which key, and why, in one sentence."""

    def __init__(self, name: str, key: str, reason: str) -> None:
        super().__init__(f"{name}: {key}: {reason}" if key else f"{name}: {reason}")
        self.name = name
        self.key = key
        self.reason = reason


def read_toml(text: str, name: str) -> Table:
    """The whole file as a table; `name` is what errors call it. SettingsError with the line if not TOML."""
    try:
        return Table(tomllib.loads(text, parse_float=Decimal), name)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(name, "", f"this is not TOML: {error}.") from None
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise SettingsError(name, "", f"this cannot be read: {error}.") from None


class Table:
    """One table of the file. Each key is taken once, by its type; `end` refuses what nobody took.

    Taking a key that is missing or wrong raises SettingsError; `optional` gives None for a missing one.
    """

    def __init__(self, values: Mapping[str, Any], name: str, path: str = "") -> None:
        self._values = values
        self._name = name
        self._path = path
        self._known: list[str] = []

    def error(self, key: str, reason: str) -> SettingsError:
        """What is wrong with a key of this table; an empty key means the table itself."""
        return SettingsError(self._name, ".".join(part for part in (self._path, key) if part), reason)

    def __iter__(self) -> Iterator[str]:
        """The keys that are there, in the file's order."""
        return iter(self._values)

    def call_it(self, path: str) -> None:
        """From now on errors call this table `path`."""
        self._path = path

    def end(self) -> None:
        """Refuses keys that nobody took, with what was likely meant."""
        for key in self._values:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, 1)
                raise self.error(
                    key, f"unknown key; {f'did you mean {near[0]}?' if near else self._list_known()}"
                )

    def optional(self, key: str, take: Callable[[str], T]) -> T | None:
        """What `take` makes of the key, or None if it is missing."""
        if key in self._values:
            return take(key)
        self._known.append(key)
        return None

    def money(self, key: str) -> int:
        """Yuan as text, 0 or more -> hao."""
        value = self._text(key)
        try:
            hao = parse_yuan(value)
        except ValueError as error:
            raise self.error(key, f"{error}.") from None
        if hao < 0:
            raise self.error(key, f"{value} is negative; write 0 or more.")
        return hao

    def percent(self, key: str) -> int:
        """0 to 100 as text with at most 2 decimals -> hundredths of a percent: "9" -> 900."""
        value = self._text(key)
        if not _PERCENT.fullmatch(value) or Decimal(value) > 100:
            raise self.error(
                key, f'{value!r} is not a percentage; write 0 to 100 as text, like "9" or "6.5".'
            )
        return int(Decimal(value).scaleb(2))

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, f"{_shown(value)} is not a whole number.")
        if not low <= value <= high:
            raise self.error(key, f"{value} is not between {low} and {high}.")
        return value

    def day(self, key: str) -> date:
        """A TOML date."""
        return self._day(key, self._value(key))

    def days(self, key: str) -> tuple[date, ...]:
        """A list of TOML dates. It may be empty."""
        value = self._value(key)
        if not isinstance(value, list):
            raise self.error(key, f"{_shown(value)} is not a list of days.")
        return tuple(self._day(key, item) for item in value)

    def word(self, key: str, known: Collection[str] | None = None) -> str:
        """Text that is not empty; one of `known`, if given."""
        value = self._value(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"{_shown(value)} is not text.")
        if known is not None and value not in known:
            raise self.error(key, f"{value!r} is not known; it can be {', '.join(known)}.")
        return value

    def words(self, key: str, known: Collection[str] | None = None, pattern: str = ".+") -> tuple[str, ...]:
        """A list of different texts, each one of `known`, if given, and of `pattern`. It may be empty."""
        value = self._value(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"{_shown(value)} is not a list of texts.")
        for item in value:
            if known is not None and item not in known:
                raise self.error(key, f"{item!r} is not known; it can be {', '.join(known)}.")
            if not re.fullmatch(pattern, item):
                raise self.error(key, f"{item!r} does not match {pattern}.")
        if len(set(value)) < len(value):
            raise self.error(key, "one of its texts stands there twice.")
        return tuple(value)

    def table(self, key: str) -> Table:
        """A table within this one."""
        value = self._value(key)
        if not isinstance(value, dict):
            raise self.error(key, f"{_shown(value)} is not a table of keys.")
        return Table(value, self._name, ".".join(part for part in (self._path, key) if part))

    def tables(self, key: str) -> list[Table]:
        """A list of tables, at least one; errors call them `key[1]`, `key[2]`, …"""
        value = self._value(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            raise self.error(key, f"{_shown(value)} is not a list of entries, like [{{…}}, {{…}}].")
        return [Table(item, self._name, f"{key}[{place}]") for place, item in enumerate(value, 1)]

    def _value(self, key: str) -> Any:
        self._known.append(key)
        if key not in self._values:
            raise self.error(key, "this key is missing.")
        return self._values[key]

    def _day(self, key: str, value: object) -> date:
        if isinstance(value, datetime) or not isinstance(value, date):
            raise self.error(key, f"{_shown(value)} is not a day; write it without quotes, like 2026-08-01.")
        return value

    def _text(self, key: str) -> str:
        value = self._value(key)
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            raise self.error(
                key, f'{value} is a number, which could lose digits; write it as text: "{value}".'
            )
        if not isinstance(value, str):
            raise self.error(key, f"{_shown(value)} is not text.")
        return value

    def _list_known(self) -> str:
        return f"known here: {', '.join(self._known)}."


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, (date, Decimal)) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"

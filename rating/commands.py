"""Commands as they arrive: JSON checked for presence and type, nothing decided.

What cannot be read is rejected here; every other no is a rule's and is said by `rating.business`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson

from rating.accounts import Command
from rating.calendar import parse_day, parse_instant, parse_month
from rating.money import parse_yuan
from rating.reasons import Reason

MAX_ID = 64
MAX_DEPTH_BYTES = 1 << 20
YEARS = range(2000, 2200)
"""What an instant, a day or a month of a command may lie in: terms counted from it stay within the calendar."""
OF_ALL = frozenset({"command_id", "at", "kind"})
"""The fields that each command has."""


class Unreadable(Exception):
    """A command that cannot be read: the reason, a sentence, and as much of it as could be."""

    def __init__(self, reason: Reason, detail: str, seen: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.seen = dict(seen or {})


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a command: how its value is read (ValueError if it is of the wrong type)."""

    read: Callable[[object], Any]
    required: bool = True


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not text")
    if not value.strip():
        raise ValueError("it is empty")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is not true or false")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{_shown(value)} is not a whole number")
    return value


def _details(value: object) -> object:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, dict) and value:
        return value
    raise ValueError(f"{_shown(value)} is neither text nor an object with the details")


def _names(value: object) -> tuple[str, ...]:
    names = list(value) if isinstance(value, (list, dict)) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{_shown(value)} is not a list of names")
    return tuple(names)


def _instant(value: object) -> datetime:
    found = parse_instant(value)
    _check_year(found.year, value)
    return found


def _day(value: object) -> date:
    found = parse_day(value)
    _check_year(found.year, value)
    return found


def _month(value: object) -> str:
    found = parse_month(value)
    _check_year(int(found[:4]), value)
    return found


def _check_year(year: int, value: object) -> None:
    if year not in YEARS:
        raise ValueError(f"{_shown(value)} lies outside the years {YEARS[0]} to {YEARS[-1]}")


TEXT = Field(_text)
TEXT_OR_NONE = Field(_text, required=False)
AMOUNT = Field(parse_yuan)
AMOUNT_OR_NONE = Field(parse_yuan, required=False)
DAY = Field(_day)
MONTH_OR_NONE = Field(_month, required=False)
TRUTH_OR_NONE = Field(_truth, required=False)
WHOLE_OR_NONE = Field(_whole, required=False)
DETAILS = Field(_details)
NAMES = Field(_names)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:59] + "…"


def read_object(raw: bytes) -> dict[str, Any]:
    """One JSON object in UTF-8. Unreadable with the reason otherwise (F-09)."""
    if len(raw) > MAX_DEPTH_BYTES:
        raise Unreadable(
            Reason.UNREADABLE, f"A command of {len(raw)} bytes is longer than {MAX_DEPTH_BYTES}."
        )
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unreadable(Reason.UNREADABLE, f"This is not a JSON object: {error}.") from None
    if not isinstance(value, dict):
        raise Unreadable(Reason.UNREADABLE, f"This is not a JSON object: {_shown(value)}.")
    return value


def read_command(value: Mapping[str, Any], fields_of: Callable[[str], Mapping[str, Field] | None]) -> Command:
    """The object's fields, read by their kind's list; `fields_of` gives None for an unknown kind.

    Raises Unreadable if one is missing or of the wrong type. A null counts as absent.
    """
    command_id, kind, at = _needed(value, "command_id"), _needed(value, "kind"), _needed(value, "at")
    if not isinstance(command_id, str) or not 0 < len(command_id) <= MAX_ID or "\0" in command_id:
        raise Unreadable(
            Reason.UNREADABLE,
            f"command_id {_shown(command_id)} is not text of 1 to {MAX_ID} characters.",
            value,
        )
    if not isinstance(kind, str):
        raise Unreadable(Reason.UNREADABLE, f"kind {_shown(kind)} is not text.", value)
    try:
        instant = _instant(at)
    except ValueError as error:
        raise Unreadable(Reason.UNREADABLE, f"at: {error}.", value) from None
    parsed: dict[str, Any] = {}
    fields, name = fields_of(kind) or {}, ""
    try:
        for name, field in fields.items():
            given = value.get(name)
            if given is not None:
                parsed[name] = field.read(given)
            elif field.required:
                raise Unreadable(Reason.MISSING_FIELD, f"{kind} needs the field {name}.", value)
            else:
                parsed[name] = None
    except ValueError as error:
        raise Unreadable(Reason.UNREADABLE, f"{name}: {error}.", value) from None
    unknown = value.keys() - fields.keys() - OF_ALL
    return Command(command_id, kind, instant, parsed, _slips(unknown, parsed, value) if unknown else ())


def _slips(unknown: Iterable[str], parsed: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[str, ...]:
    """Unknown fields, if one of them may stand for a field that was left out."""
    left_out = any(one is None for one in parsed.values())
    return tuple(sorted(name for name in unknown if value[name] is not None)) if left_out else ()


def _needed(value: Mapping[str, Any], name: str) -> object:
    given = value.get(name)
    if given is None:
        raise Unreadable(Reason.MISSING_FIELD, f"A command needs the field {name}.", value)
    return given

"""One line of JSON, read exactly: the text of the wanted fields, the rest verbatim, or what is wrong with it.

This is what a line means; `json_shapes` only says the same faster for lines that look like earlier ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from streams.rows import Fault, shown, unreadable

DEPTH_MAX = 64

Path = tuple[str, ...]


@dataclass
class Node:
    """A place in an object: the field that its value fills, and the places below it."""

    name: str | None = None
    below: dict[str, Node] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """Which fields of an object to read, and how strictly.

    tree: the wanted places, from the top
    known: keys of the top that do not go into `extra`
    whole: fields that must be whole numbers if `strict`
    soft: fields that rating does not need: whatever stands there never costs the call
    strict: text must be a JSON string and `whole` a JSON number; else a scalar of either kind will do
    """

    tree: Node
    known: frozenset[str]
    whole: frozenset[str] = frozenset()
    soft: frozenset[str] = frozenset()
    strict: bool = True


def tree_of(paths: dict[Path, str]) -> Node:
    """The tree of wanted places from field by path."""
    root = Node()
    for path, name in paths.items():
        node = root
        for step in path:
            node = node.below.setdefault(step, Node())
        node.name = name
    return root


@dataclass
class Walked:
    """What a line holds: all that could be read, also when there is a fault."""

    text: dict[str, str] = field(default_factory=dict)
    extra: str | None = None
    fault: Fault | None = None


class _Number(str):
    """A JSON number as it is written: no rounding on the way."""

    __slots__ = ()


class _NotJsonError(ValueError):
    pass


def walk(line: bytes, wanted: Wanted) -> Walked:
    """Read one line. Never raises: what is wrong is in `fault`, what could be read beside it in `text`."""
    text = line.decode("utf-8", "surrogateescape")
    walked = Walked()
    rest: dict[str, str] = {}
    seen: set[str] = set()
    try:
        for key, name, value, source in _members(text):
            node = wanted.tree.below.get(key)
            if node is not None and key in seen:
                walked.fault = walked.fault or unreadable(
                    f"The field {shown(key)} stands twice in the record."
                )
                _drop(node, walked)
            elif node is not None:
                seen.add(key)
                _pick(node, value, source, wanted, walked)
            if key not in wanted.known:
                rest[_repaired(key)] = f"{_repaired(name)}:{_repaired(source)}"
    except _NotJsonError as error:
        walked.fault = walked.fault or unreadable(str(error))
    if rest:
        walked.extra = "{" + ",".join(rest.values()) + "}"
    return walked


def _pick(node: Node, value: Any, source: str, wanted: Wanted, walked: Walked) -> None:
    """Take what is wanted at this place and below it."""
    if node.name is not None:
        _take(node.name, value, source, wanted, walked)
    for step, child in node.below.items():
        if isinstance(value, dict) and step in value:
            inner = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            inner = value[int(step)]
        else:
            continue
        _pick(
            child,
            inner,
            inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False),
            wanted,
            walked,
        )


def _drop(node: Node, walked: Walked) -> None:
    """Forget what was read at this place: it is ambiguous."""
    if node.name is not None:
        walked.text.pop(node.name, None)
    for child in node.below.values():
        _drop(child, walked)


def _take(name: str, value: Any, source: str, wanted: Wanted, walked: Walked) -> None:
    if value is None or (
        isinstance(value, str) and not value and not (wanted.strict and name in wanted.whole)
    ):
        return
    number = isinstance(value, _Number)
    text = value if isinstance(value, str) else source
    if name in wanted.soft:
        walked.text[name] = _UNPRINTABLE.sub("\ufffd", text)
        return
    if wanted.strict and name in wanted.whole:
        wrong = None if number and _WHOLE.fullmatch(text) else "a whole number"
    elif wanted.strict:
        wrong = None if isinstance(value, str) and not number else "text in quotes"
    else:
        wrong = "text or a number" if isinstance(value, (dict, list)) else None
    if wrong:
        fault = f"{name} is {_short(source)}, not {wrong}."
    elif _UNPRINTABLE.search(text):
        fault = (
            f"{name} is {shown(_UNPRINTABLE.sub(chr(0xFFFD), text))}, with a NUL or bytes that are not UTF-8."
        )
    else:
        walked.text[name] = text
        return
    walked.fault = walked.fault or unreadable(fault)


def _members(text: str) -> Iterator[tuple[str, str, Any, str]]:
    """(key, the key as written, value, the value as written) of the line's object, up to the first error."""
    at = _space(text, 0)
    if text[at : at + 1] != "{":
        raise _NotJsonError(f"The line begins with {_short(text[at:])}, not with a JSON object.")
    _check_depth(text)
    at = _space(text, at + 1)
    if text[at : at + 1] == "}":
        at += 1
    else:
        while True:
            if text[at : at + 1] != '"':
                raise _NotJsonError(f"The line is not JSON: there is no field name at character {at + 1}.")
            key, name_end = _string(text, at)
            colon = _space(text, name_end)
            if text[colon : colon + 1] != ":":
                raise _NotJsonError(f"The line is not JSON: there is no colon at character {colon + 1}.")
            start = _space(text, colon + 1)
            value, end = _value(text, start, key)
            following = _space(text, end)
            mark = text[following : following + 1]
            if mark not in {",", "}"} or not mark:
                raise _NotJsonError(
                    f"The line is not JSON: there is no comma or brace at character {following + 1}."
                )
            yield key, text[at:name_end], value, text[start:end]
            at = following + 1
            if mark == "}":
                break
            at = _space(text, at)
    if _space(text, at) != len(text):
        raise _NotJsonError(f"The line goes on after its object, at character {at + 1}.")


def _string(text: str, at: int) -> tuple[str, int]:
    try:
        name, end = _DECODER.raw_decode(text, at)
    except ValueError:
        raise _NotJsonError(
            f"The line is not JSON: the text at character {at + 1} does not end well."
        ) from None
    return str(name), end


def _value(text: str, at: int, key: str) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except _NotJsonError as error:
        raise _NotJsonError(f"{shown(key)} holds {error}.") from None
    except (ValueError, RecursionError):
        raise _NotJsonError(
            f"The line is not JSON: the value of {shown(key)} cannot be read, at character {at + 1}."
        ) from None


def _number(token: str) -> _Number:
    """The token itself, if every reader of JSON can hold it: SQL reads `extra` into doubles."""
    try:
        too_large = Decimal(token).adjusted() >= 300
    except InvalidOperation:
        too_large = True
    if too_large:
        raise _NotJsonError(f"{_short(token)}, which no number type holds")
    return _Number(token)


def _constant(token: str) -> None:
    raise _NotJsonError(f"{token}, which is not a JSON number")


def _check_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= DEPTH_MAX:
        return
    depth = 0
    for token in _BRACKET.finditer(text):
        mark = token[0]
        if mark in "{[":
            depth += 1
            if depth > DEPTH_MAX:
                raise _NotJsonError(f"The record is nested more than {DEPTH_MAX} deep.")
        elif mark in "}]":
            depth -= 1


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _short(source: str) -> str:
    """JSON text as a sentence may quote it."""
    return shown(source.strip())[1:-1] or "nothing"


def _repaired(source: str) -> str:
    """JSON text that any reader takes: halves of surrogate pairs, written or from bad bytes, are replaced."""
    if "\\" in source:
        source = _ESCAPE.sub(
            lambda e: (
                "\\ufffd" if len(e[0]) == 6 and e[0][2] in "dD" and e[0][3] in "89abcdefABCDEF" else e[0]
            ),
            source,
        )
    return _SURROGATE.sub("\ufffd", source)


_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_constant)
_SPACE = re.compile(r"[ \t\n\r]*")
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\ud800-\udfff\x00]")
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.", re.DOTALL
)

"""Text -> instants: RFC 3339, strptime patterns and epochs; local times take the zone of the mapping.

Text of the common widths is read by whole columns; anything else value by value, each distinct one once.
Fractions of a second beyond microseconds are cut off, not rounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.calendar import SHANGHAI, SHANGHAI_OFFSET_US
from rating.records import INSTANT
from streams.spans import Flags, Ints

RFC_3339 = "rfc3339"
EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}

_SECOND_US = 1_000_000
_QUARTER_US = 900 * _SECOND_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PatternError(ValueError):
    """A date pattern that cannot be read; the message says which part."""


@dataclass(frozen=True)
class Times:
    """How a file writes its times.

    patterns: tried in this order: `rfc3339`, `epoch_s`, `epoch_ms`, `epoch_us`, or strptime patterns made of
    %Y %m %d %H %M %S %f %z and literal characters
    zone: of times without an offset
    """

    patterns: tuple[str, ...] = (RFC_3339,)
    zone: tzinfo = SHANGHAI


def parse(texts: Any, times: Times) -> tuple[Any, Ints]:
    """A string array -> (timestamp[us, UTC] array, places of the values that are no time); null stays null."""
    count = len(texts)
    usual = _read_usual(texts) if RFC_3339 in times.patterns else None
    if usual is not None:
        return usual, np.zeros(0, np.int64)
    micros = np.zeros(count, np.int64)
    filled = (
        np.ones(count, np.bool_) if not texts.null_count else texts.is_valid().to_numpy(zero_copy_only=False)
    )
    done: Flags = ~filled
    if RFC_3339 in times.patterns and count:
        _read_common(texts, times.zone, micros, done)
    bad: list[int] = []
    if not done.all():
        known: dict[str, int | None] = {}
        rest = np.flatnonzero(~done)
        for row, text in zip(rest.tolist(), texts.take(pa.array(rest)).to_pylist(), strict=True):
            if text not in known:
                known[text] = _one(text, times)
            instant = known[text]
            if instant is None:
                bad.append(row)
            else:
                micros[row] = instant
    places = np.array(bad, np.int64)
    filled[places] = False
    valid = None if filled.all() else pa.py_buffer(np.packbits(filled, bitorder="little"))
    return pa.Array.from_buffers(INSTANT, count, [valid, pa.py_buffer(micros)]), places


def check_pattern(pattern: str) -> None:
    """Raises PatternError if the pattern cannot be read."""
    if pattern != RFC_3339 and pattern not in EPOCHS:
        _compile(pattern)


def _one(text: str, times: Times) -> int | None:
    """Microseconds since 1970 by the first pattern that fits."""
    for pattern in times.patterns:
        if pattern in EPOCHS:
            found = _EPOCH_TEXT.fullmatch(text)
            if found:
                micros = (
                    int(found[1]) * EPOCHS[pattern] + _fraction_us(found[2]) * EPOCHS[pattern] // _SECOND_US
                )
                if micros < _LATEST_US:
                    return micros
            continue
        found = (_RFC_3339 if pattern == RFC_3339 else _compile(pattern)).fullmatch(text)
        if found:
            instant = _instant(found.groupdict(), times.zone)
            if instant is not None:
                return instant
    return None


def _instant(parts: dict[str, str | None], zone: tzinfo) -> int | None:
    """The fields that a pattern found -> microseconds since 1970; None if there is no such time."""
    year, month, day, hour, minute, second = (int(parts.get(name) or "0") for name in "YmdHMS")
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=_zone(parts.get("z")) or zone)
        whole = local.astimezone(UTC) - _EPOCH  # overflows where no reader could show it
        return whole // timedelta(microseconds=1) + _fraction_us(parts.get("f"))
    except (ValueError, OverflowError):
        return None


def _zone(offset: str | None) -> tzinfo | None:
    if not offset:
        return None
    if offset in "Zz":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError(offset)
    shift = timedelta(hours=hours, minutes=minutes)
    return timezone(-shift if offset[0] == "-" else shift)


def _fraction_us(digits: str | None) -> int:
    return int((digits or "0")[:6].ljust(6, "0"))


def _compile(pattern: str) -> re.Pattern[str]:
    """A strptime pattern as an expression whose groups are its directives."""
    if pattern in _COMPILED:
        return _COMPILED[pattern]
    parts: list[str] = []
    seen: set[str] = set()
    for literal, directive in re.findall(r"([^%]+)|%(.?)", pattern):
        if literal:
            parts.append(re.escape(literal))
        elif directive in _DIRECTIVES and directive not in seen:
            seen.add(directive)
            parts.append(f"(?P<{directive}>{_DIRECTIVES[directive]})")
        else:
            raise PatternError(
                f'"%{directive}" in "{pattern}" is unknown or stands twice; use %Y %m %d %H %M %S %f %z'
            )
    if not {"Y", "m", "d", "H", "M"} <= seen:
        raise PatternError(f'"{pattern}" must hold %Y, %m, %d, %H and %M')
    _COMPILED[pattern] = re.compile("".join(parts), re.ASCII)
    return _COMPILED[pattern]


def _read_usual(texts: Any) -> Any:
    """The whole array, if every time in it has whole seconds and an offset, as most files have; else None."""
    valid = len(texts) - texts.null_count
    _, offsets_buffer, data = texts.buffers()
    if not valid or texts.offset:
        return None
    offsets = np.frombuffer(offsets_buffer, np.int32, len(texts) + 1)
    if offsets[-1] - offsets[0] != _USUAL * valid or int(np.diff(offsets).max()) != _USUAL:
        return None
    marks = np.frombuffer(data, np.uint8, _USUAL * valid, offsets[0]).reshape(valid, _USUAL)[
        :, _COMMON[_USUAL][0]
    ]
    if not ((marks == ord("+")) | (marks == ord("-"))).all():
        return None
    try:
        found = pc.cast(texts, INSTANT)
    except pa.ArrowInvalid:
        return None
    ends = pc.min_max(found.view(pa.int64())).as_py()
    return found if ends["min"] >= _EARLIEST_US and ends["max"] < _LATEST_US else None


def _read_common(texts: Any, zone: tzinfo, micros: Ints, done: Flags) -> None:
    """Read the times of common widths by Arrow's own parser; `done` gains those that it took."""
    _, offsets_buffer, data = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    sizes = np.diff(offsets)
    characters = np.frombuffer(data, np.uint8)
    for width, (place, marks) in _COMMON.items():
        chosen: Flags = (sizes == width) & ~done
        if not chosen.any():
            continue
        # Arrow knows more shapes than RFC 3339; this character leaves one for each width
        mark = characters[offsets[:-1][chosen] + place]
        fits = mark == marks[0]
        for other in marks[1:]:
            fits |= mark == other
        rows = np.flatnonzero(chosen)[fits]
        part = texts if len(rows) + texts.null_count == len(texts) else texts.take(pa.array(rows))
        read, good = _cast(part, INSTANT if marks != _DIGITS else pa.timestamp("us"))
        if part is texts:
            read, good = read[rows], good[rows]
        if marks == _DIGITS:
            read = read - _ahead(read, zone)
        micros[rows] = read
        done[rows] = good


def _cast(part: Any, kind: Any) -> tuple[Ints, Flags]:
    """Microseconds since 1970, and which could be read: one bad value makes Arrow refuse all beside it."""
    try:
        read = np.frombuffer(pc.cast(part, kind).buffers()[1], np.int64, len(part))
    except pa.ArrowInvalid:
        if len(part) <= _FEW:
            return np.zeros(len(part), np.int64), np.zeros(len(part), np.bool_)
        half = len(part) // 2
        left, right = _cast(part[:half], kind), _cast(part[half:], kind)
        return np.concatenate([left[0], right[0]]), np.concatenate([left[1], right[1]])
    return read, (read >= _EARLIEST_US) & (read < _LATEST_US)


def _ahead(local: Ints, zone: tzinfo) -> Ints | int:
    """Microseconds that local times of a zone are ahead of UTC; of a time that comes twice, the first."""
    if zone is SHANGHAI:
        return SHANGHAI_OFFSET_US
    quarters, which = np.unique(local // _QUARTER_US, return_inverse=True)
    shifts = []
    for quarter in quarters.tolist():
        wall = _EPOCH.replace(tzinfo=None) + timedelta(microseconds=quarter * _QUARTER_US)
        shifts.append((wall.replace(tzinfo=zone).utcoffset() or timedelta()) // timedelta(microseconds=1))
    ahead: Ints = np.array(shifts, np.int64)[which]
    return ahead


_FEW = 32
_USUAL = 25
_DIGITS = b"0123456789"
# width: a place, and what must stand there. Seconds, thousandths and millionths; an offset, Z or neither
_COMMON = {
    25: (19, b"+-"),
    20: (19, b"Z"),
    19: (18, _DIGITS),
    29: (23, b"+-"),
    32: (26, b"+-"),
    24: (23, b"Z"),
    27: (26, b"Z"),
    23: (22, _DIGITS),
    26: (25, _DIGITS),
}
_EARLIEST_US = -2_208_988_800 * _SECOND_US  # 1900
_LATEST_US = 7_258_118_400 * _SECOND_US  # 2200
_RFC_3339 = re.compile(
    r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)[Tt ](?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:\.(?P<f>\d+))?"
    r"(?P<z>[Zz]|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_EPOCH_TEXT = re.compile(r"(\d{1,17})(?:\.(\d+))?", re.ASCII)
_DIRECTIVES = {
    "Y": r"\d{4}",
    "m": r"\d\d?",
    "d": r"\d\d?",
    "H": r"\d\d?",
    "M": r"\d\d?",
    "S": r"\d\d?",
    "f": r"\d+",
    "z": r"[Zz]|[+-]\d\d:?\d\d",
}
_COMPILED: dict[str, re.Pattern[str]] = {}
